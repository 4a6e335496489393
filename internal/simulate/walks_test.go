package simulate

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/result"
	"github.com/latchkey-io/latchkey/internal/rotation"
)

// walk is a sequence that no random history has, with the wrong protocols that it
// shows to be wrong. play returns what is wrong with the end.
type walk struct {
	name    string
	play    func(s *sim, bend func(*replica)) (problem string)
	mutants map[string]func(*replica)
}

// otherName is the name of the service ID of a credential that does not get its own.
const otherName = "logs-sender-of-b"

var walks = []walk{
	{
		name: "latchkey is logged in as the service ID: none of its keys is changed",
		play: func(s *sim, bend func(*replica)) string {
			due(s)
			in, self := s.replicas[0], "iam-"+s.idOf()
			in.rec.Self = func(ctx) (string, error) { return self, nil }
			bend(in)
			if r := s.look(in); r.mutations > 0 || r.out.Reason != reason.OwnLogin {
				return "the service ID that latchkey is logged in as is changed"
			}
			return ""
		},
		mutants: map[string]func(*replica){
			"does not know as what it is logged in": func(in *replica) { in.rec.Self = nil },
		},
	},
	{
		name: "the token of a new key is for another account: no store gets the key",
		play: func(s *sim, bend func(*replica)) string {
			s.account = "another"
			bend(s.replicas[0])
			if s.look(s.replicas[0]); s.places[0].there {
				return "a store has a key of an account that is not the config's"
			}
			return ""
		},
		mutants: map[string]func(*replica){
			"does not compare the account": func(in *replica) { in.rec.Account = nil },
		},
	},
	{
		name: "a person locks the published key: it is replaced when it is due",
		play: func(s *sim, bend func(*replica)) string {
			rested(s)
			f := s.newest()
			s.cloud.SetKeyLocked(f.id, true)
			s.refresh(f)
			f.excused = "locked"
			s.until(f.born.Add(s.rules.After))
			s.complete = append(s.complete, span{s.now, s.now})
			bend(s.replicas[0])
			if s.look(s.replicas[0]); s.newest() == f {
				return "the locked key is not replaced"
			}
			return ""
		},
		mutants: map[string]func(*replica){
			"waits for the unlock of the published key": func(in *replica) {
				in.rec.Decide = func(st state, r rules, t trigger, now time.Time) plan {
					p := rotation.Decide(st, r, t, now)
					if slices.ContainsFunc(st.Keys, func(k protocol.Key) bool { return k.ID == p.Published && k.Locked }) {
						p.Steps, p.Blocked = nil, reason.KeyLocked
					}
					return p
				}
			},
		},
	},
	{
		name: "IAM ends the published key earlier than was asked for: it is replaced before",
		play: func(s *sim, bend func(*replica)) string {
			rested(s)
			f := s.newest()
			s.cloud.SetKeyExpiry(f.id, s.now.Add(10*time.Hour))
			s.refresh(f)
			bend(s.replicas[0])
			for range 12 {
				s.look(s.replicas[0])
				if s.newest() == nil {
					return "the store names a key that has expired"
				}
			}
			return ""
		},
		mutants: map[string]func(*replica){
			"believes the lifetime that it asked for": func(in *replica) {
				in.rec.Decide = func(st state, r rules, t trigger, now time.Time) plan {
					st.Keys = slices.Clone(st.Keys)
					for i := range st.Keys {
						st.Keys[i].Expires = st.Keys[i].Created.Add(r.Expire)
					}
					return rotation.Decide(st, r, t, now)
				}
			},
		},
	},
	{
		name: "the rename of a locked service ID is refused: a replica with the old config keeps the key that one with the new config makes",
		play: func(s *sim, bend func(*replica)) string {
			rested(s)
			first, in := s.newest(), s.replicas[0]
			s.cloud.SetServiceIDLocked(s.idOf(), true)
			in.cred.Name, in.cred.Former = newName, []string{credential}
			bend(in)
			s.until(first.born.Add(s.rules.After))
			s.complete = append(s.complete, span{s.now, s.now})
			s.look(in)
			f := s.newest()
			in.cred.Name, in.cred.Former = credential, nil
			if s.look(in); f == first || s.newest() != f {
				return "the key of the replica with the new config is not made, or is replaced"
			}
			return ""
		},
		mutants: map[string]func(*replica){
			"marks a key with the name in its config": func(in *replica) { in.rec.Keys = hasNames{in.rec.Keys.(iam), in} },
		},
	},
	{
		name: "the config asks for an access group: the service ID is a member before its key is published",
		play: func(s *sim, bend func(*replica)) string {
			g, err := s.cloud.AddGroup(cloud.NewGroup{Name: "senders"})
			if err != nil {
				return err.Error()
			}
			in := s.replicas[0]
			in.cred.Groups = []string{g.ID}
			bend(in)
			s.look(in)
			if is, _ := s.cloud.IsMember(cloud.Owner(), g.ID, "iam-"+s.idOf()); !is {
				return "the service ID is no member of the group"
			}
			if _, err := s.cloud.ChangeGroup(g.ID, cloud.GroupChange{Remove: []string{"iam-" + s.idOf()}}); err != nil {
				return err.Error()
			}
			s.look(in)
			if is, _ := s.cloud.IsMember(cloud.Owner(), g.ID, "iam-"+s.idOf()); !is {
				return "a person took the service ID out of the group, and it is no member again"
			}
			return ""
		},
		mutants: map[string]func(*replica){
			"joins no access group": func(in *replica) {
				in.rec.Decide = func(st state, r rules, t trigger, now time.Time) plan {
					p := rotation.Decide(st, r, t, now)
					p.Steps = slices.DeleteFunc(p.Steps, func(s protocol.Step) bool { return strings.HasPrefix(s.Target, "membership of ") })
					return p
				}
			},
		},
	},
	{
		name: "another project's service ID has the name: the credential gets a name of its own",
		play: func(s *sim, bend func(*replica)) string {
			others := marker.Marker{Owner: owner, Credential: "logs-sender/a", With: map[string]string{"project": "a"}}
			id, err := s.cloud.CreateServiceID(s.minter.Actor(), cloud.NewServiceID{AccountID: cloud.AccountID, Name: idName, Description: others.Describe("")})
			if err != nil {
				return err.Error()
			}
			s.until(s.now.Add(time.Hour))
			in := s.replicas[0]
			in.cred.OwnName, in.cred.With = otherName, map[string]string{"project": "b"}
			bend(in)
			s.look(in)
			f := s.publishedFact()
			if f == nil || f.iamID == id.IAMID {
				return "no key is published on a service ID of the credential's own"
			}
			return ""
		},
		mutants: map[string]func(*replica){
			"takes over whatever has the name": func(in *replica) {
				in.rec.Identities = takesNames{in.rec.Identities.(iam)}
			},
			"waits for the name": func(in *replica) { in.cred.OwnName = "" },
		},
	},
	{
		name: "the config gives a service ID: it gets keys, and nothing else is changed",
		play: func(s *sim, bend func(*replica)) string {
			id := s.cloud.AddServiceID(cloud.NewServiceID{AccountID: cloud.AccountID, Name: "theirs", Description: "made by a person"})
			s.cloud.Grant(id.IAMID, "logs", "crn:v1:bluemix:public:logs::::serviceRole:Sender")
			s.ids[id.ID], s.wanted = s.now, nil
			in := s.replicas[0]
			in.cred.Given, in.cred.Policies = id.ID, nil
			bend(in)
			s.look(in)
			now, err := s.cloud.GetServiceID(cloud.Owner(), id.ID, false)
			f := s.publishedFact()
			if err != nil || now.EntityTag != id.EntityTag || len(s.ids) != 1 || f == nil || f.iamID != id.IAMID {
				return "the given service ID is changed, or has no key"
			}
			return ""
		},
		mutants: map[string]func(*replica){
			"makes a service ID of its own": func(in *replica) { in.cred.Given = "" },
		},
	},
	{
		name: "the given service ID is in a group: its replaced keys are seen, and deleted",
		play: func(s *sim, bend func(*replica)) string {
			g, err := s.cloud.CreateServiceIDGroup(cloud.Owner(), cloud.AccountID, "senders", "")
			if err != nil {
				return err.Error()
			}
			id := s.cloud.AddServiceID(cloud.NewServiceID{AccountID: cloud.AccountID, GroupID: g.ID, Name: "theirs"})
			s.cloud.Grant(id.IAMID, "logs", "crn:v1:bluemix:public:logs::::serviceRole:Sender")
			s.ids[id.ID], s.wanted, s.group = s.now, nil, g.ID
			in := s.replicas[0]
			in.cred.Given, in.cred.Policies = id.ID, nil
			bend(in)
			s.look(in)
			f := s.publishedFact()
			if f == nil {
				return "the given service ID has no key"
			}
			s.until(f.born.Add(s.rules.After))
			s.complete = append(s.complete, span{s.now, s.now})
			for range 5 {
				s.look(in)
			}
			if f.gone.IsZero() || s.publishedFact() == f {
				return "the key that was replaced is not deleted"
			}
			return ""
		},
		mutants: map[string]func(*replica){
			"lists the keys of the default group only": func(in *replica) { in.rec.Keys = listsDefaultGroup{in.rec.Keys.(iam)} },
		},
	},
	{
		name: "a person takes the marker off the service ID within the hour of a rotation: it gets no key",
		play: func(s *sim, bend func(*replica)) string {
			due(s)
			in := s.replicas[0]
			bend(in)
			s.sweep(in)
			s.until(s.now.Add(15 * time.Minute))
			id, err := s.cloud.GetServiceID(cloud.Owner(), s.idOf(), false)
			if err == nil {
				_, err = s.cloud.UpdateServiceID(cloud.Owner(), id.ID, id.EntityTag, cloud.ServiceIDChange{Description: new(string)})
			}
			if err != nil {
				return err.Error()
			}
			s.disturb(nil)
			made := len(s.order)
			s.begin(in, reconcile.Request{Cause: "demand", Trigger: protocol.Trigger{NewerThan: s.now}}, 100*time.Second)
			s.settle()
			s.until(s.now.Add(30 * time.Minute))
			if len(s.order) > made {
				return "a key is made on a service ID that is not latchkey's"
			}
			return ""
		},
		mutants: map[string]func(*replica){
			"believes the service ID that it remembers": func(in *replica) { in.rec.Identities = remembers{in.rec.Identities.(iam)} },
		},
	},
	{
		name: "IAM denies the deletion of the key that lost: that is the reason",
		play: func(s *sim, bend func(*replica)) string {
			due(s)
			s.replicas = append(s.replicas, &replica{name: "B"})
			s.boot(s.replicas[1])
			s.policy = &lasting{sim: s, stay: stay{steps: []step{retire}, fault: denied}, on: true}
			var runs []*run
			for _, in := range s.replicas {
				bend(in)
				runs = append(runs, s.begin(in, reconcile.Request{Cause: "timer"}, 100*time.Second))
			}
			s.settle()
			s.until(s.now.Add(10 * time.Minute))
			lost := func(r *run) bool { return r.out.Result == result.Blocked && r.out.Reason == reason.IdentityDenied }
			won := func(r *run) bool { return r.out.Result == result.Published }
			if !slices.ContainsFunc(runs, won) || !slices.ContainsFunc(runs, lost) {
				return fmt.Sprintf("the replicas say %s %s and %s %s", runs[0].out.Result, runs[0].out.Reason, runs[1].out.Result, runs[1].out.Reason)
			}
			return ""
		},
		mutants: map[string]func(*replica){
			"blames the store for a withdrawal that IAM refuses": func(in *replica) { in.cred.Stores[0] = blamed{in.cred.Stores[0].(adapter)} },
		},
	},
	{
		name: "the config asks to narrow: what latchkey granted and the config does not say goes, and nothing else",
		play: func(s *sim, bend func(*replica)) string {
			rested(s)
			iamID := "iam-" + s.idOf()
			in := s.replicas[0]
			before := s.policies(iamID, 0)
			in.cred.Policies = append(slices.Clone(s.wanted), access.Policy{Service: "logs", Roles: []string{"Sender"}})
			s.wanted = in.cred.Policies // an earlier config
			s.look(in)
			if len(s.policies(iamID, 0)) != len(before)+1 {
				return "the policy of the earlier config is not granted"
			}
			theirs := s.cloud.Grant(iamID, "logs", "crn:v1:bluemix:public:logs::::serviceRole:Sender")
			in.cred.Policies = slices.Clone(in.cred.Policies[:len(in.cred.Policies)-1])
			s.wanted, in.cred.NarrowPolicies = in.cred.Policies, true
			lost := &losesNarrowing{iam: in.rec.Identities.(iam), left: 2}
			in.rec.Identities = lost
			bend(in)
			for range 4 { // the first two calls fail, before and after they have an effect
				s.look(in)
			}
			after := s.policies(iamID, 0)
			ours := slices.DeleteFunc(slices.Clone(after), func(p access.Policy) bool { return p.ID == theirs.ID })
			same := func(a, b access.Policy) bool { return a.ID == b.ID }
			switch {
			case len(ours) == len(after):
				return "a policy that latchkey did not grant is gone"
			case len(absent(s.wanted, ours)) > 0:
				return "a policy that the config says is gone"
			case !slices.EqualFunc(before, ours, same):
				return "a policy that the config does not say is left"
			}
			return ""
		},
		mutants: map[string]func(*replica){
			"narrow takes a foreign policy": func(in *replica) {
				in.rec.Identities = takesAllPolicies{in.rec.Identities.(*losesNarrowing)}
			},
			"narrow takes a policy that the config still says": func(in *replica) {
				in.rec.Identities = narrowsWanted{in.rec.Identities.(*losesNarrowing)}
			},
			"narrows nothing": func(in *replica) { in.rec.Decide = without(protocol.NarrowPolicy) },
		},
	},
	{
		name: "the project is gone: its keys end after an overlap, and then the service ID",
		play: func(s *sim, bend func(*replica)) string {
			rested(s)
			in := s.replicas[0]
			in.cred.Gone = true
			bend(in)
			for range 5 {
				s.look(in)
				s.until(s.now.Add(s.rules.Overlap))
			}
			for _, f := range s.order {
				if f.liveAt(s.now) {
					return "a key of a deleted project lives on"
				}
			}
			if len(s.ids) > 0 {
				return "the service ID of a deleted project lives on"
			}
			return ""
		},
		mutants: map[string]func(*replica){
			"keeps the keys of a deleted project":       func(in *replica) { in.rec.Decide = without(protocol.Supersede) },
			"keeps the service ID of a deleted project": func(in *replica) { in.rec.Decide = without(protocol.RemoveIdentity) },
		},
	},
}

