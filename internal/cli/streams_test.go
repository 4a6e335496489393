package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"

	"github.com/latchkey-io/latchkey/internal/condition"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
)

func TestOnlyYesConfirms(t *testing.T) {
	for answer, want := range map[string]error{"y\n": nil, "Yes\n": nil, "n\n": errNotConfirmed, "\n": errNotConfirmed, "": errNotConfirmed, "yep\n": errNotConfirmed} {
		var out bytes.Buffer
		if err := (Streams{In: strings.NewReader(answer), Out: &out}).ask("Delete it?"); !errors.Is(err, want) || !strings.HasPrefix(out.String(), "Delete it? [y/N]") {
			t.Errorf("answered %q: %v, %q", answer, err, out.String())
		}
	}
}

func TestWithoutATerminalOnlyYesByFlagConfirms(t *testing.T) {
	std := Streams{In: strings.NewReader("y\n"), Out: io.Discard}
	if err := std.Confirm(true, "Delete it?"); err != nil {
		t.Error(err)
	}
	if err := std.Confirm(false, "Delete it?"); err == nil || !strings.Contains(err.Error(), "--yes") {
		t.Errorf("%v, want an error that names --yes", err)
	}
}

// failing is a stream whose writes return an error.
type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestOutputThatIsNotWrittenIsAnError(t *testing.T) {
	full := errors.New("no space left on device")
	for name, tc := range map[string]struct {
		err     error
		code    int
		want    int
		printed string
		broken  bool
	}{
		"a success whose output is written stays one":         {code: ExitOK, want: ExitOK},
		"a full disk fails a success and is printed":          {err: full, code: ExitOK, want: ExitError, printed: "no space left"},
		"a full disk fails a pending plan and is printed":     {err: full, code: ExitDue, want: ExitError, printed: "no space left"},
		"a command that failed has printed its error already": {err: full, code: ExitTryAgain, want: ExitError},
		"a reader that has gone ends the command silently":    {err: syscall.EPIPE, code: ExitOK, want: ExitError, broken: true},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout io.Writer = failing{tc.err}
			if tc.err == nil {
				stdout = io.Discard
			}
			var stderr bytes.Buffer
			broken := false
			std := NewStreams(func(string) string { return "" }, nil, stdout, &stderr, func() { broken = true })
			_, _ = std.Out.Write([]byte("one"))
			_, _ = std.Out.Write([]byte("two"))
			if got := std.Verdict(tc.code); got != tc.want || broken != tc.broken {
				t.Errorf("exit %d, broken %t", got, broken)
			}
			if got := stderr.String(); (got != "") != (tc.printed != "") || !strings.Contains(got, tc.printed) {
				t.Errorf("stderr %q, want %q", got, tc.printed)
			}
		})
	}
}

func TestTheLogIsQuietByHand(t *testing.T) {
	none := func(string) string { return "" }
	for name, tc := range map[string]struct {
		flags Logger
		env   func(string) string
		want  string
		fails string
	}{
		"by hand only errors are logged":           {flags: ByHand{}},
		"by hand -v logs JSON":                     {flags: ByHand{Verbose: true}, want: `"msg":"done"`},
		"a service logs JSON from info on":         {flags: Unattended{}, want: `"msg":"done"`},
		"a flag chooses text":                      {flags: Unattended{LogFormat: "text"}, want: "msg=done"},
		"a variable chooses the level":             {flags: Unattended{}, env: func(name string) string { return map[string]string{"LATCHKEY_LOG_LEVEL": "warn"}[name] }},
		"an unknown level is an error with itself": {flags: Unattended{LogLevel: "loud"}, fails: `"loud"`},
		"an unknown format is an error too":        {flags: Unattended{LogFormat: "xml"}, fails: `"xml"`},
	} {
		t.Run(name, func(t *testing.T) {
			env := tc.env
			if env == nil {
				env = none
			}
			var stderr bytes.Buffer
			log, err := tc.flags.Logger(env, Streams{Err: &stderr})
			if tc.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tc.fails) {
					t.Errorf("error %v, want %s", err, tc.fails)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			log.Info("done")
			if got := stderr.String(); (got != "") != (tc.want != "") || !strings.Contains(got, tc.want) {
				t.Errorf("logged %q, want %q", got, tc.want)
			}
		})
	}
}

func TestExitCodesHaveAnOrder(t *testing.T) {
	plain := errors.New("wrong")
	for name, tc := range map[string]struct {
		err    error
		code   int
		silent bool
	}{
		"no error is 0":                    {code: ExitOK, silent: true},
		"an error is 1":                    {err: plain, code: ExitError},
		"pending changes are 2 and silent": {err: ErrDue, code: ExitDue, silent: true},
		"blocked precedes pending":         {err: errors.Join(ErrDue, ErrAct), code: ExitAct},
		"try again precedes both":          {err: errors.Join(ErrDue, ErrAct, ErrTryAgain), code: ExitTryAgain},
	} {
		t.Run(name, func(t *testing.T) {
			var stderr bytes.Buffer
			if code := Exit(tc.err, &stderr); code != tc.code || (stderr.Len() == 0) != tc.silent {
				t.Errorf("exit %d, printed %q", code, stderr.String())
			}
		})
	}
}

// A log of a job often has nothing but this line.
func TestTheLineAtTheExitQuotesTheUpstream(t *testing.T) {
	const said = "x509: certificate signed by unknown authority"
	for name, tc := range map[string]struct {
		outcome result.Outcome
		want    string
	}{
		"a run that failed, with its error": {
			outcome: result.Outcome{Result: result.Failed, Error: "listing keys: " + said},
			want:    "a failed: listing keys: " + said,
		},
		"a run that a store holds back, with what that store said": {
			outcome: result.Outcome{
				Result: result.InProgress, Condition: condition.InProgress, Reason: reason.StoreUnreachable,
				Stores: []result.Store{{Name: "file"}, {Name: "vault", Fault: reason.StoreUnreachable, Error: said}},
			},
			want: "a is in-progress (store-unreachable): vault: " + said,
		},
		"a store's other fault is not the reason": {
			outcome: result.Outcome{
				Result: result.Blocked, Condition: condition.Blocked, Reason: reason.KeyDisabled,
				Stores: []result.Store{{Name: "vault", Fault: reason.StoreUnreachable, Error: said}},
			},
			want: "a is blocked (key-disabled)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			tc.outcome.Credential = "a"
			err := verdict(Streams{}, result.Sweep{Outcomes: []result.Outcome{tc.outcome}}, nil)
			if err == nil || !strings.HasSuffix(err.Error(), ": "+tc.want) {
				t.Errorf("%v, want %s", err, tc.want)
			}
		})
	}
}

func TestWhatCouldNotBeReadSaysWhetherItIsTriedAgain(t *testing.T) {
	for name, tc := range map[string]struct {
		err  error
		code int
	}{
		"a login that IAM refuses is an error":       {port.ErrLogin, ExitError},
		"a list that IAM denies needs a person":      {port.ErrDenied, ExitAct},
		"a list that did not come is read once more": {port.ErrUnavailable, ExitTryAgain},
	} {
		if got := Exit(unknownError(fmt.Errorf("listing keys: %w", tc.err)), io.Discard); got != tc.code {
			t.Errorf("%s: exit code %d, want %d", name, got, tc.code)
		}
	}
}
