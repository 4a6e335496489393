// Package keyless decides by IBM's rules whether a consumer can use a trusted profile
// instead of a key (Judge), and how a credential gets there and back (Decide). It has no
// I/O, and takes time as an argument.
//
// A trusted profile is an identity without keys. A program assumes it with the compute
// resource token that IBM Cloud gives it. So it takes a platform that issues such tokens,
// an account that the profile is in, and a program that can use the token.
package keyless

import "slices"

// Platform is where the programs that read a store run.
type Platform string

// The platforms. The zero Platform is not known.
const (
	CodeEngine Platform = "codeEngine"
	Kubernetes Platform = "ibmKubernetes" // IBM Cloud Kubernetes Service
	OpenShift  Platform = "ibmOpenShift"  // Red Hat OpenShift on IBM Cloud
	Elsewhere  Platform = "elsewhere"     // a cluster that IBM Cloud does not manage
	Cluster    Platform = "cluster"       // a cluster that does not show who manages it
)

// Readers are the programs that read an entry of a store, and where they run.
type Readers struct {
	Platform Platform
	// Account is the account of the platform, or empty if it is not known.
	Account string
	// Names are the programs, such as app/<project>/<name> or
	// deployment/<namespace>/<name>.
	Names []string
	// PullsImages is set if the entry is the login of an image registry.
	PullsImages bool
	// LogsAgent is set if the entry is that of the IBM Cloud Logs agent.
	LogsAgent bool
}

// Verdict says whether a consumer can use a trusted profile.
type Verdict string

// The verdicts.
const (
	Yes     Verdict = "yes"
	No      Verdict = "no"
	Unknown Verdict = "unknown"
)

// Rule is a reason for a verdict.
type Rule string

// The rules, in the order in which Judge applies them.
const (
	// PullsImages: clusters and Code Engine pull images with a user name and a password,
	// which is a key.
	// Source: https://cloud.ibm.com/docs/Registry?topic=Registry-registry_access
	PullsImages Rule = "pulls-images"
	// Outside: IAM takes the compute resource tokens of IBM Cloud only.
	// Source: https://cloud.ibm.com/docs/cloud-logs?topic=cloud-logs-agent-about#agent-auth-methods
	Outside Rule = "outside-ibm-cloud"
	// OtherAccount: the compute resource has to be in the account of the profile.
	// Source: https://cloud.ibm.com/docs/cloud-logs?topic=cloud-logs-agent-about#agent-auth-methods
	OtherAccount Rule = "other-account"
	// PlaceUnknown: the store does not show where its readers run.
	PlaceUnknown Rule = "place-unknown"
	// ClusterUnknown: the cluster does not show who manages it, or its account.
	ClusterUnknown Rule = "cluster-unknown"
	// SameAccount: Code Engine, IBM Cloud Kubernetes Service and Red Hat OpenShift on
	// IBM Cloud give programs compute resource tokens, and the account is the profile's.
	// Source: https://cloud.ibm.com/docs/codeengine?topic=codeengine-trusted-profiles
	// Source: https://cloud.ibm.com/docs/containers?topic=containers-pod-iam-identity
	SameAccount Rule = "same-account"
)

var verdicts = map[Rule]Verdict{
	PullsImages: No, Outside: No, OtherAccount: No, PlaceUnknown: Unknown, ClusterUnknown: Unknown, SameAccount: Yes,
}

var sentences = map[Rule]string{
	PullsImages:    "images are pulled with a user name and a password, which is a key",
	Outside:        "IAM takes the compute resource tokens of IBM Cloud only, and IBM Cloud does not manage this cluster",
	OtherAccount:   "the compute resource is in another account than the profile would be",
	PlaceUnknown:   "the store does not show where its readers run",
	ClusterUnknown: "the cluster does not show who manages it, and in which account",
	SameAccount:    "it runs in the account, on a platform that issues compute resource tokens",
}

