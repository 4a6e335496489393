package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
)

// This file finds what a service ID of ours has beyond the config, and takes down the
// policies among it that we granted.

// driftReason returns why a policy is one that the config does not say.
func driftReason(d access.Drift) reason.Reason {
	switch {
	case d.Wider:
		return reason.PolicyWider
	case d.Ours:
		return reason.PolicyLeft
	}
	return reason.PolicyForeign
}

// excess returns the policies to take down, if the config asks for that, and the
// policies that the others leave granted.
func (ru *run) excess() ([]access.Drift, []access.Policy) {
	if !ru.c.NarrowPolicies || len(ru.c.Policies) == 0 {
		return nil, ru.facts.Granted
	}
	return access.Excess(ru.c.Policies, ru.facts.Granted)
}

// narrow takes down a policy of ours, or the roles of it that the config does not say.
func (ru *run) narrow(ctx context.Context, s protocol.Step) error {
	excess, _ := ru.excess()
	i := slices.IndexFunc(excess, func(d access.Drift) bool { return d.ID == s.Target })
	if i < 0 {
		return fmt.Errorf("narrowing policy %s: the config says it: %w", s.Target, port.ErrRefused)
	}
	return ru.Identities.Narrow(ctx, ru.id.IAMID, excess[i].Policy, excess[i].Keep)
}

// mostDriftNotes limits the notes about what a service ID has beyond the config.
const mostDriftNotes = 10

// noteDrift adds notes about what the service ID has beyond the config, each with its
// fix. A service ID that the config gives belongs to other software.
func (ru *run) noteDrift() {
	if ru.id.ID == "" || ru.c.Given != "" || ru.c.Gone {
		return
	}
	var notes []result.Note
	add := func(n protocol.Note, format string, args ...any) {
		notes = append(notes, result.Note{Note: n, Message: n.Reason.Sentence() + ": " + fmt.Sprintf(format, args...)})
	}
	if len(ru.c.Policies) > 0 {
		for _, d := range access.Beyond(ru.c.Policies, ru.facts.Granted) {
			if !ru.took(protocol.NarrowPolicy, d.ID) {
				add(protocol.Note{Reason: driftReason(d), Thing: d.ID, Creator: cmp.Or(d.Creator, "unknown")}, "%s. %s", d.Label(), ru.driftFix(d))
			}
		}
	}
	forged := 0
	for _, f := range ru.facts.Forged {
		if strings.HasPrefix(f.ID, "ApiKey-") {
			forged++
		}
	}
	if others := ru.facts.Foreign[ru.id.IAMID] - forged; others > 0 && ru.c.AdoptKey == "" {
		add(protocol.Note{Reason: reason.KeysForeign, Thing: ru.id.ID}, "%d. List them: ibmcloud iam service-api-keys %s", others, ru.id.ID)
	}
	for _, name := range ru.beyondGroups() {
		add(protocol.Note{Reason: reason.GroupForeign, Thing: ru.id.ID}, "%q. If it is not needed: ibmcloud iam access-group-service-id-remove %q %s; else add it to accessGroups", name, name, ru.id.ID)
	}
	if want := ru.c.Description; ru.id.Marked && ru.id.Text != want {
		add(protocol.Note{Reason: reason.TextChanged, Thing: ru.id.ID},
			"IAM has %q, the config %q. Change it in the config, or in the console (Manage > Access (IAM) > Service IDs); keep what is in brackets", ru.id.Text, want)
	}
	if more := len(notes) - mostDriftNotes; more > 0 {
		notes = notes[:mostDriftNotes]
		notes[mostDriftNotes-1].Message += fmt.Sprintf(" (%d more notes are left out)", more)
	}
	ru.out.Notes = append(ru.out.Notes, notes...)
}

// beyondGroups returns the names of the access groups that the config does not name.
func (ru *run) beyondGroups() (names []string) {
	for _, g := range ru.facts.Member {
		if !slices.Contains(ru.c.Groups, g.ID) && !slices.Contains(ru.c.Groups, g.Name) {
			names = append(names, g.Name)
		}
	}
	return names
}

// driftFix says how to take away what the config does not say.
func (ru *run) driftFix(d access.Drift) string {
	switch {
	case d.Ours && ru.c.NarrowPolicies:
		return "latchkey takes it down once the policies of the config are 15 minutes old"
	case d.Ours && len(d.Keep) > 0:
		return "To take down what the config does not say: narrowPolicies: true in the config, or remove the roles in the console (Manage > Access (IAM) > Service IDs)"
	case d.Ours:
		return fmt.Sprintf("To take it down: narrowPolicies: true in the config, or ibmcloud iam service-policy-delete %s %s", ru.id.ID, d.ID)
	}
	return fmt.Sprintf("latchkey leaves it. If it is not needed: ibmcloud iam service-policy-delete %s %s; else add it to the config", ru.id.ID, d.ID)
}
