package iam

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

// grantedTo returns the grants of a subject, one a line.
func (w *world) grantedTo(subject string) (lines []string) {
	w.t.Helper()
	grants, err := w.Grants(w.t.Context(), subject)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, g := range grants {
		line := strings.Join(g.Roles, "+")
		for _, a := range g.Attributes {
			line += fmt.Sprintf(" %s %s %s", a.Key, a.Operator, strings.Join(a.Values, ","))
		}
		if g.Conditional {
			line += " if"
		}
		if g.Policy == "" {
			line += " without an ID"
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return lines
}

func TestAGrantHasEveryAttributeOfItsPolicy(t *testing.T) {
	attribute := func(key, operator string, value any) func(*cloud.PolicySpec) {
		return func(s *cloud.PolicySpec) {
			s.Resource = append(s.Resource, cloud.Attribute{Key: key, Operator: operator, Value: value})
		}
	}
	for name, tc := range map[string]struct {
		change func(*cloud.PolicySpec)
		want   string
	}{
		"a whole service": {func(*cloud.PolicySpec) {}, "Sender serviceName stringEquals logs"},
		"one region":      {attribute("region", "stringEquals", "eu-de"), "Sender serviceName stringEquals logs region stringEquals eu-de"},
		"a pattern":       {attribute("serviceInstance", "stringMatch", "7a*"), "Sender serviceName stringEquals logs serviceInstance stringMatch 7a*"},
		"several values": {attribute("region", "stringEqualsAnyOf", []any{"eu-de", "us-south"}),
			"Sender serviceName stringEquals logs region stringEqualsAnyOf eu-de,us-south"},
		"any value": {attribute("region", "stringExists", true), "Sender serviceName stringEquals logs region stringExists true"},
		"tags": {func(s *cloud.PolicySpec) { s.Tags = []cloud.Tag{{Key: "env", Value: "x", Operator: "stringEquals"}} },
			"Sender serviceName stringEquals logs if"},
		"a condition": {func(s *cloud.PolicySpec) { s.Rule, s.Pattern = rule, "time-based-conditions:once" }, "Sender serviceName stringEquals logs if"},
		"all services": {func(s *cloud.PolicySpec) {
			s.Roles = []string{viewerCRN}
			s.Resource[1].Key, s.Resource[1].Value = "serviceType", "platform_service"
		}, "Viewer serviceType stringEquals platform_service"},
		"all IAM services": {func(s *cloud.PolicySpec) {
			s.Roles = []string{viewerCRN}
			s.Resource[1].Key, s.Resource[1].Value = "service_group_id", "IAM"
		}, "Viewer service_group_id stringEquals IAM"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			id := w.identity("a")
			w.by(id, tc.change)
			if got := strings.Join(w.grantedTo(id.IAMID), "; "); got != tc.want {
				t.Errorf("granted %q, want %q", got, tc.want)
			}
		})
	}
}

func TestTheGrantsOfAnAccessGroupAreRead(t *testing.T) {
	w := newWorld(t, nil)
	g, err := w.cloud.Cloud().CreateGroup(cloud.Owner(), cloud.AccountID, "senders", "")
	if err != nil {
		t.Fatal(err)
	}
	w.by(w.identity("a"), func(s *cloud.PolicySpec) {
		s.Subject = []cloud.Attribute{{Key: "access_group_id", Operator: "stringEquals", Value: g.ID}}
	})
	if got := w.grantedTo(g.ID); !slices.Equal(got, []string{"Sender serviceName stringEquals logs"}) {
		t.Errorf("granted %v", got)
	}
}

func TestTheCreatorOfAServiceIDIsRead(t *testing.T) {
	w := newWorld(t, nil)
	ours, theirs := w.identity("a"), w.cloud.Cloud().AddServiceID(cloud.NewServiceID{Name: "b"})
	for iamID, want := range map[string]string{ours.IAMID: w.cloud.Cloud().Minter().IAMID, theirs.IAMID: cloud.OwnerIAMID} {
		if got, err := w.Creator(t.Context(), iamID); err != nil || got != want {
			t.Errorf("the creator of %s is %q, %v, want %q", iamID, got, err, want)
		}
	}
}

func TestTheAnswersThatSayWhatWeMayCanBeErrors(t *testing.T) {
	w := newWorld(t, nil)
	w.cloud.Inject(emulator.Fault{Method: http.MethodGet, Path: "*", Kind: emulator.FaultStatus, Status: http.StatusForbidden})
	ctx := t.Context()
	_, grants := w.Grants(ctx, "iam-ServiceId-1")
	_, creator := w.Creator(ctx, "iam-ServiceId-1")
	_, restricted := w.Restricted(ctx)
	for what, err := range map[string]error{
		"reading the policies of iam-ServiceId-1:":     grants,
		"reading the history of service ID ServiceId-": creator,
		"reading the account's settings:":              restricted,
	} {
		if err == nil || !strings.HasPrefix(err.Error(), what) {
			t.Errorf("err = %v, want %s", err, what)
		}
	}
}
