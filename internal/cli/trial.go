package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/latchkey-io/latchkey/internal/port"
)

// Trial proves that a consumer can do its job with a trusted profile. It runs where the
// consumer runs.
type Trial struct {
	Std    Streams
	Format Format
	// Credential is the one with the profile, and Profile the profile's name.
	Credential, Profile string
	// Token returns a token of the profile, from the token of the compute resource.
	Token   func(context.Context) (port.Bearer, error)
	Provers []port.Prover
	// Prove calls a prover, and waits for IAM's lag.
	Prove func(context.Context, port.Prover, port.Proof) error
}

// The results of a proof.
const (
	passed  = "passed"
	failed  = "failed"
	unclear = "unclear" // there was no clear answer
	untried = "not tried"
)

// proven is the result of one proof.
type proven struct {
	Proof  string `json:"proof"`
	Result string `json:"result"`
	Why    string `json:"why,omitempty"`
	err    error
}

// Run prints which proofs passed. It fails unless all did.
func (t Trial) Run(ctx context.Context) error {
	all := t.try(ctx)
	if err := t.print(all); err != nil {
		return fmt.Errorf("printing the proofs: %w", err)
	}
	var faults []error
	for _, p := range all {
		switch p.Result {
		case failed:
			faults = append(faults, fmt.Errorf("%w: %s: %w", ErrAct, p.Proof, p.err))
		case unclear:
			faults = append(faults, fmt.Errorf("%w: %s: %w", ErrTryAgain, p.Proof, p.err))
		}
	}
	return errors.Join(faults...)
}

// try runs the proofs. Without a token none of the others is tried.
func (t Trial) try(ctx context.Context) (all []proven) {
	who, err := t.Token(ctx)
	first := verdictOn(proofOfToken, err)
	switch {
	case first.Result == passed:
		first.Why = who.IAMID + " in account " + who.Account
	case errors.Is(err, port.ErrLogin):
		first.Why += " (has the profile a link for this compute resource? IAM may learn of a new one late)"
	}
	all = append(all, first)
	for _, p := range t.Provers {
		if err != nil {
			all = append(all, proven{Proof: p.Name(), Result: untried})
			continue
		}
		all = append(all, verdictOn(p.Name(), t.Prove(ctx, p, port.Proof{Credential: t.Credential, Token: who.Token})))
	}
	return all
}

// proofOfToken is the proof that every trial begins with.
const proofOfToken = "token"

// verdictOn returns the result of a proof that ended with err.
func verdictOn(proof string, err error) proven {
	switch {
	case err == nil:
		return proven{Proof: proof, Result: passed}
	case errors.Is(err, port.ErrUnavailable), errors.Is(err, context.Canceled):
		return proven{Proof: proof, Result: unclear, Why: err.Error(), err: err}
	}
	return proven{Proof: proof, Result: failed, Why: err.Error(), err: err}
}

func (t Trial) print(all []proven) error {
	if t.Format.structured() {
		return t.Format.printStructured(t.Std.Out, map[string]any{"credential": t.Credential, "profile": t.Profile, "proofs": all})
	}
	out := table{width: t.Std.Width, header: []string{"PROOF", "RESULT", "WHY"}}
	if t.Format.Output == "wide" {
		out.width = 0
	}
	for _, p := range all {
		colour := ""
		if t.Std.Colour {
			colour = map[string]string{passed: green, failed: red, unclear: yellow}[p.Result]
		}
		out.rows = append(out.rows, []cell{{text: p.Proof}, {p.Result, colour}, {text: p.Why}})
	}
	if err := out.write(t.Std.Out); err != nil {
		return err
	}
	if len(t.Provers) == 0 {
		return t.Std.printLine("%s has neither prove.logs nor prove.http: what the profile %s may do is not proven", t.Credential, t.Profile)
	}
	return nil
}
