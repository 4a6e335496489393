package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/latchkey-io/latchkey/internal/keyless"
	"github.com/latchkey-io/latchkey/internal/port"
)

// judged is a finding with the credential and the store that it is about.
type judged struct {
	Credential string `json:"credential"`
	Store      string `json:"store"`
	keyless.Finding
}

// Keyless prints which consumers could use a trusted profile instead of a key, and what
// it takes. It changes nothing.
func (r Runner) Keyless(ctx context.Context, names []string) error {
	credentials, unlisted, err := r.find(ctx, names)
	if err != nil {
		return err
	}
	account, err := r.Own(ctx)
	if err != nil {
		return fmt.Errorf("reading latchkey's account: %w", err)
	}
	findings, unread := judge(ctx, credentials, account)
	if err := r.printKeyless(findings); err != nil {
		return fmt.Errorf("printing the consumers: %w", err)
	}
	if incomplete := errors.Join(unlisted, unread); incomplete != nil {
		return fmt.Errorf("%w: %w", ErrTryAgain, incomplete)
	}
	return nil
}

// atOnce is how many stores are read at the same time. The calls are paced besides.
const atOnce = 16

// judge reads who reads each store. A store whose readers can't be read is in unread.
func judge(ctx context.Context, credentials []port.Credential, account string) (all []judged, unread error) {
	type place struct {
		port.Credential
		port.Store
	}
	var places []place
	for _, c := range credentials {
		if c.Invalid == nil {
			for _, s := range c.Stores {
				places = append(places, place{c, s})
			}
		}
	}
	found, faults := make([][]judged, len(places)), make([]error, len(places))
	var g errgroup.Group
	g.SetLimit(atOnce)
	for i, p := range places {
		g.Go(func() error {
			found[i], faults[i] = judgeStore(ctx, p.Credential, p.Store, account)
			return nil
		})
	}
	_ = g.Wait() // faults has the errors
	return slices.Concat(found...), errors.Join(faults...)
}

// judgeStore returns the findings about the readers of a store. One that does not show its
// readers has a finding, too.
func judgeStore(ctx context.Context, c port.Credential, s port.Store, account string) (all []judged, err error) {
	var readers keyless.Readers
	if site, shows := s.(port.Site); shows {
		if readers, err = site.Readers(ctx); err != nil {
			return nil, fmt.Errorf("%s: %w", c.Name, err)
		}
	}
	for _, f := range keyless.Judge(readers, account, services(c)) {
		all = append(all, judged{c.Name, s.Name(), f})
	}
	return all, nil
}

// services returns the services of a credential's policies.
func services(c port.Credential) (names []string) {
	for _, p := range c.Policies {
		names = append(names, p.Service)
	}
	return names
}

func (r Runner) printKeyless(findings []judged) error {
	if r.Format.structured() {
		return r.Format.printStructured(r.Std.Out, map[string]any{"consumers": append([]judged{}, findings...)})
	}
	width := r.Std.Width
	if r.Format.Output == "wide" {
		width = 0
	}
	t := table{width: width, header: []string{"CREDENTIAL", "PROFILE", "CONSUMER", "STORE", "WHY"}}
	for _, f := range findings {
		colour := ""
		if r.Std.Colour {
			colour = map[keyless.Verdict]string{keyless.Yes: green, keyless.Unknown: yellow}[f.Profile]
		}
		t.rows = append(t.rows, []cell{{text: f.Credential}, {string(f.Profile), colour}, {text: cmp.Or(f.Consumer, "-")}, {text: f.Store}, {text: f.Why}})
	}
	if err := t.write(r.Std.Out); err != nil {
		return err
	}
	for _, f := range findings {
		if len(f.Change) == 0 {
			continue
		}
		lines := []string{fmt.Sprintf("\n%s, %s:", f.Credential, cmp.Or(f.Consumer, f.Store))}
		for _, m := range f.Missing {
			lines = append(lines, "  missing: "+m)
		}
		for _, c := range f.Change {
			lines = append(lines, "  to do:   "+c)
		}
		for _, line := range lines {
			if err := r.Std.printLine("%s", line); err != nil {
				return err
			}
		}
	}
	return nil
}
