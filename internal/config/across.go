package config

import (
	"slices"
	"strings"
	"time"
)

// logsService is the name that IAM knows Cloud Logs by.
const logsService = "logs"

// Bounds of the timing.
const (
	minSweepEvery = time.Minute
	// A key is born with a fuse of a day, and it takes a whole sweep within the
	// fuse to heal whatever was interrupted, however late the timer is.
	fuse          = 24 * time.Hour
	maxSweepEvery = fuse / 2
	minAfter      = 24 * time.Hour
	minOverlap    = time.Hour
	// The fuse has to end well before the key itself.
	minExpire = 48 * time.Hour
	// A key that nears its end is due this many sweeps before: a sweep may
	// fail, and the next ones still find time.
	sweepsBeforeExpiry = 4
)

// across checks what no single field can show.
func (d *decoder) across(c *Config, f draft) {
	if c.SweepEvery < minSweepEvery || c.SweepEvery > maxSweepEvery {
		d.fault(f.root.at("sweepEvery"), "%s must be from %s to %s: keys are born with a fuse of %s, and a sweep must come well before it ends",
			days(c.SweepEvery), days(minSweepEvery), days(maxSweepEvery), days(fuse))
	}
	names := map[string]int{}         // to the line
	serviceIDs := map[string]string{} // to the credential
	places := map[string]string{}     // to the credential
	given := map[string]string{}      // service IDs by ID, to the credential
	complete := len(f.entries) > 0
	for _, e := range f.entries {
		if line, ok := names[e.Name]; ok && e.Name != "" {
			d.fault(e.object.at("name"), "%q is the name of the credential on line %d too", e.Name, line)
		}
		names[e.Name] = e.Line
		complete = complete && e.Name != ""
		if _, ok := f.root.keys["regions"]; e.ForEach != "" && !ok {
			d.fault(e.object.at("forEach"), "%s needs regions at the top of the config: they say where projects are looked for", e.ForEach)
		}
		d.checkRotation(e, c.SweepEvery)
		d.checkPolicies(e)
		d.checkLogs(e)
		d.checkInstances(e)
		d.checkServiceID(e, serviceIDs)
		d.checkIdentity(e, f.entries, given)
		d.checkPlaces(e, places)
	}
	if complete {
		d.checkPatterns(f.patterns, names)
		d.checkRules(f.rules, f.entries)
	}
}

// checkPatterns finds patterns that can permit nothing: mostly a slip in a name.
func (d *decoder) checkPatterns(patterns []pattern, names map[string]int) {
	for _, p := range patterns {
		entry, _, _ := strings.Cut(p.text, "/")
		matched := false
		for name := range names {
			matched = matched || matches(entry, name)
		}
		if !matched {
			d.fault(p.at, "%q matches no credential of this config", p.text)
		}
	}
}

func (d *decoder) checkRotation(e *entryDraft, sweepEvery time.Duration) {
	before := len(d.faults)
	r := e.Rotation
	least := func(key string, is, min time.Duration) {
		if is < min {
			d.fault(e.rotation.at(key), "%s is too short; the least is %s", days(is), days(min))
		}
	}
	least("after", r.After, minAfter)
	least("overlap", r.Overlap, minOverlap)
	least("expire", r.Expire, minExpire)
	if len(d.faults) > before {
		return
	}
	at := e.rotation.value
	for _, key := range []string{"after", "expire", "overlap"} {
		if v, ok := e.rotation.keys[key]; ok {
			at = v
			break
		}
	}
	switch early := sweepsBeforeExpiry * min(sweepEvery, maxSweepEvery); {
	case r.After+r.Overlap >= r.Expire:
		d.fault(at, "after %s and overlap %s together must be less than expire %s: an old key must outlive its overlap",
			days(r.After), days(r.Overlap), days(r.Expire))
	case r.After+early >= r.Expire:
		d.fault(at, "after %s and %d times sweepEvery (%s) together must be less than expire %s: a sweep may fail",
			days(r.After), sweepsBeforeExpiry, days(sweepEvery), days(r.Expire))
	}
}

// checkPolicies wants one policy per target: IAM adds two up, and whoever reads
// the config should not have to.
func (d *decoder) checkPolicies(e *entryDraft) {
	seen := map[string]bool{}
	for _, p := range e.policies {
		if p.service == "" {
			continue
		}
		target := p.service + " " + p.instance.key() + " " + p.resourceGroup.key()
		if seen[target] {
			d.fault(p.at, "a policy for the same %s is there already; give its roles there", p.service)
		}
		seen[target] = true
	}
}

