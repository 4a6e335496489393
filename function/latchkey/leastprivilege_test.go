package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/reason"
)

// policyOf is a grant as s.policy reads it.
func policyOf(g config.Grant) string {
	text := strings.ReplaceAll(g.Role, "Service ID creator", "ServiceIdCreator") + " serviceName=" + g.Service
	if g.Attribute != "" {
		text += " " + g.Attribute + "=" + g.Value
	}
	return text
}

// What a config says it needs is enough for the whole life of a key, and nothing of it
// can be left out.
func TestTheRolesThatAConfigNeedsAreEnoughAndNoneIsTooMany(t *testing.T) {
	logs := "{service: logs, roles: [Sender], instance: " + cloud.LogsInstanceID + "}"
	codeEngine := "  - codeEngine: {project: team-b, region: us-south, secret: logs-sender, entry: IAM_API_KEY}\n"
	secrets := "  - secretsManager: {instance: " + cloud.SecretsInstanceID + ", region: " + cloud.SecretsInstanceRegion + ", name: sender, type: arbitrary}\n"
	for name, tc := range map[string]struct {
		before func(s *stage) (entry string)
		// What an outcome says without each role. Code Engine shows a project to a Writer,
		// too, but IBM's documents ask for both of its roles.
		reasons map[string]string
	}{
		"policies, Code Engine and Secrets Manager": {
			before: func(*stage) string {
				return "- name: c\n  serviceID: {name: c, policies: [" + logs + "]}\n  prove: {logs: {instance: " + cloud.LogsInstanceID + ", region: eu-de}}\n  stores:\n" + codeEngine + secrets
			},
			reasons: map[string]string{
				"Viewer on iam-identity":             string(reason.IdentityDenied),
				"Service ID creator on iam-identity": string(reason.IdentityDenied),
				"Sender on logs":                     string(reason.PolicyWeaker),
				"Administrator on logs":              string(reason.PolicyDenied),
				"Writer on codeengine":               string(reason.StoreDenied),
				"Writer on secrets-manager":          string(reason.StoreDenied),
			},
		},
		"one access group": {
			before: func(s *stage) string {
				g, err := s.cloud.Cloud().CreateGroup(cloud.Owner(), cloud.AccountID, "senders", "")
				if err != nil {
					s.t.Fatal(err)
				}
				return "- name: c\n  serviceID: {name: c, accessGroups: [" + g.ID + "]}\n  stores:\n" + codeEngine
			},
			reasons: map[string]string{
				"Viewer on iam-identity":             string(reason.IdentityDenied),
				"Service ID creator on iam-identity": string(reason.IdentityDenied),
				"Viewer on iam-groups":               string(reason.GroupDenied),
				"Editor on iam-groups":               string(reason.GroupDenied),
				"Writer on codeengine":               string(reason.StoreDenied),
			},
		},
		"a service ID that another tool owns": {
			before: func(s *stage) string {
				id := s.cloud.Cloud().AddServiceID(cloud.NewServiceID{Name: "terraformed", AccountID: cloud.AccountID})
				return "- name: c\n  serviceID: {id: " + id.ID + ", manage: keys}\n  stores:\n" + codeEngine
			},
			reasons: map[string]string{
				"Viewer on iam-identity":        "it needs the roles Viewer and Service ID creator on iam-identity",
				"Administrator on iam-identity": string(reason.IdentityDenied),
				"Writer on codeengine":          string(reason.StoreDenied),
			},
		},
	} {
		// on builds the config on a new cloud, for an identity with all roles but one; -1 is
		// none.
		on := func(t *testing.T, missing int) (s *stage, key, text string, without config.Grant, more bool) {
			s = newStage(t, emulator.Options{})
			text = holesHead + tc.before(s)
			cfg, err := config.Load("c.yaml", []byte(text))
			if err != nil {
				t.Fatal(err)
			}
			grants := cfg.Needs().Grants
			if missing >= len(grants) {
				return s, "", text, without, false
			}
			if missing >= 0 {
				without = grants[missing]
				grants = slices.Delete(grants, missing, missing+1)
			}
			_, key = s.minter(policies(grants)...)
			return s, key, text, without, true
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, key, text, _, _ := on(t, -1)
			if code, list := s.as(key, text, "doctor"); code != cli.ExitOK || !strings.Contains(list, " 0 wider than needed") {
				t.Errorf("the doctor exits with %d:\n%s", code, list)
			}
			if code, outcomes := s.sweepsAs(key, text); code != cli.ExitOK {
				t.Errorf("the sweep exits with %d:\n%s", code, outcomes)
			}
			for missing := 0; ; missing++ {
				s, key, text, without, more := on(t, missing)
				if !more {
					break
				}
				what := without.Role + " on " + without.Service
				want, fails := tc.reasons[what]
				if code, list := s.as(key, text, "doctor"); (code == cli.ExitOK) == fails && !strings.Contains(list, "????") {
					t.Errorf("without %s the doctor exits with %d:\n%s", what, code, list)
				}
				code, outcomes := s.as(key, text, "sweep", "--json")
				if fails != (code == cli.ExitAct) || !fails && code != cli.ExitOK {
					t.Errorf("without %s the sweep exits with %d", what, code)
				}
				if !strings.Contains(outcomes+s.said.String(), want) {
					t.Errorf("without %s the outcome does not say %s:\n%s", what, want, outcomes)
				}
			}
		})
	}
}

