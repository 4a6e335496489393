// Package verify finds out on a real account what IBM's documents leave open. It makes a
// service ID, keys and policies of its own, tries calls whose answers are not documented,
// and deletes everything again. What it learns sets the switches of the emulator.
package verify

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/secret"
)

// Config configures a verification.
type Config struct {
	HTTP    *http.Client // logs in as latchkey
	Plain   *http.Client // does not log in
	IAM     string       // origin
	Account string

	Project    Project    // "": Code Engine is not tried
	Logs       Logs       // "": Cloud Logs is not tried
	Secrets    Secrets    // "": Secrets Manager is not tried
	NewProject NewProject // "": no project is made
	Fill       bool       // make as many policies, secrets and secret groups as are allowed

	Notifications Notifications // "": Event Notifications is not tried
	Pod           Pod           // "": no trusted profile is tried

	Now      func() time.Time
	Wait     func(context.Context, time.Duration) error
	Patience time.Duration // how long a change may take to show; default 2m
	Log      io.Writer     // receives a line per step
}

// Project is a Code Engine project in which a secret is made.
type Project struct{ Origin, ID string }

// Logs is a Cloud Logs instance that gets log lines.
type Logs struct{ Origin, Host, Instance string }

// Secrets is the Secrets Manager instance in which groups and secrets are made.
type Secrets struct{ Origin, Host, Instance string }

// Report is what a verification found.
type Report struct {
	Account  string            `json:"account"`
	Began    time.Time         `json:"began"`
	Ended    time.Time         `json:"ended"`
	Switches map[string]any    `json:"switches"` // as the emulator takes them
	Lags     []Lag             `json:"lags"`
	Rights   []Right           `json:"rights"`
	Limits   []Limit           `json:"limits"`
	Untried  map[string]string `json:"untried"` // reasons by switch
	Left     []string          `json:"left"`    // what could not be deleted
}

// Lag is how long a change took to show.
type Lag struct {
	Of   string        `json:"of"`
	Took time.Duration `json:"took"`
	Seen bool          `json:"seen"` // false: it did not show in time

	late bool // a look did not show it: else only the calls took so long
}

// Right is something that a key without the right for it tried.
type Right struct {
	Tried   string `json:"tried"`
	Status  int    `json:"status"`
	Refused bool   `json:"refused"`
}

// What a verification makes has a name that starts with prefix. A service ID has the
// description about.
const (
	prefix = "latchkey-verify-"
	about  = "Made by latchkey verify, which deletes it"
)

// life is when a key of a verification expires that was not deleted.
const life = time.Hour

// Errors of a verification.
var (
	// ErrSetup is the error for an account in which nothing could be tried.
	ErrSetup = errors.New("the throw-away service ID could not be made")
	// ErrLeft is the error for things that could not be deleted.
	ErrLeft = errors.New("not everything was deleted")
)

// A bench is one verification under way.
type bench struct {
	Config
	name     string
	report   *Report
	cleanups []cleanup
	id       thing // the service ID
	key      thing
	value    secret.Value // of the key
	bearer   string       // the header Authorization with the key's token
	group    string       // the ID of the secret group; "": there is none
	made     string       // the ID of the project that was made; "": there is none
	unsure   bool         // there may be a key whose creation or deletion has no answer
}

type cleanup struct {
	what   string
	delete func(context.Context) error
	unsure *bool // whether the answer to its creation is not known; nil: it is
}

// A thing is a service ID, key or policy.
type thing struct{ ID, IAMID, ETag string }

// Run tries everything, deletes what it made, and reports. It deletes also when the
// context ends or a step fails.
func Run(ctx context.Context, cfg Config) (Report, error) {
	if cfg.Patience == 0 {
		cfg.Patience = 2 * time.Minute
	}
	b := &bench{
		Config: cfg, name: prefix + strings.ToLower(rand.Text()[:8]),
		report: &Report{Account: cfg.Account, Began: cfg.Now().UTC(), Switches: map[string]any{}, Untried: untried()},
	}
	b.removeLeftovers(ctx)
	err := b.try(ctx)
	// What was made must go even if the context has ended.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Minute)
	defer cancel()
	b.clean(last)
	b.report.Ended = cfg.Now().UTC()
	if len(b.report.Left) > 0 {
		err = errors.Join(err, fmt.Errorf("deleting what was made: %w: %s", ErrLeft, strings.Join(b.report.Left, "; ")))
	}
	return *b.report, err
}

// late is how long a list may take to show what was made.
const late = 30 * time.Second

