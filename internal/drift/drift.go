// Package drift says what a service ID of ours has beyond the config, each with its fix,
// and what only looks like ours. It is pure.
package drift

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/observe"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
)

// most limits the notes of each kind.
const most = 10

// Notes returns what a credential's service ID has beyond the config. narrowed reports
// whether the run has taken a policy down since. A service ID that the config gives
// belongs to other software.
func Notes(c port.Credential, id port.ServiceID, f *observe.Facts, narrowed func(policy string) bool) []result.Note {
	if id.ID == "" || c.Given != "" || c.Gone {
		return nil
	}
	var notes []result.Note
	add := func(n protocol.Note, format string, args ...any) {
		notes = append(notes, result.Note{Note: n, Message: n.Reason.Sentence() + ": " + fmt.Sprintf(format, args...)})
	}
	if len(c.Policies) > 0 {
		for _, d := range access.Beyond(c.Policies, f.Granted) {
			if !narrowed(d.ID) {
				add(protocol.Note{Reason: whose(d), Thing: d.ID, Creator: cmp.Or(d.Creator, "unknown")}, "%s. %s", d.Label(), fix(d, c, id))
			}
		}
	}
	if others := f.Foreign[id.IAMID] - forgedKeys(f); others > 0 && c.AdoptKey == "" {
		add(protocol.Note{Reason: reason.KeysForeign, Thing: id.ID}, "%d. List them: ibmcloud iam service-api-keys %s", others, id.ID)
	}
	for _, g := range f.Member {
		if slices.Contains(c.Groups, g.ID) || slices.Contains(c.Groups, g.Name) {
			continue
		}
		add(protocol.Note{Reason: reason.GroupForeign, Thing: id.ID},
			"%q. If it is not needed: ibmcloud iam access-group-service-id-remove %q %s; else add it to accessGroups", g.Name, g.Name, id.ID)
	}
	if id.Marked && id.Text != c.Description {
		add(protocol.Note{Reason: reason.TextChanged, Thing: id.ID},
			"IAM has %q, the config %q. Change it in the config, or in the console (Manage > Access (IAM) > Service IDs); keep what is in brackets", id.Text, c.Description)
	}
	if more := len(notes) - most; more > 0 {
		notes = notes[:most]
		notes[most-1].Message += fmt.Sprintf(" (%d more notes are left out)", more)
	}
	return notes
}

// whose returns why a policy is one that the config does not say.
func whose(d access.Drift) reason.Reason {
	switch {
	case d.Wider:
		return reason.PolicyWider
	case d.Ours:
		return reason.PolicyLeft
	}
	return reason.PolicyForeign
}

// forgedKeys counts the keys with our marker that are not ours. They have notes of
// their own.
func forgedKeys(f *observe.Facts) (n int) {
	for _, thing := range f.Forged {
		if strings.HasPrefix(thing.ID, "ApiKey-") {
			n++
		}
	}
	return n
}

// fix says how to take away what the config does not say.
func fix(d access.Drift, c port.Credential, id port.ServiceID) string {
	switch {
	case d.Ours && c.NarrowPolicies:
		return "latchkey takes it down once the policies of the config are 15 minutes old"
	case d.Ours && len(d.Keep) > 0:
		return "To take down what the config does not say: narrowPolicies: true in the config, or remove the roles in the console (Manage > Access (IAM) > Service IDs)"
	case d.Ours:
		return fmt.Sprintf("To take it down: narrowPolicies: true in the config, or ibmcloud iam service-policy-delete %s %s", id.ID, d.ID)
	}
	return fmt.Sprintf("latchkey leaves it. If it is not needed: ibmcloud iam service-policy-delete %s %s; else add it to the config", id.ID, d.ID)
}

// Forged returns a note about each thing that has our marker and is not ours, up to a
// limit.
func Forged(things []port.Forgery) (notes []result.Note) {
	for _, f := range things[:min(len(things), most)] {
		n := protocol.Note{Reason: reason.ForgedMarker, Thing: f.ID, Creator: cmp.Or(f.Creator, "unknown")}
		notes = append(notes, result.Note{Note: n, Message: n.Reason.Sentence()})
	}
	return notes
}
