package simulate

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// world is everything outside of latchkey: IAM, the stores and their readers, with
// their actual state.
type world struct {
	now    time.Time
	cloud  *cloud.Cloud
	minter cloud.Minter
	chance *rand.Rand // for what IAM does by chance: its lags

	// lag is the longest lag of IAM's lists, gets and tokens. If stale is set, they
	// may also return an earlier state of a key.
	lag   time.Duration
	stale bool

	places  []*place
	apps    []*app
	readers []*reader
	rules   protocol.Rules
	wanted  []access.Policy
	account string    // that latchkey's login is for
	expiry  time.Time // of the secret that notices are about
	onLeak  string    // what IBM does with a key that it finds in public
	given   string    // the service ID that the config gives
	group   string    // of service IDs, in which the given one is
	leaving *leaving  // the credential is deprovisioned
	// adopting is the key of a person that the config asks to adopt.
	adopting *fact

	keys     map[string]*fact // every key of ours there ever was
	order    []*fact
	ids      map[string]time.Time // our service IDs since when
	foreign  map[string]int       // foreign keys of a service ID, by IAM ID
	texts    map[string]parsed    // the descriptions that were read
	acting   *run                 // whose call has its effect just now
	replicas []*replica

	ledger
}

const (
	owner      = "prod"
	credential = "logs-sender"
	idName     = "logs-sender"
)

var epoch = time.Date(2026, time.March, 1, 0, 0, 0, 0, time.UTC)

// fact is the actual state of one key.
type fact struct {
	id, iamID, value string
	born, gone       time.Time // gone is zero while IAM has it
	by               *run
	shown            []version // what lists and gets have shown since when
	// stored is when a store first named it, and left when the last store stopped.
	// planted is set if only a person has written it to a store.
	stored, left time.Time
	planted      bool
	// found is when IBM found it in public and disabled it. A person may enable it again.
	found time.Time
	// adopted is set once latchkey has adopted it.
	adopted bool
	// excused says how a person changed the key. It is then not checked.
	excused string
	// expires is its expiry in IAM.
	expires  time.Time
	disabled bool
	// removed is set if a person removed it from a store, leaked if its revocation
	// was requested, and contained if that was to end it first.
	removed, leaked, contained bool
	proven                     bool // a token was had for it, and did its job
	// dead is when a consumer first noticed that a person had ended it.
	dead time.Time
}

// ours reports whether the key exists and still has our marker.
func (f *fact) ours() bool { return f.gone.IsZero() && f.excused != "unmarked" }

// last is the state of the key in IAM now.
func (f *fact) last() version { return f.shown[len(f.shown)-1] }

// version is a state of a key in IAM.
type version struct {
	since time.Time
	cloud.APIKey
	mark marker.Marker
}

// parsed is what a description says.
type parsed struct {
	mark marker.Marker
	text string
	ok   bool
}

// parse parses a description once: lists show the same ones many times.
func (w *world) parse(description string) (marker.Marker, string, bool) {
	p, known := w.texts[description]
	if !known {
		p.mark, p.text, p.ok = marker.Parse(description)
		w.texts[description] = p
	}
	return p.mark, p.text, p.ok
}

func (f *fact) liveAt(at time.Time) bool {
	return f.gone.IsZero() && !f.disabled && (f.expires.IsZero() || f.expires.After(at))
}

func newWorld(seed uint64) *world {
	w := &world{now: epoch, keys: map[string]*fact{}, ids: map[string]time.Time{}, foreign: map[string]int{}, texts: map[string]parsed{}}
	var s [32]byte
	binary.LittleEndian.PutUint64(s[:], seed)
	w.cloud = cloud.New(cloud.Options{Now: func() time.Time { return w.now }, Seed: s, BlankTokens: true})
	w.minter = w.cloud.Minter()
	w.wanted = []access.Policy{{Service: "logs", Roles: []string{"Sender"}, Instance: cloud.LogsInstanceID}}
	return w
}

// changed records the state of a key in IAM.
func (w *world) changed(k cloud.APIKey) {
	f := w.keys[k.ID]
	if f == nil {
		return // not ours
	}
	k.Value = ""
	m, _, _ := w.parse(k.Description)
	f.shown = append(f.shown, version{since: w.now, APIKey: k, mark: m})
	f.expires, f.disabled = k.ExpiresAt, k.Disabled
}

// seen returns a key as IAM returns it with a lag.
func (w *world) seen(k cloud.APIKey, lag time.Duration) cloud.APIKey {
	f := w.keys[k.ID]
	if f == nil || !w.stale || lag == 0 {
		return k
	}
	shown := f.shown[0]
	for _, v := range f.shown {
		if !v.since.After(w.now.Add(-lag)) {
			shown = v
		}
	}
	return shown.APIKey
}

// delay draws the lag of one read.
func (w *world) delay() time.Duration {
	if w.lag == 0 || w.chance.IntN(3) == 0 {
		return 0
	}
	return time.Duration(w.chance.Int64N(int64(w.lag)))
}

// place is one store's entry.
type place struct {
	name     string
	guarded  bool
	shows    bool // its values can be read back
	optional bool
	entry    port.Entry
	there    bool
	rev      int
	past     []port.Entry // what it had, for rollbacks
	since    time.Time    // of the current entry
	byPerson bool         // who wrote it last
	// late is set if the last write was in transit for long, and handled if a person
	// has changed the entry.
	late, handled bool
	touched       time.Time // when a person wrote it last
	down          string    // "", "unavailable" or "denied"
	ops           []operation
}

