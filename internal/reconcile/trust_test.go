package reconcile_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// intruder has a service ID of its own, with a key on it. Both carry our marker.
func (w *bench) intruder(name string) (key protocol.Key, value secret.Value) {
	marker := marker.Marker{Owner: owner, Credential: w.c.Name}
	id := port.ServiceID{ID: "ServiceId-hers", IAMID: "iam-ServiceId-hers", Name: name, Creator: "IBMid-hers", Marker: marker, Marked: true, Created: w.now}
	w.ids = append(w.ids, id)
	value = secret.New("a value of her own that IAM knows")
	key = w.add(id.IAMID, "x", marker.Text(), value, time.Time{})
	rec := w.find(key.ID)
	rec.Ours, rec.Forged, rec.Creator = false, true, id.Creator
	return key, value
}

func forgedNotes(out result.Outcome) (things []string) {
	for _, n := range out.Notes {
		if n.Reason == reason.ForgedMarker {
			things = append(things, n.Thing+" "+n.Creator)
		}
	}
	return things
}

func TestAPlantedKeyIsOverwrittenAndNothingOfHersIsUsed(t *testing.T) {
	for _, guarded := range []bool{true, false} {
		for _, created := range []time.Duration{-time.Hour, 0, 1000 * time.Hour} {
			t.Run(fmt.Sprint(guarded, created), func(t *testing.T) {
				w := newBench(t)
				w.a.guarded = guarded
				genuine := w.rotated()
				hers, value := w.intruder("anything")
				w.a.entry = port.Entry{KeyID: hers.ID, Value: value, Created: w.now.Add(created), IAMID: "iam-ServiceId-hers", Owner: owner}
				w.a.rev++
				out := w.run(protocol.Trigger{})
				if out.Key != genuine || w.a.entry.KeyID != genuine || w.b.entry.KeyID != genuine || !w.a.entry.Value.Equal(w.b.entry.Value) || w.a.entry.IAMID != w.b.entry.IAMID {
					t.Errorf("outcome %+v, store names %s", out, w.a.entry.KeyID)
				}
				if got := forgedNotes(out); len(got) != 1 || got[0] != hers.ID+" IBMid-hers" {
					t.Errorf("notes %+v", out.Notes)
				}
				if k := w.find(genuine); k == nil || !k.Superseded.IsZero() || w.find(hers.ID) == nil || len(w.policies["iam-ServiceId-hers"]) > 0 {
					t.Errorf("the genuine key is %+v", k)
				}
			})
		}
	}
}

func TestAForgedServiceIDIsNoDuplicate(t *testing.T) {
	w := newBench(t)
	genuine := w.rotated()
	hers, _ := w.intruder(w.c.ServiceIDName)
	w.reconciler = w.process() // a process without memory
	out := w.run(protocol.Trigger{NewerThan: w.now.Add(time.Second)})
	if w.find(hers.ID) == nil || len(w.ids) != 2 || len(w.policies["iam-ServiceId-hers"]) > 0 {
		t.Errorf("what is hers was changed: %+v", out)
	}
	if got := forgedNotes(out); len(got) != 1 || got[0] != "ServiceId-hers IBMid-hers" {
		t.Errorf("notes %+v", out.Notes)
	}
	// Her key is young, and it is no rival that the demand waits for.
	if out.Key == genuine || out.Result != result.Published {
		t.Errorf("outcome %+v", out)
	}
}

func TestOnlyAForgedServiceIDBlocks(t *testing.T) {
	w := newBench(t)
	w.intruder(w.c.ServiceIDName)
	out := w.run(protocol.Trigger{})
	if out.Result != result.Blocked || out.Reason != reason.ForgedMarker || len(out.Steps) > 0 {
		t.Errorf("outcome %+v", out)
	}
}

