// Package rotation decides which steps a credential's keys need. It is pure:
// it takes the observed state, the rules, a trigger and the time by IAM's clock, and
// returns a plan. It does no I/O, reads no clock and imports nothing but the types of package
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
//	         held ──▶ overlapping ──▶ ended      another key took its place: one overlap,
//	                       ↺                     three at most if it is used
//	any ──▶ leaked ──▶ ended                     its revocation was requested
//
//	rival        no store names it, it is younger than Window, and nothing shows that
//	             the replica that minted it is done: another one may work with it
//	pending      its fuse is on, no store took it and no consumer has it
//	published    the newest named live key, of those that did not leak
//	held         a store or a consumer may have it, and it is not the published one
//	overlapping  its overlap runs, and neither a store nor a consumer has it
//	orphan       no holder has it, and it is newer than every key that a store names
//	leaked       it ends without an overlap, once no store names it and every consumer
//	             has restarted. One that containment disabled waits for no consumer
//	ended        expired, or disabled by a person: deleted 5 minutes after its expiry
//	foreign      not ours, by IAM's record of its creator: it counts toward IAM's
//	             limit and is never changed, unless the config or a command adopts it
//
// The fuse is the short expiry of every new key. IAM enforces it, so a key that
// no store took ends even if latchkey never runs again.
//
// mayEnd is the condition for each step toward a key's end: its overlap starts, or it is
// deleted. Containment, fuses and overlaps that run do not ask it. The map ends has the
// step of each phase. They decide before a new key or a repair, and again after it.
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
// still working: other replicas change it only to revoke it, and do not mint. An older
// one is deleted before a new key is minted, unless there is a later key: a store may have
// had it. That one, and a key that was refused, belong to no replica: their fuses end them.
//
// Two replicas that mint at the same moment publish one key. The first guarded store
// is their arbiter: its compare-and-set refuses the second write. The key that lost stays
// unnamed, and is deleted after Window. Without a guarded store, the service ID is the arbiter.
//
// An overlap starts once. The write that starts it leaves a mark on the key.
// Later runs see the mark, and may extend the overlap but never shorten it.
//
// An error does not prove that an entry is absent. If a store can't be read, no overlap
// starts and no key is deleted. No key is created if the store is required, as the first
// guarded one is, or if none can be read. If the clock is more than 5 minutes off, a leak
// is still recorded and contained, and a published key gets its full lifetime, since its
// fuse would end it.
package rotation
