package main

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/result"
)

// What is promised, as far as the whole state of the cloud shows it.

// marked is the marker of something that is ours.
func marked(description string) (marker.Marker, bool) {
	m, _, ok := marker.Parse(description)
	return m, ok && m.Owner == "example"
}

func ourKeys(state cloud.State) (keys []cloud.APIKey) {
	for _, k := range state.APIKeys {
		if _, ours := marked(k.Description); ours {
			keys = append(keys, k)
		}
	}
	return keys
}

func alive(k cloud.APIKey, now time.Time) bool {
	return !k.Disabled && (k.ExpiresAt.IsZero() || k.ExpiresAt.After(now))
}

// entries are the key IDs that stores name, each with the value beside it.
func entries(state cloud.State) map[string][]string {
	found := map[string][]string{}
	for _, p := range state.Projects {
		for _, s := range p.Secrets {
			for name, id := range s.Data {
				if entry, is := strings.CutSuffix(name, "_ID"); is {
					found[id] = append(found[id], s.Data[entry])
				}
			}
		}
	}
	return found
}

// held reports whether a secret has the value.
func held(state cloud.State, value string) bool {
	return slices.ContainsFunc(state.Projects, func(p cloud.ProjectState) bool {
		return slices.ContainsFunc(p.Secrets, func(s cloud.Secret) bool {
			return slices.Contains(slices.Collect(maps.Values(s.Data)), value)
		})
	})
}

// slack is what whole minutes and the way of a call take.
const slack = 3 * time.Minute

// look checks what must hold at any moment.
func (k *killing) look(when string) {
	k.t.Helper()
	state := k.cloud.State(true)
	now, named := state.Now, entries(state)
	ours := ourKeys(state)
	for _, key := range state.APIKeys {
		if key.Value != "" {
			k.values[key.Value] = key.ID
		}
	}

	for id, values := range named {
		k.named[id] = now
		if k.ended(id) {
			continue
		}
		key, there := state.Key(id)
		switch {
		case !there:
			k.violate("P4", "%s: a store names key %s, which is gone", when, id)
		case !alive(key, now):
			k.violate("P4", "%s: a store names key %s, which does not work", when, id)
		case slices.ContainsFunc(values, func(v string) bool { return v != key.Value }):
			k.violate("P1", "%s: a store names key %s and holds another value", when, id)
		}
	}
	for id, last := range k.named {
		key, there := state.Key(id)
		if _, still := named[id]; still || k.ended(id) || !now.Before(last.Add(24*time.Hour-slack)) {
			continue
		}
		if !there || !alive(key, now) {
			k.violate("P1", "%s: key %s was named %s ago and has ended", when, id, now.Sub(last))
		}
	}

	live := map[string]int{}
	for _, key := range ours {
		m, _ := marked(key.Description)
		if alive(key, now) {
			live[key.IAMID]++
		}
		_, was := k.named[key.ID]
		was = was || held(state, key.Value) // it is being taken over
		least := now.Add(24*time.Hour + slack)
		if !m.Superseded.IsZero() {
			least = least.Add(7 * time.Hour) // the end is put off before it comes
		}
		if alive(key, now) && !was && (key.ExpiresAt.IsZero() || key.ExpiresAt.After(least)) {
			k.violate("P2", "%s: key %s is in no store and lives until %s", when, key.ID, key.ExpiresAt)
		}
		if !k.born[key.ID] && !granted(state, key.IAMID) {
			k.violate("P5", "%s: key %s was minted before the policy", when, key.ID)
		}
	}
	for id, n := range live {
		if n > 4 {
			k.violate("P3", "%s: %d live keys of %s", when, n, id)
		}
	}

	var minted time.Time
	for _, e := range k.cloud.Events() {
		if e.Method != http.MethodPost || e.Path != "/v1/apikeys" || e.Status >= 300 {
			continue
		}
		if !minted.IsZero() && e.Time.Sub(minted) < 9*time.Minute && !k.contains && !k.rivals && len(k.places) > 0 {
			k.violate("P10", "%s: two keys within %s", when, e.Time.Sub(minted))
		}
		minted = e.Time
	}
	if diff := cmp.Diff(k.theirs, foreignOf(state, k.adopts), ignoreUse); diff != "" {
		k.violate("P11", "%s: what is not ours was changed:\n%s", when, diff)
	}
	said := k.said.String()
	for value, id := range k.values {
		if strings.Contains(said, value) {
			k.violate("P6", "%s: the value of key %s was said", when, id)
		}
	}
}

// ended reports whether the key was to end although consumers hold it.
func (k *killing) ended(id string) bool { return id == k.old && (k.leaks || k.contains) }

// granted reports whether the identity has the role that a key is for.
func granted(state cloud.State, iamID string) bool {
	return slices.ContainsFunc(state.Policies, func(p cloud.Policy) bool {
		return slices.ContainsFunc(p.Subject, func(a cloud.Attribute) bool { return a.Value == iamID }) &&
			slices.Contains(p.Roles, "crn:v1:bluemix:public:logs::::serviceRole:Sender")
	})
}

// settled looks at what the second sweep said.
func (k *killing) settled(d *delivered) {
	k.t.Helper()
	if d.status != http.StatusOK {
		k.violate("P9", "the second sweep is answered %d: %+v", d.status, d.outcomes)
	}
	for _, o := range d.outcomes {
		switch o.Result {
		case result.Failed, result.InProgress, result.Blocked:
			k.violate("P9", "after two sweeps %s is %s: %s %s", o.Credential, o.Result, o.Reason, o.Error)
		}
	}
}