// clean deletes what was made, the newest first. What could not be deleted is tried again,
// and what a list may not have shown yet is looked for again.
func (b *bench) clean(ctx context.Context) {
	slices.Reverse(b.cleanups)
	b.report.Left = b.delete(ctx, b.cleanups)
	unsure := slices.DeleteFunc(b.cleanups, func(c cleanup) bool { return c.unsure == nil || !*c.unsure })
	if len(unsure) > 0 && b.Wait(ctx, late) == nil {
		b.report.Left = append(b.report.Left, b.delete(ctx, unsure)...)
	}
}

// delete runs cleanups, and those that fail again. It returns what is left, and why.
func (b *bench) delete(ctx context.Context, cleanups []cleanup) (left []string) {
	for try := 1; len(cleanups) > 0; try++ {
		var failed []cleanup
		left = nil
		for _, c := range cleanups {
			if err := c.delete(ctx); err != nil {
				failed, left = append(failed, c), append(left, fmt.Sprintf("%s: %v", c.what, err))
			}
		}
		if cleanups = failed; try == 3 || len(failed) > 0 && b.Wait(ctx, time.Second) != nil {
			break
		}
	}
	return left
}

// untried returns why a switch stays a guess that no probe tries.
func untried() map[string]string {
	return map[string]string{"leakIgnoresLock": "only IBM's scanner shows it, and verify publishes no key (docs/operations.md)"}
}

// An impossibleError is why a probe can settle nothing on this account.
type impossibleError string

func (why impossibleError) Error() string { return string(why) }

func impossible(format string, args ...any) error {
	return impossibleError(fmt.Sprintf(format, args...))
}

// settle records what a switch is. A status of success settles no status of refusal: one
// that the switch knows as such is 0.
func (b *bench) settle(name string, value any) {
	if status, ok := value.(int); ok && strings.HasSuffix(name, "Status") && status < 400 && status != 0 {
		b.skip(name, fmt.Sprintf("the call was not refused: it was answered %d", status))
		return
	}
	delete(b.report.Untried, name)
	b.report.Switches[name] = value
	b.say("%s is %v", name, value)
}

// settleRefusal records the status of a refusal, unless it tells of a missing role.
func (b *bench) settleRefusal(name, what string, status int) {
	if status == http.StatusUnauthorized || status == http.StatusForbidden {
		b.skip(name, fmt.Sprintf("%s was answered %d", what, status))
		return
	}
	b.settle(name, status)
}

func (b *bench) skip(name, why string) { b.report.Untried[name] = why }

func (b *bench) say(format string, args ...any) { fmt.Fprintf(b.Log, format+"\n", args...) }

func (b *bench) later(what string, remove func(context.Context) error) {
	b.cleanups = append(b.cleanups, cleanup{what: what, delete: remove})
}

// making makes something. How it is deleted is registered before, and forgotten if it is
// refused. An answer that is not known is empty then.
func (b *bench) making(what string, create func() (answer, error), remove func(context.Context, answer) error) (answer, error) {
	var made answer
	unsure := true
	b.cleanups = append(b.cleanups, cleanup{what, func(ctx context.Context) error { return remove(ctx, made) }, &unsure})
	a, err := create()
	if err == nil {
		unsure, made = false, a
	}
	if err == nil && a.status >= 300 {
		b.cleanups = b.cleanups[:len(b.cleanups)-1]
	}
	return a, err
}

// An answer is what a call was answered.
type answer struct {
	status int
	body   map[string]any
	raw    string
	etag   string
}

func (a answer) text(keys ...string) string {
	var v any = a.body
	for _, k := range keys {
		switch at := v.(type) {
		case map[string]any:
			v = at[k]
		case []any:
			if len(at) == 0 {
				return ""
			}
			first, _ := at[0].(map[string]any)
			v = first[k]
		}
	}
	s, _ := v.(string)
	return s
}

func (a answer) thing() thing {
	etag := a.etag
	if etag == "" {
		etag = a.text("entity_tag")
	}
	return thing{a.text("id"), a.text("iam_id"), etag}
}

// call sends JSON and returns the answer. header has pairs of name and value.
func (b *bench) call(ctx context.Context, client *http.Client, method, at string, body any, header ...string) (answer, error) {
	a, err := b.answered(ctx, method == http.MethodGet, func() (answer, error) {
		return once(ctx, client, method, at, body, header...)
	})
	if err != nil && method != http.MethodGet && strings.HasPrefix(at, b.IAM+"/v1/apikeys") {
		b.unsure = true
	}
	return a, err
}

