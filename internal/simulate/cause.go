package simulate

import (
	"slices"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
)

// hearing is what the world has told one run, for the causes of its reason. IAM and
// the stores may have been behind, so all that they showed since the run began counts.
type hearing struct {
	errors    []fail
	sights    []sight
	lockedID  bool          // a service ID was shown locked
	lockedKey bool          // a key of ours was shown locked
	noID      bool          // no service ID of ours was found
	mostKeys  int           // the most keys that a list showed
	weaker    bool          // a policy was granted and then shown with fewer roles
	off       time.Duration // the largest error of the clock
	disturbed bool          // something else changed the world meanwhile
}

// fail is a call that failed.
type fail struct {
	step step
	err  error
}

// heard reports whether a call of one of the steps has failed with the error.
func (r *run) heard(err error, of ...step) bool {
	return slices.ContainsFunc(r.errors, func(f fail) bool { return slices.Contains(of, f.step) && is(f.err, err) })
}

// saw reports whether the run has read an entry like that.
func (r *run) saw(like func(sight) bool) bool { return slices.ContainsFunc(r.sights, like) }

var (
	storing = []step{read, publish, copying}
	proving = []step{exchange, prove}
	iamWork = []step{find, lookup, create, remove, granted, list, get, post, byValue, unfuse, supersede, remember, retire, clearing, condemn, extend, disable, used}
)

// drift is how far a clock may move during a run without its notice.
const drift = 2 * time.Minute

// causes say what must be true of the world for a run that is blocked or waits for
// the reason, or must have been true since the run began. A reason without a row
// must not be reported.
var causes = map[reason.Reason]func(*sim, *run) bool{
	reason.InProgress: func(s *sim, r *run) bool {
		return r.disturbed || s.bornWithin(r, s.rules.Window) || r.heard(port.ErrConflict, steps...)
	},
	reason.TooYoung: func(s *sim, r *run) bool { return s.bornWithin(r, s.rules.MinAge) },
	reason.KeysFull: func(s *sim, r *run) bool { return s.someEndSoon(r) || r.out.Error != "" }, // an overlap that could not start
	reason.NotVisible: func(s *sim, r *run) bool {
		return s.hidden(r) || r.heard(port.ErrDenied, get) || r.heard(port.ErrRefused, get)
	},
	reason.StoreUnreachable: func(_ *sim, r *run) bool {
		return r.heard(port.ErrUnavailable, storing...) || r.heard(port.ErrConflict, publish)
	},
	reason.ConsumerUnknown: func(_ *sim, r *run) bool {
		return r.heard(port.ErrUnavailable, consumers) || r.heard(port.ErrDenied, consumers)
	},
	reason.ConsumerStarting: func(_ *sim, r *run) bool { return r.heard(port.ErrNotActive, restart) },
	reason.ConsumerFailed:   func(_ *sim, r *run) bool { return r.heard(port.ErrRefused, restart) },
	reason.ProofUnclear: func(_ *sim, r *run) bool {
		return r.heard(port.ErrUnavailable, proving...) || r.heard(port.ErrNotYet, proving...) || r.heard(port.ErrUnavailable, lookup, clearing, list)
	},
	reason.ClockSkew:      func(s *sim, r *run) bool { return r.off > s.rules.MaxSkew-30*time.Second },
	reason.IdentityLocked: func(_ *sim, r *run) bool { return r.lockedID },
	reason.IdentityGone:   func(_ *sim, r *run) bool { return r.noID && r.saw(func(e sight) bool { return e.key != "" }) },
	reason.ForgedMarker:   func(s *sim, _ *run) bool { return s.member != nil && s.member.iamID != "" },
	reason.IdentityShared: func(s *sim, _ *run) bool {
		unmarked := slices.ContainsFunc(s.order, func(f *fact) bool { return f.excused == "unmarked" })
		return unmarked || !s.crowded.IsZero() || s.member != nil
	},
	reason.IdentityAbsent: func(_ *sim, r *run) bool { return r.cred.Given != "" && r.heard(port.ErrNotFound, lookup) },
	reason.NameCollision:  func(s *sim, r *run) bool { return s.twists[renames] != nil && r.old },
	reason.AdoptionFailed: func(s *sim, r *run) bool {
		holds := slices.ContainsFunc(s.places, func(p *place) bool { return r.reads[p].adopts })
		return r.cred.AdoptKey != "" && !holds // a person may have changed the store during the run
	},
	reason.KeyLocked: func(_ *sim, r *run) bool { return r.lockedKey },
	reason.KeyCap: func(s *sim, r *run) bool {
		return r.mostKeys >= s.rules.KeyLimit || r.heard(port.ErrQuota, post) || s.live() >= s.rules.MaxKeys && !s.someEndSoon(r)
	},
	reason.PolicyDenied:   func(_ *sim, r *run) bool { return r.heard(port.ErrDenied, grant, granted) },
	reason.PolicyRefused:  func(_ *sim, r *run) bool { return r.heard(port.ErrRefused, grant) },
	reason.PolicyWeaker:   func(_ *sim, r *run) bool { return r.weaker },
	reason.IdentityDenied: func(_ *sim, r *run) bool { return r.heard(port.ErrDenied, iamWork...) },
	reason.StoreDenied: func(_ *sim, r *run) bool {
		return r.heard(port.ErrDenied, storing...) || r.heard(port.ErrDenied, restart)
	},
	reason.StoreRefused: func(_ *sim, r *run) bool {
		return r.heard(port.ErrRefused, storing...) || r.heard(port.ErrConflict, publish)
	},
	reason.StoreSilent: func(_ *sim, r *run) bool { return r.heard(port.ErrUnavailable, storing...) },
	reason.ConsumerSilent: func(_ *sim, r *run) bool {
		return r.heard(port.ErrUnavailable, consumers) || r.heard(port.ErrDenied, consumers)
	},
	reason.EntryUnmarked: func(s *sim, r *run) bool {
		return r.saw(func(e sight) bool { return e.key == "" && e.value && s.hinders(r, e) })
	},
	reason.EntryForeign: func(s *sim, r *run) bool {
		return r.saw(func(e sight) bool { return e.owner != "" && e.owner != owner && s.hinders(r, e) })
	},
	reason.EntryAltered: func(s *sim, r *run) bool {
		return r.saw(func(e sight) bool {
			f := s.keys[e.key]
			return e.key != "" && e.value && (!e.own || !f.liveAt(s.now))
		})
	},
	reason.EntryRewritten: func(s *sim, _ *run) bool {
		return s.live() >= s.rules.MaxKeys && slices.ContainsFunc(s.places, func(p *place) bool { return p.handled || p.late })
	},
	reason.ValueRefused: func(_ *sim, r *run) bool { return r.heard(port.ErrRefused, post) },
	reason.OwnLogin:     func(_ *sim, r *run) bool { return r.rec.Self != nil },
	reason.ProofDenied: func(s *sim, r *run) bool {
		return s.account != cloud.AccountID || r.heard(port.ErrDenied, proving...) || r.heard(port.ErrRefused, proving...) || r.heard(port.ErrNotYet, proving...)
	},
	reason.Storm: func(s *sim, r *run) bool { return r.forcedIn(s.now, time.Hour+slack) >= 5 },
	reason.KeyForeign: func(s *sim, r *run) bool {
		f := s.keys[r.req.Trigger.Leaked]
		return f == nil || f.excused == "unmarked"
	},
}