// strict checks what must hold after two sweeps. taken says whether the sender
// was told that its demand will be met.
func (k *killing) strict(taken bool) {
	k.t.Helper()
	state := k.cloud.State(true)
	named := entries(state)
	for i, at := range k.places {
		id, value := k.place(state, at)
		if first := k.published(); id != first || id == "" {
			k.violate("P7", "place %d names %q, the first one %q", i+1, id, first)
		}
		if _, err := k.cloud.Cloud().ExchangeAPIKey(value); err != nil {
			k.violate("P1", "what consumers of place %d read does not authenticate: %v", i+1, err)
		}
	}
	for _, key := range ourKeys(state) {
		if _, is := named[key.ID]; !is && alive(key, state.Now) && (key.ExpiresAt.IsZero() || key.ExpiresAt.After(state.Now.Add(31*time.Hour))) {
			k.violate("P2", "after two sweeps key %s is in no store and lives until %s", key.ID, key.ExpiresAt)
		}
		if _, is := named[key.ID]; is && key.ExpiresAt.Sub(key.CreatedAt) < 48*time.Hour && !key.ExpiresAt.IsZero() {
			k.violate("P1", "after two sweeps the published key %s has its fuse on", key.ID)
		}
	}
	if project, ok := state.Project("team-a"); ok && k.restarts {
		for _, app := range project.Apps {
			if app.Name == "shipper" && !strings.Contains(strings.Join(literal(app), " "), k.published()) {
				k.violate("P1", "the app was not restarted: %v", literal(app))
			}
		}
	}
	if k.met != nil && (k.asked == nil || taken) {
		if missing := k.met(k); missing != "" {
			k.violate("P7", "after two sweeps %s", missing)
		}
	}
}

func literal(app cloud.App) (texts []string) {
	for _, v := range app.Env() {
		texts = append(texts, v.Value)
	}
	return texts
}

// last checks that nothing is left but what is published.
func (k *killing) last() {
	k.t.Helper()
	state := k.cloud.State(true)
	named := entries(state)
	for _, key := range ourKeys(state) {
		if _, is := named[key.ID]; !is {
			k.violate("P2", "30 hours later key %s is left, which no store names", key.ID)
		}
	}
	if n := len(k.ourIDs(state)); n != k.left() {
		k.violate("P7", "30 hours later %d service IDs of ours are left, want %d", n, k.left())
	}
}

func (k *killing) ourIDs(state cloud.State) (ids []string) {
	for _, s := range state.ServiceIDs {
		if _, ours := marked(s.Description); ours {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

// foreign is everything that is not ours.
type foreign struct {
	ServiceIDs []cloud.ServiceID
	Keys       []cloud.APIKey
	Policies   []cloud.Policy
	Groups     []cloud.GroupState
	Apps       []cloud.App
	Secrets    map[string]map[string]string
	Safes      []cloud.SecretsState
}

// foreignOf leaves out of a state what latchkey made, and the key that it is
// told to take over.
func foreignOf(state cloud.State, adopts bool) (f foreign) {
	ours := map[string]bool{}
	for _, s := range state.ServiceIDs {
		if _, is := marked(s.Description); is {
			ours[s.IAMID] = true
			continue
		}
		f.ServiceIDs = append(f.ServiceIDs, s)
	}
	for _, key := range state.APIKeys {
		_, is := marked(key.Description)
		if !is && (!adopts || key.Name != "by hand") {
			f.Keys = append(f.Keys, key)
		}
	}
	made := func(p cloud.Policy) bool {
		_, is := marked(p.Description)
		return is || slices.ContainsFunc(p.Subject, func(a cloud.Attribute) bool {
			id, _ := a.Value.(string)
			return ours[id] || strings.HasPrefix(id, "iam-ServiceId") && !live(state, id)
		})
	}
	for _, p := range state.Policies {
		if !made(p) {
			f.Policies = append(f.Policies, p)
		}
	}
	f.Groups, f.Safes, f.Secrets = state.Groups, state.SecretsManager, map[string]map[string]string{}
	for _, p := range state.Projects {
		for _, app := range p.Apps {
			if app.Name != "shipper" {
				f.Apps = append(f.Apps, app)
			}
		}
		for _, s := range p.Secrets {
			rest := map[string]string{}
			for name, v := range s.Data {
				entry, _, _ := strings.Cut(name, "_ID")
				entry, _, _ = strings.Cut(entry, "_LATCHKEY")
				if entry != "IAM_API_KEY" && entry != "KEY" {
					rest[name] = v
				}
			}
			if len(rest) > 0 {
				f.Secrets[p.Name+"/"+s.Name] = rest
			}
		}
	}
	return f
}

func live(state cloud.State, iamID string) bool {
	return slices.ContainsFunc(state.ServiceIDs, func(s cloud.ServiceID) bool { return s.IAMID == iamID })
}

// plantForeign adds what latchkey must not touch: beside our service IDs, and in the
// secret that latchkey writes.
func (k *killing) plantForeign() {
	c := k.cloud.Cloud()
	id, _ := c.AddIdentity("foreign")
	c.Grant(id.IAMID, "logs", "crn:v1:bluemix:public:logs::::serviceRole:Sender")
	c.PutSecret(k.project("team-a").ID, "logs-sender", map[string]string{"OTHER": "stays"})
	c.PutSecret(k.project("sandbox").ID, "logs-sender", map[string]string{"OTHER": "stays too"})
}