// checkLogs wants a policy that lets the proof's line in.
func (d *decoder) checkLogs(e *entryDraft) {
	if e.prove.logs == nil || len(e.policies) == 0 {
		return
	}
	proof := e.prove.logs.instance
	covered, logs := false, false
	for _, p := range e.policies {
		if p.service == "" {
			return // a fault that hides the answer
		}
		if p.service != logsService {
			continue
		}
		logs = true
		// What an expression yields is compared by Expand.
		covered = covered || p.instance == nil || p.instance.varies() || p.instance.key() == proof.key()
	}
	switch literal, ok := proof.literal(); {
	case !logs:
		d.fault(e.prove.logs.at, "needs a policy for the service %s: without one, no log line is accepted", logsService)
	case !covered && ok:
		d.fault(proof.at, "%q is covered by none of the policies for %s", literal, logsService)
	}
}

// checkInstances finds entries whose instances can only collide.
func (d *decoder) checkInstances(e *entryDraft) {
	many := e.ForEach != "" || e.UsesWith()
	if !many {
		return
	}
	why := "forEach gives many instances"
	if e.UsesWith() {
		why = "its parameters (" + strings.Join(e.reads, ", ") + ") give many instances"
	}
	if s, ok := e.serviceID.literal(); ok {
		d.fault(e.serviceID.at, "%q is one name, but %s; use an expression in it, such as ${%s}", s, why, e.example())
	}
	for _, s := range e.stores {
		if at, fixed := s.fixedPlace(); fixed {
			d.fault(at, "is one place, but %s; use an expression in it, such as ${%s}", why, e.example())
		}
	}
}

// checkServiceID finds two credentials with one service ID, as far as that
// shows without instances.
func (d *decoder) checkServiceID(e *entryDraft, taken map[string]string) {
	s, ok := e.serviceID.literal()
	if !ok {
		return
	}
	if other, twice := taken[s]; twice {
		d.fault(e.serviceID.at, "%q is the service ID of the credential %q too", s, other)
	}
	taken[s] = e.Name
}

func (e *Entry) example() string {
	if e.ForEach != "" {
		return "project.name"
	}
	return `with["` + e.reads[0] + `"]`
}

// checkPlaces finds two stores at one place, within the credential and, where
// no expression is involved, among all of them.
func (d *decoder) checkPlaces(e *entryDraft, places map[string]string) {
	own := map[string]value{}
	for _, s := range e.stores {
		at, where, ok := s.sourcePlace()
		if !ok {
			continue
		}
		if first, twice := own[where]; twice {
			d.fault(at, "is the place of %s too; a credential writes to a place once", strings.TrimPrefix(first.path, e.path+"."))
			continue
		}
		own[where] = at
		if _, fixed := s.fixedPlace(); !fixed || e.ForEach != "" || e.UsesWith() {
			continue
		}
		if other, twice := places[where]; twice {
			d.fault(at, "is a place that the credential %q writes to already", other)
		}
		places[where] = e.Name
	}
}

// sourcePlace is equal for two stores that always are at the same place.
func (s storeTemplate) sourcePlace() (at value, where string, ok bool) {
	parts := s.placeParts()
	at = s.at
	if slices.Contains(parts, nil) {
		return at, "", false
	}
	for _, t := range parts {
		if len(t.parts) == 0 {
			return at, "", false // its fault is recorded
		}
		where += t.key() + "\n"
	}
	return at, where, len(parts) > 0
}

// fixedPlace is a sourcePlace without expressions.
func (s storeTemplate) fixedPlace() (at value, ok bool) {
	if slices.ContainsFunc(s.placeParts(), (*template).varies) {
		return s.at, false
	}
	at, _, ok = s.sourcePlace()
	return at, ok
}

func (s storeTemplate) placeParts() []*template {
	switch {
	case s.codeEngine != nil:
		c := s.codeEngine
		return []*template{c.project, c.region, c.secret, c.entry}
	case s.secretsManager != nil:
		return s.secretsManager.placeParts()
	case s.file != nil:
		return []*template{s.file.path}
	case s.kubernetes != nil:
		return s.kubernetes.placeParts()
	case s.vault != nil:
		return s.vault.placeParts()
	}
	return nil
}