// The roles that a config needs are enough for the end of a credential, too. Only the
// deletion of a secret takes Manager.
func TestTheRolesThatAConfigNeedsAreEnoughForTheEnd(t *testing.T) {
	entry := "- name: c\n  keep: false\n  serviceID: {name: c, policies: [{service: logs, roles: [Sender], instance: " + cloud.LogsInstanceID + "}]}\n  stores:\n" +
		"  - codeEngine: {project: team-b, region: us-south, secret: logs-sender, entry: IAM_API_KEY}\n" +
		"  - secretsManager: {instance: " + cloud.SecretsInstanceID + ", region: " + cloud.SecretsInstanceRegion + ", name: sender, type: arbitrary}\n"
	for name, tc := range map[string]struct {
		instead string // of Manager
		code    int
		want    string
	}{
		"with Manager":             {"Manager", cli.ExitOK, `"remove-service-id"`},
		"with Writer in its place": {"Writer", cli.ExitAct, string(reason.StoreDenied)},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, emulator.Options{})
			cfg, err := config.Load("c.yaml", []byte(holesHead+entry))
			if err != nil {
				t.Fatal(err)
			}
			grants := cfg.Needs().Grants
			for i := range grants {
				if grants[i].Service == "secrets-manager" && grants[i].Role == "Manager" {
					grants[i].Role = tc.instead
				}
			}
			_, key := s.minter(policies(grants)...)
			if code, said := s.as(key, holesHead+strings.Replace(entry, "  keep: false\n", "", 1), "sweep"); code != cli.ExitOK {
				t.Fatalf("the sweep exits with %d: %s", code, said)
			}
			if code, said := s.as(key, holesHead+entry, "deprovision", "c", "--force", "--yes"); code != cli.ExitOK && code != cli.ExitTryAgain {
				t.Fatalf("the deprovision exits with %d: %s", code, said)
			}
			s.cloud.Advance(25 * time.Hour)
			code, said := s.as(key, holesHead+entry, "sweep", "--json")
			if code != tc.code || !strings.Contains(said, tc.want) {
				t.Errorf("the end exits with %d, want %d and %s: %s", code, tc.code, tc.want, said)
			}
		})
	}
}

// The roles that a config needs are enough to go keyless and back.
func TestTheRolesThatAConfigNeedsAreEnoughForATrustedProfile(t *testing.T) {
	fails := map[string]string{ // Editor and Operator on iam-identity include the others there
		"Editor on iam-identity":   "it needs the roles Editor and Operator on iam-identity",
		"Operator on iam-identity": "it needs the roles Editor and Operator on iam-identity",
		"Sender on logs":           string(reason.PolicyWeaker),
		"Administrator on logs":    string(reason.PolicyDenied),
		"Writer on codeengine":     string(reason.StoreDenied),
	}
	cfg, err := config.Load("c.yaml", []byte(holesHead+agents(keylessMode)))
	if err != nil {
		t.Fatal(err)
	}
	for missing, all := -1, cfg.Needs().Grants; missing < len(all); missing++ {
		what, grants := "nothing", slices.Clone(all)
		if missing >= 0 {
			what, grants = all[missing].Role+" on "+all[missing].Service, slices.Delete(grants, missing, missing+1)
		}
		t.Run("without "+what, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, emulator.Options{})
			_, key := s.minter(policies(grants)...)
			want, fails := fails[what]
			if code, list := s.as(key, holesHead+agents(keylessMode), "doctor"); !fails && code != cli.ExitOK || fails && code == cli.ExitOK && !strings.Contains(list, "????  permission: "+what) {
				t.Errorf("the doctor exits with %d:\n%s", code, list)
			}
			var worst int
			var said strings.Builder
			for _, sweep := range []struct {
				mode  string
				after time.Duration
			}{{keylessMode, 0}, {keylessMode, time.Hour}, {"", time.Hour}, {"", 8 * 24 * time.Hour}, {"", time.Hour}} {
				s.cloud.Advance(sweep.after)
				code, outcomes := s.as(key, holesHead+agents(sweep.mode), "sweep", "--json")
				worst = max(worst, code)
				said.WriteString(outcomes)
			}
			left := slices.ContainsFunc(s.cloud.State(false).Profiles, func(p cloud.ProfileState) bool { return p.Name == "agent" })
			if (worst != cli.ExitOK) != fails || !strings.Contains(said.String(), want) || !fails && left {
				t.Errorf("the sweeps exit with %d, and want %q; the profile is left: %t\n%s", worst, want, left, &said)
			}
		})
	}
}

func policies(of []config.Grant) (texts []string) {
	for _, g := range of {
		texts = append(texts, policyOf(g))
	}
	return texts
}