// look plays one sweep to its end.
func (s *sim) look(in *replica) *run {
	r := s.sweep(in)
	s.until(s.now.Add(time.Hour))
	return r
}

// without decides without an action.
func without(a protocol.Action) decider {
	return func(st state, r rules, t trigger, now time.Time) plan {
		p := rotation.Decide(st, r, t, now)
		p.Steps = slices.DeleteFunc(p.Steps, action(a))
		return p
	}
}

// takesNames takes every service ID with the name for the credential's.
type takesNames struct{ iam }

func (i takesNames) Find(ctx ctx, name string) ([]port.ServiceID, time.Time, error) {
	ids, date, err := i.iam.Find(ctx, name)
	for n := range ids {
		ids[n].Marker.Credential = credential
	}
	return ids, date, err
}

// listsDefaultGroup lists without the group.
type listsDefaultGroup struct{ iam }

func (i listsDefaultGroup) List(ctx ctx, iamID string, creds ...string) (port.KeyList, error) {
	return i.listIn(ctx, "", iamID, creds...)
}

// remembers takes a service ID for latchkey's, whatever its marker says now.
type remembers struct{ iam }

func (i remembers) Lookup(ctx ctx, iamID string) (port.ServiceID, error) {
	id, err := i.iam.Lookup(ctx, iamID)
	id.Marked, id.Ours, id.Marker = true, true, marker.Marker{Owner: owner, Credential: credential}
	return id, err
}