// bornWithin reports whether a key of ours was so young during the run.
func (s *sim) bornWithin(r *run, age time.Duration) bool {
	return slices.ContainsFunc(s.order, func(f *fact) bool { return f.born.After(r.start.Add(-age - slack - drift)) })
}

// someEndSoon reports whether a live key ends by itself before three overlaps.
func (s *sim) someEndSoon(r *run) bool {
	soon := s.now.Add(max(3*s.rules.Overlap, s.rules.Fuse, 3*s.rules.SweepEvery) + slack + drift)
	return slices.ContainsFunc(s.order, func(f *fact) bool {
		there := f.gone.IsZero() || f.gone.After(r.start.Add(-s.lag))
		return there && !f.expires.IsZero() && f.expires.After(r.start.Add(-drift)) && f.expires.Before(soon)
	})
}

// hinders reports whether what a store has may be the reason of a run. That of an
// optional store blocks none, unless the store is the arbiter.
func (s *sim) hinders(r *run, e sight) bool {
	arbiter := slices.IndexFunc(s.places, func(p *place) bool { return p.guarded })
	return r.out.Result != result.Blocked || !e.in.optional || arbiter >= 0 && e.in == s.places[arbiter]
}

// live counts our keys that authenticate.
func (s *sim) live() (n int) {
	for _, f := range s.order {
		if f.ours() && f.liveAt(s.now) {
			n++
		}
	}
	return n
}

// hidden reports whether a store named a young key that IAM may not have returned.
func (s *sim) hidden(r *run) bool {
	return r.saw(func(e sight) bool {
		young := e.created.After(r.start.Add(-2*s.rules.Window - slack - drift))
		f := s.keys[e.key]
		return e.key != "" && young && (f == nil || !f.gone.IsZero() || f.born.After(r.start.Add(-s.lag-slack)))
	})
}

// forcedIn counts the rotations that the process forced lately.
func (in *replica) forcedIn(now time.Time, d time.Duration) (n int) {
	for _, at := range in.forced {
		if now.Sub(at) < d {
			n++
		}
	}
	return n
}

// checkCause checks, in random histories, that each reason that is reported has a cause:
// P9.
// A key that could not be published bears a reason for a day.
func (s *sim) checkCause(r *run, why reason.Reason) {
	if why == "" || !s.random { // the table lacks rows for what only flows have
		return
	}
	bears := func(v version) bool {
		m := v.mark
		same := m.Refusal == why || m.Refusal == reason.StoreUnreachable && why == reason.StoreSilent
		return same && m.Refused.After(r.start.Add(-s.rules.Fuse-slack-drift))
	}
	kept := func(f *fact) bool { return slices.ContainsFunc(f.shown, bears) }
	if slices.ContainsFunc(s.order, kept) {
		return
	}
	if has, known := causes[why]; !known || !has(s, r) {
		s.violate("P9", "%s#%d says %s, and nothing is the cause", r.name, r.nth, why)
	}
}

// disturb notes for every other run under way that the world has changed.
func (s *sim) disturb(by *run) {
	for _, in := range s.replicas {
		for _, r := range in.live {
			r.disturbed = r.disturbed || r != by
		}
	}
}