// Whoever may edit a service ID may take its marker off. Its keys still bear theirs.
func TestAKeyOnAServiceIDWithoutItsMarkerIsRevoked(t *testing.T) {
	w := newBench(t)
	genuine := w.rotated()
	w.ids[0].Marked, w.ids[0].Ours = false, false
	w.reconciler = w.process() // that has no memory
	out := w.run(protocol.Trigger{Leaked: genuine, Contain: true})
	if k := w.find(genuine); k != nil && k.Live(w.now) {
		t.Errorf("the key lives: %s, %s, %s", out.Result, out.Message, out.Error)
	}
	if out.Result != result.Blocked || out.Reason != reason.NameTaken {
		t.Errorf("%s, %s", out.Result, out.Reason)
	}
}

func TestAServiceIDThatHasTheNameIsTold(t *testing.T) {
	w := newBench(t)
	w.ids = []port.ServiceID{{ID: "ServiceId-9", IAMID: "iam-ServiceId-9", Name: w.c.ServiceIDName, Creator: "IBMid-7", Created: w.now}}
	out := w.run(protocol.Trigger{})
	if out.Result != result.Blocked || out.Reason != reason.NameTaken || !strings.Contains(out.Message, "ServiceId-9") || !strings.Contains(out.Message, "IBMid-7") {
		t.Errorf("outcome %+v", out)
	}
}

func TestAKeyIDThatIAMCannotHaveGivenIsNoKeyID(t *testing.T) {
	w := newBench(t)
	genuine := w.rotated()
	w.b.entry.KeyID = "ApiKey-x/../../y"
	out := w.run(protocol.Trigger{})
	if out.Key != genuine || out.Result != result.Blocked || out.Reason != reason.EntryUnmarked {
		t.Errorf("outcome %+v", out)
	}
}

// The role that reads service IDs does not read the keys of users, and IAM may refuse an
// ID that it did not give.
func TestAKeyIDThatMayNotBeReadStopsNothing(t *testing.T) {
	for name, refused := range map[string]error{"denied": port.ErrDenied, "refused": port.ErrRefused} {
		t.Run(name, func(t *testing.T) {
			w := newBench(t)
			genuine := w.rotated()
			users := w.add("IBMid-1", "a user's", "", secret.New("a value of a user"), time.Time{})
			w.fail["Get "+users.ID] = refused
			w.b.entry.KeyID = users.ID
			if out := w.run(protocol.Trigger{}); out.Key != genuine || w.b.entry.KeyID != genuine {
				t.Errorf("outcome %+v", out)
			}
		})
	}
}

// A consumer must not lose the key that it has to one whose overlap could not be
// extended.
func TestAKeyThatCouldNotBeExtendedIsNotGivenToConsumers(t *testing.T) {
	w := newBench(t)
	old, before := w.rotated(), w.a.entry
	w.now = w.now.Add(61 * 24 * time.Hour)
	fresh := w.must(result.Published, protocol.Trigger{}).Key
	if w.app.key != fresh {
		t.Fatalf("the app has %s, want %s", w.app.key, fresh)
	}
	w.now = w.now.Add(23 * time.Hour)
	w.a.entry = before                     // a person rolls the store back
	w.b.fail["Read"] = port.ErrUnavailable // so no new key is made
	w.fail["Update"] = port.ErrUnavailable
	if out := w.run(protocol.Trigger{}); w.app.key != fresh {
		t.Errorf("the app was restarted with %s, which ends at %s: %+v", w.app.key, w.find(old).Expires, out.Steps)
	}
	w.fail["Update"] = nil
	if w.run(protocol.Trigger{}); w.app.key != old {
		t.Errorf("the app has %s, want %s, which was extended", w.app.key, old)
	}
}

// A store that names a key that IAM does not have, born in the future, would make
// every run wait for it.
func TestAKeyOfTheFutureIsNotWaitedFor(t *testing.T) {
	w := newBench(t)
	genuine := w.rotated()
	w.b.entry.KeyID, w.b.entry.Created = "ApiKey-unknown", w.now.Add(1000*time.Hour)
	if out := w.run(protocol.Trigger{}); out.Key != genuine || w.b.entry.KeyID != genuine {
		t.Errorf("outcome %+v", out)
	}
}

