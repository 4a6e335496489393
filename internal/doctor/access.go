package doctor

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/latchkey-io/latchkey/internal/plural"
	"github.com/latchkey-io/latchkey/internal/port"
)

// readPolicies reads our own policies and those of our access groups. IAM omits
// policies and groups that we may not see, and does not say so: then a role that
// no policy grants is unknown. See the SDK's ListV2Policies and ListAccessGroups.
func (d *examination) readPolicies(ctx context.Context) {
	own, err := d.IAM.Grants(ctx, d.self)
	if err != nil {
		d.unread = "our own policies can't be read"
		d.unsure("", "permissions: %s: %v", d.unread, err)
		return
	}
	for _, g := range own {
		d.policies = append(d.policies, granted{Grant: g})
	}
	groups, err := d.IAM.Groups(ctx, d.self)
	switch {
	case errors.Is(err, port.ErrDenied):
		d.unread, d.noGroups = "our access groups can't be listed", true
	case err != nil:
		d.unread = "our access groups can't be listed"
		d.unsure("", "permissions: %s: %v", d.unread, err)
	}
	inGroups := 0
	for _, g := range groups {
		theirs, err := d.IAM.Grants(ctx, g.ID)
		if err != nil {
			d.unread = "the policies of access group " + g.Name + " can't be read"
			d.unsure("", "permissions: %s: %v", d.unread, err)
			continue
		}
		inGroups += len(theirs)
		for _, one := range theirs {
			d.policies = append(d.policies, granted{one, g.Name})
		}
	}
	switch {
	case d.unread != "":
	case !d.holds("Viewer", groupsService):
		d.unread = "access groups are visible with Viewer on " + groupsService + " only"
	case len(groups) > 0 && !d.holds("Viewer", accessService):
		d.unread = "policies of access groups are visible with Viewer on " + accessService + " only"
	}
	seen := ""
	if d.unread != "" {
		seen = "; " + d.unread
	}
	d.pass("permissions: %s of our own and %d of %s were read%s", plural.Count(len(own), "policy"), inGroups, plural.Count(len(groups), "access group"), seen)
}

// holds reports whether a policy that we can see grants a role on a whole service.
func (d *examination) holds(role, service string) bool {
	n := need{enough: atLeast(role, service), on: resource{service: service}}
	return decide(n, d.policies, "").verdict == held
}

// decide decides about a need, by the policies that were read.
func (d *examination) decide(n need) finding {
	if n.enough == nil {
		n.enough = atLeast(n.role, n.on.service)
	}
	unread := d.unread
	if d.noGroups && n.on.service == groupsService {
		unread = "" // IAM has denied even Viewer
	}
	return decide(n, d.policies, unread)
}

// check prints whether a need is met, and the fix if it is not.
func (d *examination) check(n need) { d.print(n, d.decide(n)) }

func (d *examination) print(n need, f finding) {
	what := fmt.Sprintf("%s on %s", n.role, n.on.service)
	switch f.verdict {
	case held:
		if f.by != "" {
			what += " by access group " + f.by
		}
		d.pass("permission: %s, %s%s", what, n.why, n.on.part())
	case unknown:
		d.unsure(string(d.grant(n.role, n.on)), "permission: %s is unknown, %s%s: %s", what, n.why, n.on.part(), f.by)
	default:
		d.fail(d.grant(n.role, n.on), "permission: %s is missing, %s%s", what, n.why, n.on.part())
	}
}

// checkParts checks a need on several parts of one service. One line is enough if
// we have the role on the whole service, or if no part differs from it and the
// whole service is to be granted.
func (d *examination) checkParts(whole need, parts []resource, grantWhole bool) {
	f := d.decide(whole)
	findings := make([]finding, len(parts))
	worst, best := held, missing
	for i, on := range parts {
		n := whole
		n.on = on
		findings[i] = d.decide(n)
		worst, best = min(worst, findings[i].verdict), max(best, findings[i].verdict)
	}
	if f.verdict == held || len(parts) == 0 || grantWhole && best == f.verdict && worst == f.verdict {
		d.print(whole, f)
		return
	}
	for i, on := range parts {
		n := whole
		n.on = on
		d.print(n, findings[i])
	}
}

// grant returns the command that grants us a role, on no more than the resource.
func (d *examination) grant(role string, on resource) fix {
	if strings.Contains(role, " ") {
		role = strconv.Quote(role)
	}
	return fix(fmt.Sprintf("ibmcloud iam %s --roles %s %s", d.subject(), role, on.options()))
}

// subject returns the command that creates a policy for us.
func (d *examination) subject() string {
	switch {
	case d.Profile != "":
		return "trusted-profile-policy-create " + d.Profile
	case strings.HasPrefix(d.self, "iam-Profile-"):
		return "trusted-profile-policy-create " + strings.TrimPrefix(d.self, "iam-")
	case strings.HasPrefix(d.self, "iam-"):
		return "service-policy-create " + strings.TrimPrefix(d.self, "iam-")
	}
	return "user-policy-create " + d.self
}
