// Package rotation decides which steps a credential's keys need. It is pure:
// it takes the observed state, the rules, a trigger and the time, and returns a
// plan. It does no I/O, reads no clock and imports nothing but the types of package
// protocol, the reasons and the standard library.
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
//	rival        no store names it, it is younger than Window, and nothing shows that
//	             the replica that minted it is done: another one may work with it
//	pending      its fuse is on, no store took it and no consumer has it
//	published    the newest named live key, of those that did not leak
//	held         a store or a consumer may have it, and another key is published
//	overlapping  its overlap runs, and neither a store nor a consumer has it
//	orphan       no store names it, and it is newer than every named key
//	leaked       its revocation was requested: it ends as soon as no store names it
//	             and every consumer has restarted, without an overlap. Containment
//	             disables it first, and then its end waits for no consumer
//	ended        it does not authenticate; deleted 5 minutes after its expiry
//	foreign      not ours, by IAM's record of its creator: it counts toward IAM's
//	             limit and is never changed, unless the config or a command adopts it
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
// add their steps, in the order of the list standard. A deleted project (removing) and
// an adoption have lists of their own. What a closed gate still lets through, and the
// sentence and the fix of each reason, are rows of package reason.
//
//	gate                         closed by          still done
//	unpaused                     the config         nothing
//	trusted                      clock skew         leaks recorded and contained, fuses moved out
//	unblocked                    a person must act  the same; leaked keys ended, keys extended, demands recorded
//	visible                      a young named key  the same, but no key ends
//	                             that IAM lacks
//	quiet                        a rival            the same; leaked keys ended, the service ID and its policies
//
// With all gates open, keys end, and a new key is created if one is due and mayMint has
// nothing against it. Else stores and consumers only catch up. What mayMint says may
// need a person: then the plan is blocked, too.
//
// # The rules that keep two replicas apart
//
// docs/protocol.md has them all, each with the hole that it closes. Four shape the
// code:
//
// Window (15 min) is longer than any run plus IAM's lag, and far shorter than
// the fuse. An unnamed key younger than Window belongs to a replica that is
// still working: other replicas neither change it nor mint. An older one is deleted
// before a new key is minted. A key that was refused, or that a store had before a
// newer one, belongs to no replica: its fuse ends it.
//
// Two replicas that mint at the same moment publish one key. The first guarded store
// is their arbiter: its compare-and-set refuses the second write. The key that lost is
// a rival, and ends like one. Without a guarded store, the service ID is the arbiter.
//
// An overlap starts once. The write that starts it leaves a mark on the key.
// Later runs see the mark, and may extend the overlap but never shorten it.
//
// An error does not prove that an entry is absent. If a store can't be read, no key
// ends, and none is created if the store is required. If the clock is off, no key is
// deleted and no overlap changes. Containment still disables a leaked key, and a
// published key gets its full lifetime, since its fuse would end it.
package rotation
