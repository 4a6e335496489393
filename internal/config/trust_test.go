package config_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-io/latchkey/internal/config"
)

const (
	trustHead = "version: 1\nowner: o\nregions: [eu-de]\ncredentials:\n- name: c\n  stores: [{codeEngine: {project: p, region: eu-de, secret: s, entry: E}}]\n"
	granted   = "  serviceID: {name: c, policies: [{service: logs, roles: [Sender]}]}\n"
	crn       = "crn:v1:bluemix:public:containers-kubernetes:eu-de:a/a1:c1::"
	agent     = "  trust: [{type: IKS_SA, crn: '" + crn + "', namespace: n, serviceAccount: s}]\n"
)

func TestATrustedProfileHasTheNameOfTheServiceID(t *testing.T) {
	for mode, wanted := range map[string]bool{"": false, "  mode: key\n": false, "  mode: keyless\n": true} {
		cfg, err := config.Load("c.yaml", []byte(trustHead+granted+mode+agent))
		if err != nil {
			t.Fatal(err)
		}
		c, err := cfg.Entries[0].Expand(config.Input{})
		want := &config.TrustedProfile{Name: "c", Wanted: wanted, Links: []config.Link{{Type: "IKS_SA", CRN: crn, Namespace: "n", Name: "s"}}}
		if diff := cmp.Diff(want, c.Profile); err != nil || diff != "" || c.Kept == wanted {
			t.Errorf("%q: kept %v, %v\n%s", mode, c.Kept, err, diff)
		}
	}
}

func TestFaultsOfATrustedProfile(t *testing.T) {
	const mode = "  mode: keyless\n"
	for sentence, tc := range map[string]struct{ text, want string }{
		"keyless without trust":               {granted + mode, "needs trust"},
		"an empty list":                       {granted + "  trust: []\n", "empty list"},
		"a profile without policies":          {"  serviceID: {name: c, accessGroups: [g]}\n" + mode + agent, "needs serviceID.policies"},
		"an entry with parameters":            {strings.Replace(granted, "name: c", "name: 'c${with.x}'", 1) + mode + agent, "without parameters"},
		"a cluster without a service account": {granted + "  trust: [{type: IKS_SA, crn: '" + crn + "', namespace: n}]\n", "needs serviceAccount"},
		"a namespace outside of a cluster":    {granted + "  trust: [{type: CE, crn: '" + crn + "', namespace: n}]\n", "IKS_SA or ROKS_SA"},
		"a component of a cluster":            {granted + "  trust: [{type: VSI, crn: '" + crn + "', componentName: n, componentType: t}]\n", "needs the type CE"},
		"a component without its kind":        {granted + "  trust: [{type: CE, crn: '" + crn + "', componentName: n}]\n", "together"},
		"an unknown kind":                     {granted + "  trust: [{type: LAPTOP, crn: '" + crn + "'}]\n", "IKS_SA"},
		"a CRN that is none":                  {granted + "  trust: [{type: CE, crn: c1}]\n", "CRN"},
		"a mode that is none":                 {granted + "  mode: profile\n" + agent, "keyless"},
	} {
		if _, err := config.Load("c.yaml", []byte(trustHead+tc.text)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", sentence, err, tc.want)
		}
	}
}
