// Package rotation decides what has to happen to a credential's keys. It is
// pure: facts, rules, a trigger and the time go in, a plan comes out; there is
// no I/O, no clock and no randomness, and it imports the standard library
// only.
//
// # The life of a key
//
//	            a store takes it           another key takes its place
//	 mint ──▶ pending ───────────▶ published ───────────────▶ superseded ──▶ retired
//	(fuse on)    │      (fuse off)     │                       (expires at
//	             │                     │ rolled back by          now + overlap)
//	             │ older than Window   ▼ a person
//	             └──────▶ retired    orphan ──▶ (expires at now + fuse) ──▶ retired
//
//	pending     ours, fuse on, no store names it
//	published   the newest live key that any store names
//	superseded  ours, no store names it, older than a key that one names
//	orphan      ours, fuse off, no store names it, newer than all named ones
//	foreign     without our marker: counted against IAM's limit, never touched
//
// The fuse is the short expiry that every key is born with. IAM enforces it,
// so a key that no store ever took dies even if latchkey never runs again.
//
// # The rules that keep two instances apart
//
// Window (15 min) is longer than any invocation plus IAM's lag and far below
// the fuse. An unnamed key younger than Window belongs to an instance that is
// still at work: nobody else touches it, and nobody mints beside it. An older
// one belongs to an instance that is gone, and is ended before a new key is
// minted. An overlap starts once: the write that starts it also leaves a mark
// on the key, and later runs see the mark; they may lengthen it, when people
// rolled a store back to that key, and never shorten it.
//
// A demand that cannot be met now is remembered on the published key (Renew),
// and counts until a key meets it. The key that does keeps the demand's moment
// (Answers): a sender's clock may be ahead, so birth alone cannot tell.
//
// A store that cannot be read means: end nothing. An error is not absence.
package rotation
