// Package rotation decides which steps a credential's keys need. It is pure:
// it takes the observed state, the rules, a trigger and the time, and returns a
// plan. It does no I/O, reads no clock and imports nothing but the reasons and the
// standard library.
//
// # The life of a key
//
//	mint ──▶ rival ──▶ pending ──▶ ended      no store took it: deleted after Window
//	           │          │
//	           ▼          ▼                   a store names it: the fuse moves out
//	         published ◀──┴──── foreign       (an existing key is adopted)
//	           │    │
//	           │    └─▶ orphan ──▶ overlapping   the stores went back to an older key
//	           ▼
//	         held ──▶ overlapping ──▶ ended      another key takes its place: it ends
//	                       ↺                     after an overlap; still used: three
//	any ──▶ leaked ──▶ ended                     at most; still held: until replaced
//
//	rival        no store names it, no newer key has taken its place, and it is
//	             younger than Window: another replica may be working with it
//	pending      its fuse is on, no store took it and no consumer has it
//	published    the newest named live key, of those that did not leak
//	held         a store or a consumer may have it, and another key is published
//	overlapping  its overlap runs, and neither a store nor a consumer has it
//	orphan       no store names it, and it is newer than every named key
//	leaked       its revocation was requested: it ends as soon as no store names it
//	             and every consumer has restarted. Containment disables it first
//	ended        it does not authenticate; deleted once it has expired for a while
//	foreign      not ours, by IAM's record of its creator: it counts toward IAM's
//	             limit and is never changed
//
// The fuse is the short expiry of every new key. IAM enforces it, so a key that
// no store took ends even if latchkey never runs again.
//
// mayEnd is the condition under which any key may end, and the map ends has the step
// of each phase. They decide before a new key or a repair, and again about the state
// that it leaves.
//
// # How Decide works
//
// The first closed gate says how far a plan may go (gate). Rules that need no more
// add their steps in the order of the list standard. What a reason lets through,
// its sentence and its fix are a row of package reason.
//
//	gate                         closed by          lets through
//	unpaused                     the config         nothing
//	trusted                      clock skew         leaks recorded, fuses moved out
//	unblocked                    a person must act  leaked keys ended, keys extended, demands recorded
//	visible                      a young named key  the same
//	                             that IAM lacks
//	quiet                        a rival            the service ID and its policies
//
// With all gates open, keys end, and a new key that is due is created unless
// mayMint gives a reason. Then stores and consumers only catch up.
//
// # The rules that keep two replicas apart
//
// docs/protocol.md has them all, each with the hole that it closes. Three shape the
// code:
//
// Window (15 min) is longer than any run plus IAM's lag, and far shorter than
// the fuse. An unnamed key younger than Window belongs to a replica that is
// still working: other replicas neither change it nor mint. An older one belongs
// to a replica that has stopped, and is ended before a new key is minted.
//
// An overlap starts once. The write that starts it leaves a mark on the key.
// Later runs see the mark, and may extend the overlap but never shorten it.
//
// An error does not prove that an entry is absent. If a store cannot be read, or the
// clock is off, no key is ended. A published key still gets its full lifetime, since
// its fuse would end it.
package rotation
