package cli

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/evidence"
	"github.com/latchkey-io/latchkey/internal/page"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/report"
	"github.com/latchkey-io/latchkey/internal/signature"
	"github.com/latchkey-io/latchkey/internal/userfile"
)

// Evidence are the flags of commands that tell the past.
type Evidence struct {
	Audit []string `help:"Audit records of Activity Tracker, as JSON. They tell of deleted keys. Repeatable." placeholder:"FILE" sep:"none"`
}

// records reads the audit records.
func (e Evidence) records(ctx context.Context) (all []evidence.Record, err error) {
	for _, name := range e.Audit {
		f, err := userfile.Open(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("opening audit records: %w", err)
		}
		some, err := evidence.ReadAudit(f)
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, some...)
	}
	return all, nil
}

// gather looks at the credentials and reads what IAM shows of their keys. incomplete is
// what could not be read.
func (r Runner) gather(ctx context.Context, names []string) (all []evidence.Credential, incomplete, err error) {
	credentials, unlisted, err := r.find(ctx, names)
	if err != nil {
		return nil, nil, err
	}
	looked := r.plan(ctx, credentials, unlisted, reconcile.Request{})
	all = evidence.Gather(ctx, r.IAM, credentials, looked.Outcomes)
	incomplete = looked.Unknown
	for _, c := range all {
		for _, u := range c.Unread {
			incomplete = errors.Join(incomplete, fmt.Errorf("%s: %s", c.Credential, u))
		}
	}
	return all, incomplete, nil
}

// History prints the life of the credentials' keys, and where the sources end.
func (r Runner) History(ctx context.Context, e Evidence, name string) error {
	records, err := e.records(ctx)
	if err != nil {
		return err
	}
	all, incomplete, err := r.gather(ctx, []string{name})
	if err != nil {
		return err
	}
	histories := make([]evidence.History, len(all))
	for i, c := range all {
		histories[i] = c.Tell(records, r.Now())
	}
	if err := r.printHistories(histories); err != nil {
		return fmt.Errorf("printing the history: %w", err)
	}
	if incomplete != nil {
		return unknownError(incomplete)
	}
	return nil
}

func (r Runner) printHistories(histories []evidence.History) error {
	if r.Format.structured() {
		return r.Format.printStructured(r.Std.Out, map[string]any{"histories": histories})
	}
	for _, h := range histories {
		if len(histories) > 1 {
			if err := r.Std.printLine("%s", h.Credential); err != nil {
				return err
			}
		}
		if err := r.printMoments(h.Moments); err != nil {
			return err
		}
		for _, line := range h.Ends {
			if err := r.Std.printLine("%s", line); err != nil {
				return err
			}
		}
	}
	return nil
}

// printMoments prints a table. On a terminal each moment is a line that is wrapped, and
// has no IAM ID of who did it.
func (r Runner) printMoments(moments []evidence.Moment) error {
	if r.Std.Width > 0 && r.Format.Output != "wide" {
		for _, m := range moments {
			if err := r.Std.printLine("%s %s: %s (%s)", m.At.UTC().Format("2006-01-02 15:04"), shortIDs(m.Key), m.What, m.From); err != nil {
				return err
			}
		}
		return nil
	}
	t := table{header: []string{"TIME", "KEY", "FROM", "BY", "WHAT"}}
	for _, m := range moments {
		t.rows = append(t.rows, []cell{{text: m.At.UTC().Format(time.DateTime)}, {text: m.Key}, {text: string(m.From)}, {text: m.By}, {text: m.What}})
	}
	return t.write(r.Std.Out)
}

// Report says what a report is made of, and where it is written.
type Report struct {
	Evidence
	CSV     bool          `help:"Print one line per key, for a spreadsheet." name:"csv" xor:"format"`
	JSON    bool          `help:"Print the report as JSON." name:"json" xor:"format"`
	HTML    string        `help:"Write a page that needs nothing beside itself, and prints well." name:"html" placeholder:"FILE" xor:"format"`
	Account bool          `help:"Count all API keys of the account instead, with the commands that would adopt or end them."`
	Sign    string        `help:"Sign what is written with an ECDSA key in PEM form, and print the signature to stderr." placeholder:"KEYFILE"`
	Period  time.Duration `help:"The period in which rotations are counted." default:"2160h" placeholder:"DURATION"`
}

// errUnsigned: the text for people has no digest.
var errUnsigned = errors.New("--sign signs what --csv, --json and --html write: pass one of them")

