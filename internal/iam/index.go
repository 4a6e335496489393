package iam

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
)

// index has what one reading of the lists showed, in few bytes: IDs as numbers, texts one
// after the other, equal strings once, and sorted numbers in place of maps. Service IDs
// come first, then arrange, then keys and policies.
type index struct {
	head  string // how the markers of our owner begin
	ids   []indexedID
	keys  []indexedKey
	byID  []uint32 // of ids, by IAM ID
	named []uint32 // of those that a credential names, by name
	texts pieces
	words words
	// grants are sorted by their service ID. Policies that differ in nothing else are one.
	grants   []grant
	policies []access.Policy
}

// indexedID is a service ID. Its texts are its name and its description, which is parsed
// when it is asked for.
type indexedID struct {
	id      ident
	created int64
	texts   uint32
	creator uint32
	last    uint32 // its last key, as an index of keys plus 1
	flags   flags
}

// indexedKey is a key. Its texts are its name, its marker, who disabled it and, if it
// leaked, when.
type indexedKey struct {
	id               ident
	created, expires int64
	texts            uint32
	creator          uint32
	before           uint32 // the key of the same service ID that was listed before it, plus 1
	flags            flags
}

// grant is a policy of one service ID.
type grant struct {
	id         ident
	since      int64
	to, policy uint32 // indexes of ids and policies
	flags      flags
}

type flags uint8

const (
	flagOther flags = 1 << iota // the ident is the number of a word
	flagNamed
	flagLocked
	flagOurs
	flagNewer
	flagForged
	flagDisabled
	flagLeaked
)

func (f flags) has(flag flags) bool { return f&flag != 0 }

// when returns the flag if it is set.
func when(set bool, flag flags) flags {
	if set {
		return flag
	}
	return 0
}

// ident is a UUID. An ID of another form is a word, and its ident the word's number.
type ident [16]byte

const (
	serviceIDPrefix = iamPrefix + "ServiceId-"
	keyPrefix       = "ApiKey-"
)

// ident returns an ID as a number. add says whether a new word may be added; without it,
// an unknown word is no ID.
func (w *words) ident(prefix, id string, add bool) (i ident, f flags, ok bool) {
	if u, is := strings.CutPrefix(id, prefix); is {
		if i, ok := parseUUID(u); ok {
			return i, 0, true
		}
	}
	word, ok := w.find(id, add)
	binary.BigEndian.PutUint32(i[:], word)
	return i, flagOther, ok
}

// text returns the ID of an ident.
func (w *words) text(prefix string, i ident, f flags) string {
	if f.has(flagOther) {
		return w.all[binary.BigEndian.Uint32(i[:])]
	}
	return prefix + i.uuid()
}

// parseUUID parses the form of uuid only.
func parseUUID(s string) (i ident, ok bool) {
	const length = 36
	if len(s) != length {
		return i, false
	}
	if n, err := hex.Decode(i[:], []byte(strings.ReplaceAll(s, "-", "")[:min(32, length-strings.Count(s, "-"))])); err != nil || n != len(i) {
		return i, false
	}
	return i, i.uuid() == s
}