// blamed is a store that refuses a key if another was first.
type blamed struct{ adapter }

func (p blamed) Publish(ctx ctx, e port.Entry, revision string) error {
	err := p.adapter.Publish(ctx, e, revision)
	if is(err, port.ErrConflict) {
		return fmt.Errorf("%w: %v", port.ErrRefused, err) //nolint:errorlint // a final no
	}
	return err
}

// losesNarrowing fails some calls that narrow: every second one before it has an effect.
type losesNarrowing struct {
	iam
	left int
}

func (i *losesNarrowing) Narrow(ctx ctx, iamID string, p access.Policy, keep []string) error {
	i.left--
	if i.left == 1 {
		return port.ErrUnavailable
	}
	err := i.iam.Narrow(ctx, iamID, p, keep)
	if i.left == 0 {
		return port.ErrUnavailable
	}
	return err
}

// takesAllPolicies takes every policy for one that latchkey granted.
type takesAllPolicies struct{ *losesNarrowing }

func (i takesAllPolicies) Granted(ctx ctx, iamID string) ([]access.Policy, error) {
	all, err := i.losesNarrowing.Granted(ctx, iamID)
	all = slices.Clone(all)
	for n := range all {
		all[n].Ours = true
	}
	return all, err
}

func (i takesAllPolicies) Narrow(_ ctx, _ string, p access.Policy, _ []string) error {
	return i.cloud.DeletePolicy(cloud.Owner(), p.ID)
}