// Finding says whether a consumer can use a trusted profile, and what it takes.
type Finding struct {
	// Consumer is empty if the store shows no reader.
	Consumer string   `json:"consumer,omitempty"`
	Platform Platform `json:"platform,omitempty"`
	Profile  Verdict  `json:"profile"`
	Rule     Rule     `json:"rule"`
	Why      string   `json:"why"`
	// Missing is what is not known or not there yet, and Change is how to get there.
	Missing []string `json:"missing,omitempty"`
	Change  []string `json:"change,omitempty"`
}

// kafka is the name of Event Streams in IAM.
const kafka = "messagehub"

// Judge returns a finding for each reader, or one for the store if it shows none. The
// account is that of the profile. The services are those of the credential's policies.
func Judge(r Readers, account string, services []string) []Finding {
	rule := r.rule(account)
	f := Finding{Platform: r.Platform, Profile: verdicts[rule], Rule: rule, Why: sentences[rule]}
	switch rule {
	case PlaceUnknown:
		f.Missing = []string{"where the readers run"}
		f.Change = []string{"find the readers: on Code Engine, IBM Cloud Kubernetes Service, Red Hat OpenShift on IBM Cloud or a virtual server of account " +
			account + " they can use a trusted profile"}
	case ClusterUnknown:
		f.Missing = []string{"who manages the cluster, and in which account"}
		f.Change = []string{"let latchkey list the nodes of the cluster, which show both"}
	case SameAccount:
		f.Missing = []string{"a trusted profile with the policies of the credential and a link to the consumer"}
		f.Change = append([]string{"set mode: keyless and trust in the config entry: latchkey makes the profile, and ends the key once it is silent"}, r.change(services)...)
		f.Change = append(f.Change, "run latchkey prove where the consumer runs: it logs in as the consumer would, and runs the proofs of the config entry")
	}
	if len(r.Names) == 0 {
		return []Finding{f}
	}
	all := make([]Finding, len(r.Names))
	for i, name := range slices.Sorted(slices.Values(r.Names)) {
		all[i] = f
		all[i].Consumer = name
	}
	return all
}

func (r Readers) rule(account string) Rule {
	switch {
	case r.PullsImages:
		return PullsImages
	case r.Platform == "":
		return PlaceUnknown
	case r.Platform == Elsewhere:
		return Outside
	case r.Platform == Cluster, r.Account == "":
		return ClusterUnknown
	case r.Account != account:
		return OtherAccount
	}
	return SameAccount
}

// The files that the platforms mount compute resource tokens at.
//
// Source: https://cloud.ibm.com/docs/codeengine?topic=codeengine-trusted-profiles-authentication-file
// Source: https://cloud.ibm.com/docs/containers?topic=containers-pod-iam-identity
const (
	codeEngineToken = "/var/run/secrets/codeengine.cloud.ibm.com/compute-resource-token/token"
	podToken        = "/var/run/secrets/tokens/sa-token"
)

// change returns the steps from the key to the profile, for a consumer that can take
// them.
func (r Readers) change(services []string) (steps []string) {
	switch {
	case r.LogsAgent:
		// Source: https://cloud.ibm.com/docs/cloud-logs?topic=cloud-logs-agent-helm-iam-authentication
		return []string{"set env.iamMode to TrustedProfile and env.trustedProfileID to the profile's ID in the agent's Helm values"}
	case r.Platform == CodeEngine:
		steps = []string{
			"enable trusted profiles for the app or job (ibmcloud ce app update --trusted-profiles-enabled=true)",
			"let the program log in with the token in " + codeEngineToken + ", such as with ContainerAuthenticator of IBM's SDKs",
		}
	default:
		steps = []string{
			"mount a service account token with audience iam and an expiry of at most 3600 seconds at " + podToken,
			"let the program log in with that token, such as with ContainerAuthenticator of IBM's SDKs",
		}
	}
	if slices.Contains(services, kafka) {
		// Source: https://cloud.ibm.com/docs/EventStreams?topic=EventStreams-security
		steps = append(steps, "let Kafka clients log in with SASL OAUTHBEARER instead of PLAIN")
	}
	return steps
}
