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
// Window (15 min) is longer than any run plus IAM's lag, and far shorter than
// the fuse. An unnamed key younger than Window belongs to a replica that is
// still working: other replicas neither change it nor mint. An older one belongs
// to a replica that has stopped, and is ended before a new key is minted. A key that
// was refused, or that a store had before a newer one, belongs to none.
//
// An overlap starts once. The write that starts it leaves a mark on the key.
// Later runs see the mark, and may extend the overlap but never shorten it.
//
// A key that consumers still have outlives its overlap. While a rolled-back
// store names it, or a consumer was last restarted with it, its expiry is
// extended step by step, up to a key's full lifetime.
//
// Four live keys hold back what events demand, six what consumers need. So a key
// that is needed never waits for keys that demands made.
//
// A demand is recorded on the published key first (Renew), beside the steps that meet
// it, and counts until a key meets it. AsOf says which demands a key meets. It may be
// later than the key's birth, because a sender's clock may be ahead.
//
// A request to revoke a key is recorded first, on the leaked key itself. A leaked
// key gets no overlap, and once it is contained minAge does not delay its
// successor, because its consumers have no working key.
//
// More forced rotations in an hour than a limit allows are a storm. Rotations that are due by
// age, or because consumers have no key, continue. Forced ones are recorded and
// wait.
//
// What IAM or a person does to a key does not keep consumers from another one. A
// disabled key is replaced and stays disabled. A lock closes no gate: it holds back
// what changes the locked key. A store whose value is not that of its key still
// names the key, and is repaired from a store that has the value, or by a new key.
// A key that leaked or ends soon takes no other key's place.
//
// A key that could not be published bears the reason (Refused). It is left to its
// fuse and delays the next key, so that a lasting refusal costs no key at every
// sweep. A demand is tried again once as soon as that key is MinAge old.
//
// If the clock is off, no key is ended. A published key still gets its full
// lifetime, since its fuse would end it.
//
// If a store cannot be read, no key is ended: an error does not prove that an
// entry is absent.
package rotation