func (i ident) uuid() string {
	h := hex.EncodeToString(i[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// addID adds a service ID. named is set if a credential has its name.
func (x *index) addID(id port.ServiceID, description string, named bool) {
	at, other, _ := x.words.ident(serviceIDPrefix, id.IAMID, true)
	creator, _ := x.words.find(id.Creator, true)
	x.ids = append(x.ids, indexedID{
		id: at, created: stampOf(id.Created), creator: creator,
		texts: x.texts.add(id.Name, squeeze(description, x.head, id.Name)),
		flags: other | when(named, flagNamed) | when(id.Locked, flagLocked) | when(id.Ours, flagOurs) | when(id.Newer, flagNewer),
	})
}

// arrange makes the service IDs ready to be found. A page may repeat one: it counts once.
func (x *index) arrange() {
	x.ids = slices.Clip(x.ids)
	x.byID = make([]uint32, len(x.ids))
	for i := range x.byID {
		x.byID[i] = uint32(i)
	}
	slices.SortStableFunc(x.byID, func(a, b uint32) int { return x.ids[a].compare(x.ids[b].id, x.ids[b].flags) })
	x.byID = slices.CompactFunc(x.byID, func(a, b uint32) bool { return x.ids[a].compare(x.ids[b].id, x.ids[b].flags) == 0 })
	for _, i := range x.byID {
		if x.ids[i].flags.has(flagNamed) {
			x.named = append(x.named, i)
		}
	}
	slices.SortFunc(x.named, func(a, b uint32) int {
		return cmp.Or(bytes.Compare(x.texts.field(x.ids[a].texts, 0), x.texts.field(x.ids[b].texts, 0)), cmp.Compare(a, b))
	})
}

func (s indexedID) compare(id ident, f flags) int {
	return cmp.Or(cmp.Compare(s.flags&flagOther, f&flagOther), bytes.Compare(s.id[:], id[:]))
}

// find returns where a service ID is in ids.
func (x *index) find(iamID string) (at uint32, ok bool) {
	id, f, ok := x.words.ident(serviceIDPrefix, iamID, false)
	if !ok {
		return 0, false
	}
	i, found := slices.BinarySearchFunc(x.byID, id, func(at uint32, id ident) int { return x.ids[at].compare(id, f) })
	if !found {
		return 0, false
	}
	return x.byID[i], true
}

// findNamed returns the service IDs that have a name, as they were listed.
func (x *index) findNamed(name string) (all []port.ServiceID) {
	i, _ := slices.BinarySearchFunc(x.named, name, func(at uint32, name string) int {
		return bytes.Compare(x.texts.field(x.ids[at].texts, 0), []byte(name))
	})
	for ; i < len(x.named) && string(x.texts.field(x.ids[x.named[i]].texts, 0)) == name; i++ {
		all = append(all, x.serviceID(x.named[i]))
	}
	return all
}

// serviceID returns a service ID without its version: no write follows from a list.
func (x *index) serviceID(at uint32) port.ServiceID {
	s := x.ids[at]
	iamID := x.words.text(serviceIDPrefix, s.id, s.flags)
	id := port.ServiceID{
		ID: strings.TrimPrefix(iamID, iamPrefix), IAMID: iamID, Name: x.nameOf(at), Creator: x.words.all[s.creator], Created: timeOf(s.created),
		Locked: s.flags.has(flagLocked), Ours: s.flags.has(flagOurs), Newer: s.flags.has(flagNewer),
	}
	id.Marker, id.Text, id.Marked = marker.Parse(expand(string(x.texts.field(s.texts, 1)), x.head, id.Name))
	return id
}

func (x *index) nameOf(at uint32) string { return string(x.texts.field(x.ids[at].texts, 0)) }

// addKey adds a key of a listed service ID. A page may repeat it.
func (x *index) addKey(r record) {
	of, ok := x.find(r.iamID)
	if !ok {
		return
	}
	id, other, _ := x.words.ident(keyPrefix, r.ID, true)
	for i := x.ids[of].last; i > 0; i = x.keys[i-1].before {
		if k := x.keys[i-1]; k.id == id && k.flags&flagOther == other {
			return
		}
	}
	name, text, service := "", "", x.nameOf(of)
	if r.ours { // nothing else is read from those of others
		_, said, _ := marker.Parse(r.description)
		name, text = r.name, strings.TrimSpace(strings.TrimPrefix(r.description, said))
	}
	texts := []string{squeeze(name, x.head, service), squeeze(text, x.head, service), r.DisabledBy}
	if !r.Leaked.IsZero() {
		texts = append(texts, r.Leaked.Format(time.RFC3339Nano))
	}
	creator, _ := x.words.find(r.creator, true)
	x.keys = append(x.keys, indexedKey{
		id: id, created: stampOf(r.Created), expires: stampOf(r.Expires), creator: creator, before: x.ids[of].last,
		texts: x.texts.add(texts...),
		flags: other | when(r.Disabled, flagDisabled) | when(!r.Leaked.IsZero(), flagLeaked) | when(r.Locked, flagLocked) | when(r.ours, flagOurs) | when(r.forged, flagForged) | when(r.newer, flagNewer),
	})
	x.ids[of].last = uint32(len(x.keys)) //nolint:gosec // the texts are fewer than 1<<32
}

// keysOf returns the keys of a service ID, as they were listed, without their name,
// description, version and history.
func (x *index) keysOf(at uint32) (all []port.KeyRecord) {
	service := x.nameOf(at)
	for i := x.ids[at].last; i > 0; i = x.keys[i-1].before {
		all = append(all, x.record(x.keys[i-1], service))
	}
	slices.Reverse(all)
	return all
}

func (x *index) record(k indexedKey, service string) port.KeyRecord {
	key := protocol.Key{
		ID: x.words.text(keyPrefix, k.id, k.flags), Created: timeOf(k.created), Expires: timeOf(k.expires),
		Disabled: k.flags.has(flagDisabled), DisabledBy: string(x.texts.field(k.texts, 2)), Locked: k.flags.has(flagLocked),
	}
	if k.flags.has(flagLeaked) {
		key.Leaked, _ = time.Parse(time.RFC3339Nano, string(x.texts.field(k.texts, 3)))
	}
	out := port.KeyRecord{Key: key, Creator: x.words.all[k.creator], Ours: k.flags.has(flagOurs), Forged: k.flags.has(flagForged), Newer: k.flags.has(flagNewer)}
	if m, _, marked := marker.Parse(expand(string(x.texts.field(k.texts, 1)), x.head, service)); marked {
		out.Credential = m.Credential
		if out.Ours {
			out.Key = marker.Mark(key, expand(string(x.texts.field(k.texts, 0)), x.head, service), m)
		}
	}
	return out
}

// policyIndex collects policies. known has those of the index by their contents.
type policyIndex struct {
	*index
	known map[string]uint32
}

func (g policyIndex) add(to uint32, p access.Policy) {
	one := grant{since: stampOf(p.Since), to: to}
	var ok bool
	if one.id, ok = parseUUID(p.ID); ok {
		p.ID = ""
	} else {
		one.flags = flagOther // the policy keeps its ID
	}
	p.Since = time.Time{}
	contents, err := json.Marshal(struct {
		access.Policy
		ID, Creator string
		Ours        bool
	}{p, p.ID, p.Creator, p.Ours})
	if one.policy, ok = g.known[string(contents)]; !ok || err != nil {
		one.policy = uint32(len(g.policies)) //nolint:gosec // there are fewer than 1<<32
		g.policies, g.known[string(contents)] = append(g.policies, p), one.policy
	}
	g.grants = append(g.grants, one)
}

// arrange sorts the policies by their service IDs.
func (g policyIndex) arrange() {
	slices.SortStableFunc(g.grants, func(a, b grant) int { return cmp.Compare(a.to, b.to) })
	g.grants = slices.Clip(g.grants)
}

// policiesOf returns the policies of a service ID, as they were listed.
func (x *index) policiesOf(at uint32) (all []access.Policy) {
	i, _ := slices.BinarySearchFunc(x.grants, at, func(g grant, at uint32) int { return cmp.Compare(g.to, at) })
	for ; i < len(x.grants) && x.grants[i].to == at; i++ {
		g := x.grants[i]
		p := x.policies[g.policy]
		p.Since = timeOf(g.since)
		if !g.flags.has(flagOther) {
			p.ID = g.id.uuid()
		}
		all = append(all, p)
	}
	return all
}

// words are strings that many items share, each once.
type words struct {
	all []string
	at  map[string]uint32
}

func (w *words) find(word string, add bool) (at uint32, ok bool) {
	if at, ok = w.at[word]; ok || !add {
		return at, ok
	}
	if w.at == nil {
		w.at = map[string]uint32{}
	}
	at = uint32(len(w.all)) //nolint:gosec // the texts are fewer than 1<<32
	word = strings.Clone(word)
	w.all, w.at[word] = append(w.all, word), at
	return at, true
}

// groupBook has the groups of service IDs, as answers showed them. They never change.
type groupBook struct {
	mu    sync.RWMutex
	words words // groups, and IDs that are no UUIDs
	of    map[groupKey]uint32
}

type groupKey struct {
	id    ident
	flags flags
}

func (b *groupBook) store(iamID, group string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.of == nil {
		b.of = map[groupKey]uint32{}
	}
	id, f, _ := b.words.ident(serviceIDPrefix, iamID, true)
	b.of[groupKey{id, f}], _ = b.words.find(group, true)
}

func (b *groupBook) load(iamID string) (group string, ok bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	id, f, ok := b.words.ident(serviceIDPrefix, iamID, false)
	at, known := b.of[groupKey{id, f}]
	if !ok || !known {
		return "", false
	}
	return b.words.all[at], true
}

// pieces hold the texts of all items. They do not move. A place is the number of a piece and
// where in it a group of texts begins.
type pieces struct {
	all  [][]byte
	full bool // no more can be counted
}

const (
	pieceBits = 16
	pieceSize = 1 << pieceBits
)

// add adds texts that belong together.
func (t *pieces) add(fields ...string) (place uint32) {
	need := 0
	for _, f := range fields {
		need += binary.MaxVarintLen32 + len(f)
	}
	if n := len(t.all); n == 0 || need > min(cap(t.all[n-1]), pieceSize)-len(t.all[n-1]) {
		if n > math.MaxUint32>>pieceBits {
			t.full = true
			return 0
		}
		t.all = append(t.all, make([]byte, 0, max(need, pieceSize)))
	}
	last := &t.all[len(t.all)-1]
	place = uint32(len(t.all)-1)<<pieceBits | uint32(len(*last)) //nolint:gosec // both are bounded above
	for _, f := range fields {
		*last = append(binary.AppendUvarint(*last, uint64(len(f))), f...)
	}
	return place
}

// field returns one of the texts at a place. It must not be changed.
func (t *pieces) field(place uint32, n int) []byte {
	at := t.all[place>>pieceBits][place&(pieceSize-1):]
	for {
		length, size := binary.Uvarint(at)
		at = at[size:]
		if n == 0 {
			return at[:length]
		}
		at, n = at[length:], n-1
	}
}

// What stands for the beginning of a marker and for the name of the service ID in a
// text, and what begins a text as it was.
const (
	standsForHead = "\x01"
	standsForName = "\x02"
	asItWas       = "\x03"
)

// squeeze returns a text without what many texts repeat. expand returns the text again.
func squeeze(text, head, name string) string {
	if strings.ContainsAny(text+name, standsForHead+standsForName+asItWas) {
		return asItWas + text
	}
	text = strings.ReplaceAll(text, head, standsForHead)
	if name == "" {
		return text
	}
	return strings.ReplaceAll(text, name, standsForName)
}

func expand(text, head, name string) string {
	if was, ok := strings.CutPrefix(text, asItWas); ok {
		return was
	}
	return strings.ReplaceAll(strings.ReplaceAll(text, standsForName, name), standsForHead, head)
}

// stampOf returns a time as a number, 0 for the zero time.
func stampOf(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func timeOf(stamp int64) time.Time {
	if stamp == 0 {
		return time.Time{}
	}
	return time.Unix(0, stamp).UTC()
}
