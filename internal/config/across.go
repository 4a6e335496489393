package config

import (
	"slices"
	"strings"
	"time"
)

// logsService is the name of Cloud Logs in IAM.
const logsService = "logs"

// Bounds of durations.
const (
	minSweepEvery = time.Minute
	// A new key expires after the fuse unless it is published. A whole sweep must fit
	// into the fuse to finish an interrupted rotation, even if the timer is late.
	fuse          = 24 * time.Hour
	maxSweepEvery = fuse / 2
	minAfter      = 24 * time.Hour
	minOverlap    = time.Hour
	// The fuse must be shorter than the key's life.
	minExpire = 48 * time.Hour
	// A key is due this many sweeps before it expires, so that a failed sweep can be
	// repeated.
	sweepsBeforeExpiry = 4
)

// across checks fields against each other.
func (d *decoder) across(c *Config, f draft) {
	if c.SweepEvery < minSweepEvery || c.SweepEvery > maxSweepEvery {
		d.fault(f.root.at("sweepEvery"), "%s must be from %s to %s: a new key expires after %s unless a sweep finishes its rotation",
			Days(c.SweepEvery), Days(minSweepEvery), Days(maxSweepEvery), Days(fuse))
	}
	names := map[string]int{}         // entry name to line
	serviceIDs := map[string]string{} // service ID name to entry
	locations := map[string]string{}  // store location to entry
	given := map[string]string{}      // service ID to entry
	complete := len(f.entries) > 0
	for _, e := range f.entries {
		if line, ok := names[e.Name]; ok && e.Name != "" {
			d.fault(e.object.at("name"), "%q is already the name of the credential on line %d", e.Name, line)
		}
		names[e.Name] = e.Line
		complete = complete && e.Name != ""
		if _, ok := f.root.keys["regions"]; e.ForEach != "" && !ok {
			d.fault(e.object.at("forEach"), "%s needs regions at the top of the config: projects are searched there", e.ForEach)
		}
		d.checkRotation(e, c.SweepEvery)
		d.checkPolicies(e)
		d.checkLogs(e)
		d.checkDenials(e.prove)
		d.checkKeyless(e)
		d.checkMany(e)
		d.checkServiceID(e, serviceIDs)
		d.checkIdentity(e, f.entries, given)
		d.checkFormats(c, e)
		d.checkLocations(e, locations)
	}
	if complete {
		d.checkPatterns(f.patterns, names)
		d.checkRules(f.rules, f.entries)
	}
}

// checkPatterns rejects patterns that permit nothing, mostly because of a typo.
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
			d.fault(e.rotation.at(key), "%s is too short; the minimum is %s", Days(is), Days(min))
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
		d.fault(at, "after %s plus overlap %s must be less than expire %s: an old key must not expire during its overlap",
			Days(r.After), Days(r.Overlap), Days(r.Expire))
	case r.After+early >= r.Expire:
		d.fault(at, "after %s plus %d times sweepEvery (%s) must be less than expire %s: a failed sweep needs time to be repeated",
			Days(r.After), sweepsBeforeExpiry, Days(sweepEvery), Days(r.Expire))
	}
}

// checkLogs requires a policy that permits the log line of the proof.
func (d *decoder) checkLogs(e *entryDraft) {
	if e.prove.logs == nil || len(e.policies) == 0 {
		return
	}
	proof := e.prove.logs.instance
	covered, logs := false, false
	for _, p := range e.policies {
		if p.service+p.serviceType == "" {
			return // has a fault already
		}
		if p.service != logsService {
			continue
		}
		logs = true
		// Expand checks an instance that an expression yields.
		covered = covered || p.instance == nil || p.instance.varies() || p.instance.key() == proof.key()
	}
	switch literal, ok := proof.literal(); {
	case !logs:
		d.fault(e.prove.logs.at, "needs a policy for the service %s: otherwise Cloud Logs rejects the line", logsService)
	case !covered && ok:
		d.fault(proof.at, "no policy for %[2]s covers %[1]q", literal, logsService)
	}
}

// checkMany rejects an entry whose credentials would always collide.
func (d *decoder) checkMany(e *entryDraft) {
	many := e.ForEach != "" || e.UsesWith()
	if !many {
		return
	}
	why := "forEach yields many credentials"
	if e.UsesWith() {
		why = "its parameters (" + strings.Join(e.reads, ", ") + ") yield many credentials"
	}
	if s, ok := e.serviceID.literal(); ok {
		d.fault(e.serviceID.at, "%q is a fixed name, but %s; use an expression, such as ${%s}", s, why, e.example())
	}
	for _, s := range e.stores {
		if at, fixed := s.fixedLocation(); fixed {
			d.fault(at, "is a fixed location, but %s; use an expression, such as ${%s}", why, e.example())
		}
	}
}

// checkServiceID rejects two entries with the same literal service ID name.
func (d *decoder) checkServiceID(e *entryDraft, taken map[string]string) {
	s, ok := e.serviceID.literal()
	if !ok {
		return
	}
	if other, twice := taken[s]; twice {
		d.fault(e.serviceID.at, "%q is already the service ID of the credential %q", s, other)
	}
	taken[s] = e.Name
}

func (e *Entry) example() string {
	if e.ForEach != "" {
		return "project.name"
	}
	return `with["` + e.reads[0] + `"]`
}

// checkLocations rejects two stores at one location: within the credential and,
// without expressions, in the whole config.
func (d *decoder) checkLocations(e *entryDraft, locations map[string]string) {
	own := map[string]value{}
	var all []storeTemplate
	for _, s := range e.stores {
		all = append(all, s.each()...)
	}
	for _, s := range all {
		at, where, ok := s.sourceLocation()
		if !ok {
			continue
		}
		if first, twice := own[where]; twice {
			d.fault(at, "is the same location as %s; a credential writes to a location once", strings.TrimPrefix(first.path, e.path+"."))
			continue
		}
		own[where] = at
		if _, fixed := s.fixedLocation(); !fixed || e.ForEach != "" || e.UsesWith() {
			continue
		}
		if other, twice := locations[where]; twice {
			d.fault(at, "is already a location of the credential %q", other)
		}
		locations[where] = e.Name
	}
}

// sourceLocation is equal for two stores that always have the same location.
func (s storeTemplate) sourceLocation() (at value, where string, ok bool) {
	parts := s.locationParts()
	at = s.at
	if slices.Contains(parts, nil) {
		return at, "", false
	}
	for _, t := range parts {
		if len(t.parts) == 0 {
			return at, "", false // has a fault already
		}
		where += t.key() + "\n"
	}
	return at, where, len(parts) > 0
}

// fixedLocation reports whether the store has a location without expressions.
func (s storeTemplate) fixedLocation() (at value, ok bool) {
	if slices.ContainsFunc(s.locationParts(), (*template).varies) {
		return s.at, false
	}
	at, _, ok = s.sourceLocation()
	return at, ok
}

func (s storeTemplate) locationParts() []*template {
	switch {
	case s.codeEngine != nil:
		c := s.codeEngine
		return []*template{c.project, c.region, c.secret, c.entry}
	case s.secretsManager != nil:
		return s.secretsManager.locationParts()
	case s.file != nil:
		return []*template{s.file.path}
	case s.kubernetes != nil:
		return s.kubernetes.locationParts()
	case s.vault != nil:
		return s.vault.locationParts()
	}
	return nil // has a fault already
}
