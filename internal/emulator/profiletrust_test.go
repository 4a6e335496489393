package emulator_test

import (
	"net/http"
	"testing"

	"github.com/IBM/platform-services-go-sdk/iamidentityv1"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

const (
	clusterCRN = "crn:v1:bluemix:public:containers-kubernetes:eu-de:a/" + cloud.AccountID + ":c0d19dnd0uii3pk7po40::"
	projectCRN = "crn:v1:bluemix:public:codeengine:eu-de:a/" + cloud.AccountID + ":15314cc3-85b4-4338-903f-c28cdee6d005::"
)

func agent(change func(*cloud.ComputeResource)) cloud.ComputeResource {
	r := cloud.ComputeResource{CRType: "IKS_SA", LinkedResource: cloud.LinkedResource{CRN: clusterCRN, Namespace: "ibm-observe", Name: "logs-agent"}}
	change(&r)
	return r
}

func shipper(change func(*cloud.ComputeResource)) cloud.ComputeResource {
	r := cloud.ComputeResource{CRType: "CE", LinkedResource: cloud.LinkedResource{CRN: projectCRN, ComponentType: "application", ComponentName: "shipper"}}
	change(&r)
	return r
}

func same(*cloud.ComputeResource) {}

// assumes reports whether a compute resource gets a token of a profile.
func (w *world) assumes(r cloud.ComputeResource, profile string) bool {
	w.t.Helper()
	token, err := w.Cloud().IssueCRTokenFor(r)
	if err != nil {
		w.t.Fatal(err)
	}
	status, _ := w.exchange("cr-token", "cr_token", token, "profile_id", profile)
	return status == http.StatusOK
}

func TestAProfileIsAssumedByTheComputeResourceOfItsLink(t *testing.T) {
	w := newWorld(t)
	link := func(name, kind string, to *iamidentityv1.CreateProfileLinkRequestLink) string {
		p := w.newProfile(name)
		done(w.identity.CreateLink(w.identity.NewCreateLinkOptions(*p.ID, kind, to)))(t)
		return *p.ID
	}
	inCluster := link("agent", "IKS_SA", &iamidentityv1.CreateProfileLinkRequestLink{CRN: ptr(clusterCRN), Namespace: ptr("ibm-observe"), Name: ptr("logs-agent")})
	inProject := link("project", "CE", &iamidentityv1.CreateProfileLinkRequestLink{CRN: ptr(projectCRN)})
	component := link("app", "CE", &iamidentityv1.CreateProfileLinkRequestLink{CRN: ptr(projectCRN), ComponentType: ptr("application"), ComponentName: ptr("shipper")})
	without := *w.newProfile("without").ID
	for sentence, test := range map[string]struct {
		resource cloud.ComputeResource
		profile  string
		want     bool
	}{
		"the service account of the link":                 {agent(same), inCluster, true},
		"not another service account":                     {agent(func(r *cloud.ComputeResource) { r.Name = "default" }), inCluster, false},
		"not another namespace":                           {agent(func(r *cloud.ComputeResource) { r.Namespace = "default" }), inCluster, false},
		"not another cluster":                             {agent(func(r *cloud.ComputeResource) { r.CRN = projectCRN }), inCluster, false},
		"not a cluster of another kind":                   {agent(func(r *cloud.ComputeResource) { r.CRType = "ROKS_SA" }), inCluster, false},
		"any component of a project":                      {shipper(same), inProject, true},
		"the component of the link":                       {shipper(same), component, true},
		"not another component":                           {shipper(func(r *cloud.ComputeResource) { r.ComponentName = "web" }), component, false},
		"not a component of another kind":                 {shipper(func(r *cloud.ComputeResource) { r.ComponentType = "job" }), component, false},
		"no resource of a profile without links or rules": {agent(same), without, false},
	} {
		if got := w.assumes(test.resource, test.profile); got != test.want {
			t.Errorf("%s: %v", sentence, got)
		}
	}
	if status, _ := w.exchange("cr-token", "cr_token", w.Cloud().IssueCRToken("x"), "profile_id", inCluster); status != http.StatusBadRequest {
		t.Errorf("a resource that is not described: status %d", status)
	}
	n := w.Settings()
	n.Switches.LinkNameChecked = false
	w.Set(n)
	if !w.assumes(agent(func(r *cloud.ComputeResource) { r.Name = "default" }), inCluster) {
		t.Error("the switch leaves the name compared")
	}
}

func TestAProfileIsAssumedByTheComputeResourcesOfAClaimRule(t *testing.T) {
	w := newWorld(t)
	rule := func(name string, all ...string) string {
		p := w.newProfile(name)
		var conditions []iamidentityv1.ProfileClaimRuleConditions
		for i := 0; i < len(all); i += 3 {
			conditions = append(conditions, iamidentityv1.ProfileClaimRuleConditions{Claim: &all[i], Operator: &all[i+1], Value: &all[i+2]})
		}
		done(w.identity.CreateClaimRule(w.identity.NewCreateClaimRuleOptions(*p.ID, "Profile-CR", conditions).SetCrType("IKS_SA")))(t)
		return *p.ID
	}
	other := agent(func(r *cloud.ComputeResource) { r.Namespace = "Default" })
	for sentence, test := range map[string]struct {
		profile     string
		mine, other bool
	}{
		"an equal claim":               {rule("a", "namespace", "EQUALS", `"ibm-observe"`), true, false},
		"another claim":                {rule("b", "namespace", "NOT_EQUALS", `"ibm-observe"`), false, true},
		"a claim in any case":          {rule("c", "namespace", "EQUALS_IGNORE_CASE", `"DEFAULT"`), false, true},
		"another claim in any case":    {rule("d", "namespace", "NOT_EQUALS_IGNORE_CASE", `"DEFAULT"`), true, false},
		"a part of a claim":            {rule("e", "crn", "CONTAINS", `"containers-kubernetes"`), true, true},
		"one of a list":                {rule("f", "namespace", "IN", `["x","Default"]`), false, true},
		"all conditions":               {rule("g", "namespace", "EQUALS", `"ibm-observe"`, "name", "EQUALS", `"other"`), false, false},
		"a claim that the token lacks": {rule("h", "color", "EQUALS", `"red"`), false, false},
	} {
		if mine, others := w.assumes(agent(same), test.profile), w.assumes(other, test.profile); mine != test.mine || others != test.other {
			t.Errorf("%s: %v and %v, want %v and %v", sentence, mine, others, test.mine, test.other)
		}
	}
}

func TestAComputeResourceTokenCanBeOrderedForAResource(t *testing.T) {
	w := newWorld(t)
	const resource = `{"cr_type":"IKS_SA","crn":"` + clusterCRN + `","namespace":"ibm-observe","name":"logs-agent"}`
	if _, body := w.raw("POST", "/emulator/cr-tokens", `{"resource":`+resource+`}`); body["token"] == nil {
		t.Errorf("answer %v", body)
	}
	for sentence, body := range map[string]string{
		"a resource and a token":        `{"token":"x","resource":` + resource + `}`,
		"a cluster without a namespace": `{"resource":{"cr_type":"IKS_SA","crn":"` + clusterCRN + `"}}`,
		"an unknown kind of a resource": `{"resource":{"cr_type":"LAPTOP","crn":"` + clusterCRN + `"}}`,
		"a resource whose CRN is none":  `{"resource":{"cr_type":"CE","crn":"x"}}`,
	} {
		if r, _ := w.raw("POST", "/emulator/cr-tokens", body); r.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: status %d", sentence, r.StatusCode)
		}
	}
}

func TestAPolicyOfAProfileCountsForWhoAssumesIt(t *testing.T) {
	w := newWorld(t)
	p := w.newProfile("agent")
	done(w.identity.CreateLink(w.identity.NewCreateLinkOptions(*p.ID, "IKS_SA",
		&iamidentityv1.CreateProfileLinkRequestLink{CRN: ptr(clusterCRN), Namespace: ptr("ibm-observe"), Name: ptr("logs-agent")})))(t)
	token, err := w.Cloud().IssueCRTokenFor(agent(same))
	if err != nil {
		t.Fatal(err)
	}
	access, err := w.Cloud().ExchangeCRToken(token, "", *p.ID)
	if err != nil {
		t.Fatal(err)
	}
	send := func() int { return w.as(access.AccessToken).sendLog(oneLine) }
	if got := send(); got != http.StatusForbidden {
		t.Errorf("without a policy a line gets status %d", got)
	}
	w.Cloud().Grant(*p.IamID, "logs", "crn:v1:bluemix:public:logs::::serviceRole:Sender")
	if got := send(); got >= 300 {
		t.Errorf("with the policy: status %d", got)
	}
}