func TestMarksOfTheFutureDoNotCount(t *testing.T) {
	far := time.Date(9990, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, mark := range map[string]func(*protocol.Key){
		"a demand":   func(k *protocol.Key) { k.Renew = far },
		"a date":     func(k *protocol.Key) { k.Served = far },
		"an overlap": func(k *protocol.Key) { k.Superseded = far },
		"a birth":    func(k *protocol.Key) { k.AsOf = far },
	} {
		t.Run(name, func(t *testing.T) {
			w := newBench(t)
			genuine := w.rotated()
			mark(&w.find(genuine).Key)
			if out := w.run(protocol.Trigger{}); out.Key != genuine {
				t.Errorf("a sweep: %+v", out)
			}
			w.now = w.now.Add(time.Hour)
			if out := w.run(protocol.Trigger{NewerThan: w.now, Expiry: w.now.Add(time.Hour)}); out.Result != result.Published || out.Key == genuine {
				t.Errorf("a demand: %+v", out)
			}
			published := w.a.entry.KeyID
			w.now = w.now.Add(time.Hour)
			if out := w.run(protocol.Trigger{}); out.Key != published {
				t.Errorf("the next sweep: %+v", out)
			}
		})
	}
}

// IBM does not say how long IAM keeps the record of a creation.
func TestWithoutARecordOfItsCreationAServiceIDWithKeysOfOursStaysOurs(t *testing.T) {
	for _, guarded := range []bool{true, false} { // the service ID clears keys if no store is guarded
		w := newBench(t)
		w.a.guarded = guarded
		first := w.rotated()
		w.ids[0].Ours = false // and it has no creator either
		w.reconciler = w.process()
		for range 2 { // with and without memory of the service ID
			w.now = w.now.Add(time.Hour)
			out := w.must(result.Published, protocol.Trigger{NewerThan: w.now})
			if out.Key == first || len(forgedNotes(out)) > 0 {
				t.Errorf("outcome %+v", out)
			}
		}
		// Without a key of ours nothing shows whose it is.
		w.keys, w.a.entry, w.b.entry = nil, port.Entry{}, port.Entry{}
		w.reconciler = w.process()
		w.must(result.Blocked, protocol.Trigger{})
	}
}

func TestTheValueOfAnAdoptedKeyIsIdentifiedOnce(t *testing.T) {
	w := newBench(t)
	w.c.Consumers = nil
	genuine := w.rotated()
	w.find(genuine).Print = "" // as of a key that latchkey did not name
	w.must(result.Unchanged, protocol.Trigger{})

	w.fail["Identify"] = port.ErrUnavailable
	w.b.entry.Value = secret.New("a value that was pasted over it")
	out := w.must(result.Changed, protocol.Trigger{})
	if len(out.Steps) != 1 || out.Steps[0].Reason != reason.ValueAltered || !w.b.entry.Value.Equal(w.a.entry.Value) {
		t.Errorf("outcome %+v", out)
	}
}

func TestAValueThatCannotBeIdentifiedIsNotCopied(t *testing.T) {
	w := newBench(t)
	w.c.Consumers, w.c.Stores = nil, w.c.Stores[:1]
	genuine := w.rotated()
	w.find(genuine).Print = ""
	w.fail["Identify"] = port.ErrUnavailable
	w.c.Stores = []port.Store{w.a, w.b}
	if out := w.must(result.Published, protocol.Trigger{}); out.Key == genuine {
		t.Errorf("outcome %+v", out)
	}
}

// Secrets Manager destroys the value of a secret that expires.
func TestAValueThatTheStoreHasDestroyedIsRepaired(t *testing.T) {
	w := newBench(t)
	w.c.Consumers = nil
	genuine := w.rotated()
	w.b.entry.Value, w.b.entry.Cleared = nil, true
	out := w.must(result.Changed, protocol.Trigger{})
	if len(out.Steps) != 1 || out.Steps[0].Reason != reason.ValueAltered || !w.b.entry.Value.Equal(w.a.entry.Value) {
		t.Errorf("with another store that has it: %+v", out)
	}

	w.c.Stores = w.c.Stores[:1]
	w.a.entry.Value, w.a.entry.Cleared = nil, true
	w.now = w.now.Add(time.Hour)
	if out := w.must(result.Published, protocol.Trigger{}); out.Key == genuine {
		t.Errorf("without: %+v", out)
	}
}
