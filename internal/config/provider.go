package config

import (
	"slices"
	"time"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/entry"
)

// Provider configures the job that creates credentials for Secrets Manager's secrets
// of the type custom_credentials. A nil Provider permits nothing.
type Provider struct {
	// Instances lists the GUIDs of the Secrets Manager instances that may request
	// credentials. Keys and latchkey's token are sent only to them.
	Instances []string
	Allow     []ProviderAllow
	Expire    time.Duration // age at which a key expires; default 90d, at least 2d
	OnLeak    string        // as in Rotation
	Logs      *LogsProof    // nil: no proof
}

// ProviderAllow permits keys of some service IDs in some secrets.
type ProviderAllow struct {
	ServiceIDs []string // by ID
	Groups     []string // IDs of secret groups; empty: all
	// Policies must be present on a service ID before latchkey creates a key of it.
	// latchkey never grants them.
	Policies []access.Policy
}

// Permits returns the rule that permits a key of the service ID in a secret of the
// group, and false if there is none.
func (p *Provider) Permits(serviceID, group string) (ProviderAllow, bool) {
	if p == nil {
		return ProviderAllow{}, false
	}
	i := slices.IndexFunc(p.Allow, func(a ProviderAllow) bool {
		return slices.Contains(a.ServiceIDs, serviceID) && (len(a.Groups) == 0 || slices.Contains(a.Groups, group))
	})
	if i < 0 {
		return ProviderAllow{}, false
	}
	return p.Allow[i], true
}

var checkSecretGroupID = form(`default|[0-9a-fA-F-]{36}`,
	"the ID of a secret group: default, or a UUID; not its name")

func (d *decoder) provider(v value) *Provider {
	p := &Provider{Expire: defaultExpire, OnLeak: defaultOnLeak}
	d.object(v,
		field{"instances", true, func(v value) { p.Instances = d.words(v, entry.CheckInstance) }},
		field{"allow", true, func(v value) {
			d.list(v, func(_ int, item value) { p.Allow = append(p.Allow, d.providerAllow(item)) })
			if len(v.node.Content) == 0 {
				d.fault(v, "is an empty list; remove provider if nothing is allowed")
			}
		}},
		field{"expire", false, func(v value) {
			p.Expire = d.duration(v, defaultExpire)
			if p.Expire < leastProvided {
				d.fault(v, "must be at least %s: a new key lives for a day until it is extended", Days(leastProvided))
			}
		}},
		field{"onLeak", false, func(v value) { p.OnLeak = d.word(v, oneOf("none", "disable", "delete")) }},
		field{"prove", false, func(v value) {
			d.object(v, field{"logs", true, func(v value) {
				p.Logs = &LogsProof{}
				d.object(v,
					field{"instance", true, func(v value) { p.Logs.Instance = d.word(v, entry.CheckInstance) }},
					field{"region", true, func(v value) { p.Logs.Region = d.word(v, entry.CheckRegion) }},
				)
			}})
		}},
	)
	return p
}

// leastProvided is the shortest life of a key that the job creates.
const leastProvided = 48 * time.Hour

func (d *decoder) providerAllow(v value) (a ProviderAllow) {
	d.object(v,
		field{"serviceIDs", true, func(v value) { a.ServiceIDs = d.words(v, checkServiceID) }},
		field{"groups", false, func(v value) { a.Groups = d.words(v, checkSecretGroupID) }},
		field{"policies", false, func(v value) {
			d.list(v, func(_ int, item value) {
				var p access.Policy
				d.object(item,
					field{"service", true, func(v value) { p.Service = d.word(v, checkService) }},
					field{"roles", true, func(v value) { p.Roles = d.words(v, checkRole) }},
					field{"instance", false, func(v value) { p.Instance = d.word(v, entry.CheckInstance) }},
					field{"resourceGroup", false, func(v value) { p.ResourceGroup = d.word(v, checkResourceGroup) }},
				)
				a.Policies = append(a.Policies, p)
			})
		}},
	)
	return a
}