// narrowsWanted takes down all policies that latchkey granted.
type narrowsWanted struct{ *losesNarrowing }

func (i narrowsWanted) Narrow(ctx ctx, iamID string, _ access.Policy, _ []string) error {
	all, err := i.Granted(ctx, iamID)
	for _, p := range all {
		if p.Ours {
			err = i.cloud.DeletePolicy(i.minter.Actor(), p.ID)
		}
	}
	return err
}

func (w walk) run(t *testing.T, bend func(*replica)) (problems []string) {
	synctest.Test(t, func(*testing.T) {
		s := staged(1, Options{}, "G", 0, "A")
		s.policy = &script{sim: s}
		if problem := w.play(s, bend); problem != "" {
			problems = append(problems, problem)
		}
		problems = append(problems, s.violations...)
		for _, in := range s.replicas {
			s.kill(in)
		}
		s.settle()
	})
	return problems
}

// TestWalks plays each walk with the right protocol, and with wrong ones that it must
// show.
func TestWalks(t *testing.T) {
	for _, w := range walks {
		t.Run(w.name, func(t *testing.T) {
			for _, problem := range w.run(t, func(*replica) {}) {
				t.Error(problem)
			}
			for name, bend := range w.mutants {
				problems := w.run(t, bend)
				if len(problems) == 0 {
					t.Errorf("survived: %s", name)
					continue
				}
				t.Logf("killed: %s: %s", name, problems[0])
			}
		})
	}
}
