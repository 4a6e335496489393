package keyless_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/internal/keyless"
)

const ours = "a1"

func TestAConsumerCanUseATrustedProfileByIBMsRules(t *testing.T) {
	for sentence, c := range map[string]struct {
		readers keyless.Readers
		rule    keyless.Rule
		profile keyless.Verdict
	}{
		"an app of Code Engine in the account can":       {keyless.Readers{Platform: keyless.CodeEngine, Account: ours}, keyless.SameAccount, keyless.Yes},
		"a workload of IBM's Kubernetes can":             {keyless.Readers{Platform: keyless.Kubernetes, Account: ours}, keyless.SameAccount, keyless.Yes},
		"a workload of IBM's OpenShift can":              {keyless.Readers{Platform: keyless.OpenShift, Account: ours}, keyless.SameAccount, keyless.Yes},
		"a workload in another account can't":            {keyless.Readers{Platform: keyless.Kubernetes, Account: "b2"}, keyless.OtherAccount, keyless.No},
		"a workload of another cluster can't":            {keyless.Readers{Platform: keyless.Elsewhere, Account: ours}, keyless.Outside, keyless.No},
		"a login for images can't, wherever it is":       {keyless.Readers{Platform: keyless.CodeEngine, Account: ours, PullsImages: true}, keyless.PullsImages, keyless.No},
		"of a cluster without an account it is unknown":  {keyless.Readers{Platform: keyless.Kubernetes}, keyless.ClusterUnknown, keyless.Unknown},
		"of a cluster without nodes it is unknown":       {keyless.Readers{Platform: keyless.Cluster}, keyless.ClusterUnknown, keyless.Unknown},
		"of a store without a place it is unknown":       {keyless.Readers{}, keyless.PlaceUnknown, keyless.Unknown},
		"of a place that is unknown the account is moot": {keyless.Readers{Account: ours}, keyless.PlaceUnknown, keyless.Unknown},
	} {
		got := keyless.Judge(c.readers, ours, nil)
		if len(got) != 1 || got[0].Rule != c.rule || got[0].Profile != c.profile || got[0].Why == "" {
			t.Errorf("%s: %+v", sentence, got)
		}
		if can := got[0].Profile != keyless.No; can != (len(got[0].Change) > 0) || can != (len(got[0].Missing) > 0) {
			t.Errorf("%s: missing %v, change %v", sentence, got[0].Missing, got[0].Change)
		}
	}
}

func TestEachReaderHasAFindingInTheOrderOfTheNames(t *testing.T) {
	got := keyless.Judge(keyless.Readers{Platform: keyless.CodeEngine, Account: ours, Names: []string{"job/b", "app/a"}}, ours, nil)
	if len(got) != 2 || got[0].Consumer != "app/a" || got[1].Consumer != "job/b" {
		t.Errorf("%+v", got)
	}
}

func TestTheChangeIsThatOfTheConsumersOwnSettings(t *testing.T) {
	for sentence, c := range map[string]struct {
		readers  keyless.Readers
		services []string
		has, not string
	}{
		"an app enables trusted profiles":                   {keyless.Readers{Platform: keyless.CodeEngine}, nil, "--trusted-profiles-enabled", "audience"},
		"a pod mounts a token for IAM":                      {keyless.Readers{Platform: keyless.OpenShift}, nil, "audience iam", "ibmcloud ce"},
		"the Logs agent has Helm values for it":             {keyless.Readers{Platform: keyless.Kubernetes, LogsAgent: true}, []string{"logs"}, "env.iamMode", "audience"},
		"a Kafka client logs in otherwise":                  {keyless.Readers{Platform: keyless.CodeEngine}, []string{"messagehub"}, "OAUTHBEARER", "audience"},
		"a program without Kafka has nothing to do with it": {keyless.Readers{Platform: keyless.CodeEngine}, []string{"logs"}, "ContainerAuthenticator", "OAUTHBEARER"},
	} {
		c.readers.Account = ours
		change := strings.Join(slices.Concat(keyless.Judge(c.readers, ours, c.services)[0].Change), "\n")
		if !strings.Contains(change, c.has) || strings.Contains(change, c.not) {
			t.Errorf("%s: %s", sentence, change)
		}
	}
}
