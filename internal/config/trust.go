package config

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Values of mode.
const (
	ModeKey     = "key"
	ModeKeyless = "keyless"
)

// TrustedProfile is what consumers use instead of a key.
type TrustedProfile struct {
	Name   string
	Wanted bool // mode is keyless; false: the profile comes to its end
	Links  []Link
}

// Link is a compute resource that may assume the profile, in IAM's words.
type Link struct {
	Type                         string // IKS_SA, ROKS_SA, CE or VSI
	CRN                          string
	Namespace, Name              string // of a service account; with IKS_SA and ROKS_SA
	ComponentType, ComponentName string // "": all of the project; with CE
}

type linkTemplate struct {
	at                                                 value
	kind                                               string
	crn, namespace, name, componentType, componentName *template
}

var (
	checkCRN       = form(`crn:v1:[a-z0-9-]+:[a-z]+:[a-z0-9-]+:[a-z0-9-]*:a/[A-Za-z0-9_-]{1,64}:[A-Za-z0-9_-]*:[A-Za-z0-9_-]*:[A-Za-z0-9_:-]*`, "the CRN of a compute resource in an account")
	checkComponent = form(`[A-Za-z0-9]([-A-Za-z0-9_.]{0,98}[A-Za-z0-9])?`, "a name of IAM: letters, digits, dots, dashes and _")
	linkTypes      = []string{"CE", "IKS_SA", "ROKS_SA", "VSI"}
)

// inCluster reports whether links of the type name a service account.
func inCluster(kind string) bool { return strings.HasSuffix(kind, "_SA") }

func (d *decoder) trust(v value) (links []linkTemplate) {
	d.list(v, func(_ int, item value) {
		l := linkTemplate{at: item}
		o := d.object(item,
			field{"type", true, func(v value) { l.kind = d.word(v, oneOf(linkTypes...)) }},
			field{"crn", true, func(v value) { l.crn = d.template(v, checkCRN) }},
			field{"namespace", false, func(v value) { l.namespace = d.template(v, checkComponent) }},
			field{"serviceAccount", false, func(v value) { l.name = d.template(v, checkComponent) }},
			field{"componentType", false, func(v value) { l.componentType = d.template(v, checkComponent) }},
			field{"componentName", false, func(v value) { l.componentName = d.template(v, checkComponent) }},
		)
		for _, key := range []string{"namespace", "serviceAccount"} {
			switch at, given := o.keys[key]; {
			case given && l.kind != "" && !inCluster(l.kind):
				d.fault(at, "needs the type IKS_SA or ROKS_SA")
			case !given && inCluster(l.kind):
				d.fault(item, "needs %s: all programs of the cluster could assume the profile otherwise", key)
			}
		}
		for _, key := range []string{"componentType", "componentName"} {
			if at, given := o.keys[key]; given && l.kind != "" && l.kind != "CE" {
				d.fault(at, "needs the type CE")
			}
		}
		if (l.componentType == nil) != (l.componentName == nil) {
			d.fault(item, "needs componentType and componentName together")
		}
		links = append(links, l)
	})
	if v.node.Kind == yaml.SequenceNode && len(v.node.Content) == 0 {
		d.fault(v, "is an empty list; it needs at least one compute resource")
	}
	return links
}

// checkKeyless checks what a trusted profile needs of the entry.
func (d *decoder) checkKeyless(e *entryDraft) {
	at, given := e.object.keys["mode"]
	if !given {
		at = e.object.keys["trust"]
	}
	switch {
	case !e.keyless && len(e.trust) == 0:
	case len(e.trust) == 0:
		d.fault(at, "keyless needs trust: the compute resources that may assume the profile")
	case len(e.policies) == 0:
		d.fault(at, "a trusted profile needs serviceID.policies, which it gets")
	case e.UsesWith():
		d.fault(at, "a trusted profile needs an entry without parameters")
	}
}

// Trusts reports whether the entry's credentials have trusted profiles.
func (e *Entry) Trusts() bool { return len(e.trust) > 0 }

// Assumed returns the name of the credential's trusted profile and the proofs of the
// entry. It evaluates nothing else: where a consumer runs, not all of a project is known.
func (e *Entry) Assumed(in Input) (profile string, prove Prove, err error) {
	name, _, vars, err := e.identify(in)
	if err != nil {
		return "", Prove{}, fmt.Errorf("expanding %s: %w", e.Name, err)
	}
	if len(e.trust) == 0 {
		return "", Prove{}, fmt.Errorf("expanding %s: it has no trust, so no trusted profile", name)
	}
	x := expansion{entry: e, vars: vars}
	profile, prove = x.text(e.serviceID), x.prove()
	if x.err != nil {
		return "", Prove{}, fmt.Errorf("expanding %s: %w", name, x.err)
	}
	return profile, prove, nil
}

// profile returns the trusted profile of a credential, or nil.
func (x *expansion) profile(c Credential) *TrustedProfile {
	if len(x.entry.trust) == 0 {
		return nil
	}
	p := &TrustedProfile{Name: c.ServiceIDName, Wanted: x.entry.keyless}
	for _, t := range x.entry.trust {
		p.Links = append(p.Links, Link{
			Type: t.kind, CRN: x.text(t.crn), Namespace: x.text(t.namespace), Name: x.text(t.name),
			ComponentType: x.text(t.componentType), ComponentName: x.text(t.componentName),
		})
	}
	slices.SortFunc(p.Links, func(a, b Link) int {
		return strings.Compare(a.CRN+a.Namespace+a.Name+a.ComponentName, b.CRN+b.Namespace+b.Name+b.ComponentName)
	})
	return p
}