func (p *place) keyID() string {
	if !p.there {
		return ""
	}
	return p.entry.KeyID
}

// othersIn reports whether an optional store has a value that is not latchkey's.
func (p *place) othersIn() bool {
	return p.optional && p.there && (p.entry.Unmarked() || p.entry.Owner != "" && p.entry.Owner != owner)
}

// put writes an entry.
func (w *world) put(p *place, e port.Entry, there, person bool) {
	old := p.keyID()
	if p.there {
		p.past = append(p.past, p.entry)
	}
	p.entry, p.there, p.since, p.byPerson = e, there, w.now, person
	p.rev++
	if person {
		w.recordHand(p)
		p.handled, p.late, p.touched = true, false, w.now
	}
	if person || p.late { // what comes hours late displaces as a hand does
		if f := w.keys[old]; f != nil {
			f.removed = true
		}
		for _, r := range w.readers {
			r.excused = r.excused || r.place == p && r.key == old
		}
		for _, a := range w.apps { // one that started by itself is not known to have it
			a.excused = a.excused || a.place == p && a.key == old && a.mark != old
		}
	}
	if f := w.keys[p.keyID()]; f != nil {
		f.planted = person && (f.planted || f.stored.IsZero())
		if f.stored.IsZero() {
			f.stored = w.now
		}
		f.left = time.Time{}
	}
	if f := w.keys[old]; f != nil && !w.named(old) {
		f.left = w.now
	}
}

func (w *world) named(id string) bool {
	return id != "" && slices.ContainsFunc(w.places, func(p *place) bool { return p.keyID() == id })
}

// adapter is that of a store.
type adapter struct {
	*sim
	*place
}

var _ port.Store = adapter{}

func (p adapter) Name() string  { return p.name }
func (p adapter) Guarded() bool { return p.guarded }

func (p adapter) trouble() error {
	switch p.down {
	case "unavailable":
		return fmt.Errorf("%w: %s is down", port.ErrUnavailable, p.name)
	case "denied":
		return fmt.Errorf("%w: %s", port.ErrDenied, p.name)
	}
	return nil
}

func (p adapter) Read(ctx ctx) (port.Entry, error) {
	var e port.Entry
	made := p.now
	err := p.yieldAnd(ctx, read, p.name, func() error {
		if err := p.trouble(); err != nil {
			return err
		}
		e = port.Entry{Revision: strconv.Itoa(p.rev)}
		if !p.there {
			return fmt.Errorf("reading %s: %w", p.name, port.ErrNotFound)
		}
		e = p.entry
		e.Revision = strconv.Itoa(p.rev)
		if !p.shows && e.KeyID != "" {
			e.Value = nil
		}
		return nil
	}, func(err error) {
		if err != nil && !is(err, port.ErrNotFound) {
			e = port.Entry{}
		}
		p.wasRead(runOf(ctx), p.place, e, err)
		if err == nil || is(err, port.ErrNotFound) {
			p.recordRead(p.place, made, e.Revision)
		}
	})
	return e, err
}

func (p adapter) Publish(ctx ctx, e port.Entry, revision string) error {
	st := publish
	if f := p.keys[e.KeyID]; f == nil || f.by != runOf(ctx) {
		st = copying
	}
	r, made := runOf(ctx), p.now
	return p.yieldAnd(ctx, st, p.name+" "+p.nick(e.KeyID), func() error {
		if err := p.trouble(); err != nil {
			return err
		}
		if p.guarded && revision != strconv.Itoa(p.rev) {
			return fmt.Errorf("writing %s: %w", p.name, port.ErrConflict)
		}
		p.checkPublish(p.place, e, st)
		p.put(p.place, port.Entry{KeyID: e.KeyID, Value: e.Value, Created: e.Created, IAMID: e.IAMID, Owner: e.Owner}, true, false)
		return nil
	}, func(err error) {
		p.recordWrite(p.place, made, revision, err)
		switch saw := r.reads[p.place]; {
		case err == nil:
			r.reads[p.place] = sight{key: e.KeyID, value: true, owner: e.Owner, at: p.now}
			r.wrote[e.KeyID] = true
		case is(err, port.ErrUnavailable):
			saw.failed = true
			r.reads[p.place] = saw
			r.wrote[e.KeyID] = true
		}
	})
}

var _ port.Remover = adapter{}

// Remove removes our entry.
func (p adapter) Remove(ctx ctx, revision string) error {
	made := p.now
	return p.yieldAnd(ctx, publish, p.name, func() error {
		if err := p.trouble(); err != nil {
			return err
		}
		if p.guarded && revision != strconv.Itoa(p.rev) {
			return fmt.Errorf("removing from %s: %w", p.name, port.ErrConflict)
		}
		p.checkRemoved(p.place)
		p.put(p.place, port.Entry{}, false, false)
		return nil
	}, func(err error) { p.recordWrite(p.place, made, revision, err) })
}

// reader holds a value and authenticates with it: a consumer.
type reader struct {
	name  string
	place *place
	value secret.Value
	key   string
	since time.Time
	// excused is set if it holds the value of a person or of a late write, and away if
	// it does not exist.
	excused, away bool
}

func (w *world) reread(r *reader) {
	r.since, r.excused = w.now, r.place.byPerson || r.place.late
	if !r.place.there {
		r.value, r.key = nil, ""
		return
	}
	r.value, r.key = r.place.entry.Value, r.place.entry.KeyID
}