// signer returns how the report is signed: nil if it is not.
func (how Report) signer(ctx context.Context) (func(sum []byte) (string, error), error) {
	switch {
	case how.Sign == "":
		return nil, nil //nolint:nilnil // it is not signed
	case !how.CSV && !how.JSON && how.HTML == "":
		return nil, errUnsigned
	}
	key, err := signature.ReadKey(ctx, how.Sign)
	if err != nil {
		return nil, err
	}
	return func(sum []byte) (string, error) { return signature.Of(key, sum) }, nil
}

// Report prints or writes the evidence about every key against named controls. It
// prints the SHA-256 of what it wrote to stderr, in the form of sha256sum, and its
// signature.
func (r Runner) Report(ctx context.Context, how Report, owner, version string) error {
	sign, err := how.signer(ctx)
	if err != nil {
		return err
	}
	if how.Account {
		return r.census(ctx, how, sign)
	}
	records, err := how.records(ctx)
	if err != nil {
		return err
	}
	all, incomplete, err := r.gather(ctx, nil)
	if err != nil {
		return err
	}
	made := report.Of(owner, version, all, records, how.Period, r.Now())
	switch {
	case how.HTML != "":
		err = r.writePage(ctx, how.HTML, page.Page{Owner: owner, Version: version, Now: r.Now(), Credentials: all, Records: records, File: true, Report: &made}, sign)
	case how.CSV:
		err = r.digested("-", r.Std.Out, made.WriteCSV, sign)
	case how.JSON:
		err = r.digested("-", r.Std.Out, made.WriteJSON, sign)
	default:
		err = r.printText(made.WriteText)
	}
	switch {
	case err != nil:
		return fmt.Errorf("writing the report: %w", err)
	case incomplete != nil:
		return unknownError(fmt.Errorf("reporting, not completely: %w", incomplete))
	}
	return nil
}

// errNoCensusPage: a census is a table.
var errNoCensusPage = errors.New("--account has no page: use --csv or --json")

// census prints all API keys of the account.
func (r Runner) census(ctx context.Context, how Report, sign func([]byte) (string, error)) error {
	if how.HTML != "" {
		return errNoCensusPage
	}
	keys, err := r.Account(ctx)
	if err != nil {
		return err
	}
	var ids []string
	for _, k := range keys {
		ids = append(ids, k.ID)
	}
	used, incomplete := evidence.Uses(ctx, r.IAM, ids)
	c := report.CensusOf(keys, used, r.Now())
	switch {
	case how.CSV:
		err = r.digested("-", r.Std.Out, c.WriteCSV, sign)
	case how.JSON:
		err = r.digested("-", r.Std.Out, c.WriteJSON, sign)
	default:
		err = r.printText(c.WriteText)
	}
	switch {
	case err != nil:
		return fmt.Errorf("writing the census: %w", err)
	case incomplete != nil:
		return fmt.Errorf("%w: the use of some keys is not known: %w", ErrTryAgain, incomplete)
	}
	return nil
}

// printText prints a text for people. On a terminal its lines are wrapped.
func (r Runner) printText(write func(io.Writer) error) error {
	var text strings.Builder
	if err := write(&text); err != nil {
		return err
	}
	for line := range strings.Lines(text.String()) {
		if err := r.Std.printLine("%s", strings.TrimSuffix(line, "\n")); err != nil {
			return err
		}
	}
	return nil
}

func (r Runner) writePage(ctx context.Context, name string, p page.Page, sign func([]byte) (string, error)) error {
	return r.digested(name, io.Discard, func(hash io.Writer) error {
		var text bytes.Buffer
		if err := p.Write(io.MultiWriter(&text, hash), page.Query{Sort: page.Orders[0]}); err != nil {
			return err
		}
		return userfile.Write(ctx, name, text.Bytes())
	}, sign)
}

// digested writes, and prints the digest of what was written and, if it is signed, the
// signature.
func (r Runner) digested(name string, to io.Writer, write func(io.Writer) error, sign func([]byte) (string, error)) error {
	hash := sha256.New()
	if err := write(io.MultiWriter(to, hash)); err != nil {
		return err
	}
	sum := hash.Sum(nil)
	fmt.Fprintf(r.Std.Err, "%s  %s\n", hex.EncodeToString(sum), name)
	if sign == nil {
		return nil
	}
	sig, err := sign(sum)
	if err == nil {
		fmt.Fprintf(r.Std.Err, "signature: %s\n", sig)
	}
	return err
}