// answered makes a call that came too soon again, and a read that met a fault. A fault is
// an error, since it settles nothing.
func (b *bench) answered(ctx context.Context, read bool, call func() (answer, error)) (answer, error) {
	a, _, err := b.await(ctx, b.Patience, func() (bool, answer, error) {
		a, err := call()
		return !a.tooSoon() && (!read || a.status < 500), a, err
	})
	switch {
	case err != nil:
		return a, err
	case a.tooSoon():
		return a, impossible("the service takes too few calls: the call was answered %d", a.status)
	case a.status >= 500:
		return a, impossible("the service had a fault: the call was answered %d", a.status)
	}
	return a, nil
}

// tooSoon reports whether a rate limit refused a call. A limit of how many there may be
// has another code.
func (a answer) tooSoon() bool {
	code := a.text("errors", "code")
	return a.status == http.StatusTooManyRequests && (code == "" || code == "too_many_requests")
}

// once sends JSON once.
func once(ctx context.Context, client *http.Client, method, at string, body any, header ...string) (answer, error) {
	var in io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return answer{}, fmt.Errorf("encoding a request: %w", err)
		}
		in = strings.NewReader(string(data))
	}
	req, err := http.NewRequestWithContext(ctx, method, at, in)
	if err != nil {
		return answer{}, fmt.Errorf("making a request: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
			continue
		}
		req.Header.Set(header[i], header[i+1])
	}
	return send(client, req)
}

// longest bounds the bytes that are read of an answer.
const longest = 1 << 20

func send(client *http.Client, req *http.Request) (answer, error) {
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, fmt.Errorf("calling %s %s: %w", req.Method, req.URL.Path, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, longest))
	if err != nil {
		return answer{}, fmt.Errorf("reading the answer of %s: %w", req.URL.Path, err)
	}
	a := answer{status: resp.StatusCode, etag: resp.Header.Get("Etag"), raw: string(data)}
	_ = json.Unmarshal(data, &a.body) // some answers have no JSON
	return a, nil
}

// exchange asks for a token of a key.
func (b *bench) exchange(ctx context.Context, value secret.Value) (answer, error) {
	return b.post(ctx, url.Values{"grant_type": {"urn:ibm:params:oauth:grant-type:apikey"}, "apikey": {value.Expose()}})
}

// post asks for a token.
func (b *bench) post(ctx context.Context, form url.Values) (answer, error) {
	return b.answered(ctx, true, func() (answer, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.IAM+"/identity/token", strings.NewReader(form.Encode()))
		if err != nil {
			return answer{}, fmt.Errorf("making a request: %w", err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		return send(b.Plain, req)
	})
}

// await repeats a call until it is done, and gives up after a time. It returns the last
// answer.
func (b *bench) await(ctx context.Context, limit time.Duration, call func() (done bool, a answer, err error)) (answer, bool, error) {
	began, pause := b.Now(), 100*time.Millisecond
	for {
		done, a, err := call()
		if err != nil || done || b.Now().Sub(began) > limit {
			return a, done, err
		}
		if err := b.Wait(ctx, pause); err != nil {
			return a, false, fmt.Errorf("waiting: %w", err)
		}
		pause = min(2*pause, 5*time.Second)
	}
}

// A look is a call that is repeated until it shows what is waited for.
type look struct {
	of  string
	try func() (done bool, a answer, err error)
}

// until looks until all is seen, or for as long as patience lasts. It records how long
// each took, and returns the last answer of the first look.
func (b *bench) until(ctx context.Context, looks ...look) (first answer, err error) {
	began, pause := b.Now(), 100*time.Millisecond
	seen := make([]bool, len(looks))
	for again := false; ; again = true {
		for i, l := range looks {
			if seen[i] {
				continue
			}
			done, a, err := l.try()
			if i == 0 {
				first = a
			}
			if err != nil {
				return first, err
			}
			if took := b.Now().Sub(began); done || took > b.Patience {
				seen[i] = true
				b.report.Lags = append(b.report.Lags, Lag{Of: l.of, Took: took, Seen: done, late: again && took > time.Second})
				unseen := ""
				if !done {
					unseen = ", and was not seen by then"
				}
				b.say("%s after %s%s", l.of, took.Round(time.Millisecond), unseen)
			}
		}
		if !slices.Contains(seen, false) {
			return first, nil
		}
		if err := b.Wait(ctx, pause); err != nil {
			return first, fmt.Errorf("waiting until %s: %w", looks[0].of, err)
		}
		pause = min(2*pause, 2*time.Second)
	}
}
