// Package rotation decides what has to happen to a credential's keys. It is
// pure: facts, rules, a trigger and the time go in, a plan comes out; there is
// no I/O, no clock and no randomness, and it imports the standard library
// only.
//
// # The life of a key
//
//	            a store takes it           another key takes its place
//	 mint ──▶ pending ───────────▶ published ───────────────▶ superseded ──▶ retired
//	(fuse on)    │      (fuse off)   ▲ │ │                    (expires at   ▲
//	             │             adopt │ │ │ rolled back by      now + overlap)
//	             │ older than        │ │ ▼ a person               ↺ still used: at most
//	             │ Window      somebody's│orphan                    three overlaps
//	             ▼              key      ▼
//	          retired                  leaked ──▶ disabled ──▶ retired
//
//	pending     ours, fuse on, no store names it
//	published   the newest live key that any store names
//	superseded  ours, no store names it, older than a key that one names
//	orphan      ours, fuse off, no store names it, newer than all named ones:
//	            it expires at now + fuse
//	leaked      ours, and somebody asked for its revocation: wherever it stands,
//	            it ends as soon as no store names it and every consumer has been
//	            restarted. With containment it is disabled first
//	foreign     without our marker: counted against IAM's limit, never touched
//	            until the config or a person says adopt
//
// The fuse is the short expiry that every key is born with. IAM enforces it,
// so a key that no store ever took dies even if latchkey never runs again.
//
// # How Decide goes
//
//	blocked?            → a person has to act: only a containment, an unfuse, the
//	                      end of leaked keys that nobody has to hold, the life of
//	                      those that somebody holds and a remembered demand go on
//	a leak is asked for → write it on the key; disable it where containment is asked
//	a named key is not visible yet, its project is gone, a key is to be adopted
//	                    → that alone
//	unfuse what stores name → end leaked keys that nobody has to hold → lengthen
//	what is still held or used → service ID and policies
//	somebody is at work → wait
//	end what nobody holds
//	due?                → mint, prove, publish (the arbiter first), restart, supersede
//	                      the old key, or end it at once if it leaked
//	else                → copy to stores that are behind, restart consumers that are
//
// # The rules that keep two instances apart
//
// Window (15 min) is longer than any invocation plus IAM's lag and far below
// the fuse. An unnamed key younger than Window belongs to an instance that is
// still at work: nobody else touches it, and nobody mints beside it. An older
// one belongs to an instance that is gone, and is ended before a new key is
// minted. An overlap starts once: the write that starts it also leaves a mark
// on the key, and later runs see the mark; they may lengthen it and never
// shorten it.
//
// A key that consumers still have is not ended by its overlap: while a store that
// people rolled back names it, or a consumer was last restarted with it, it is
// lengthened bit by bit, to a key's whole life at the most. Once as many keys as
// allowed are alive, a consumer that holds on to an older one is restarted onto
// what its own store names, which makes room for the key that its store waits for.
//
// A demand that cannot be met now is remembered on the published key (Renew),
// and counts until a key meets it. The key that does keeps the demand's moment
// (Answers): a sender's clock may be ahead, so birth alone cannot tell.
//
// A demand for a revocation is remembered too, on the leaked key itself, and
// before anything else is tried. It has no overlap, and minAge does not hold it
// back once the key is contained: its consumers have nothing.
//
// More than ten forced rotations an hour are a storm: what is due by its age,
// or because consumers have no key, goes on; what somebody forces is remembered
// and waits.
//
// A clock that is off ends nothing. Nor does it keep a published key on its
// fuse: that would end it, too.
//
// A store that cannot be read means: end nothing. An error is not absence.
package rotation
