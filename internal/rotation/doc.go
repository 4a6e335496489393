// Package rotation decides which steps a credential's keys need. It is pure:
// it takes the observed state, the rules, a trigger and the time, and returns a
// plan. It does no I/O, reads no clock and imports the standard library only.
//
// # The life of a key
//
//	            a store takes it           another key takes its place
//	 mint ──▶ pending ───────────▶ published ───────────────▶ superseded ──▶ retired
//	(fuse on)    │      (fuse off)   ▲ │ │                    (expires at   ▲
//	             │             adopt │ │ │ stores roll back    now + overlap)
//	             │ older than        │ │ ▼                        ↺ still used: at most
//	             │ Window      a foreign │orphan                    three overlaps
//	             ▼              key      ▼
//	          retired                  leaked ──▶ disabled ──▶ retired
//
//	pending     ours, fuse on, no store names it
//	published   the newest live key that a store names
//	superseded  ours, no store names it, older than a key that a store names
//	orphan      ours, fuse off, no store names it, newer than every named key:
//	            it expires at now + fuse
//	leaked      ours, and its revocation was requested: it is ended as soon as no
//	            store names it and every consumer has restarted. Containment
//	            disables it first
//	foreign     without our marker: it counts toward IAM's limit and is never
//	            changed until it is adopted
//
// The fuse is the short expiry of every new key. IAM enforces it, so a key that
// no store took ends even if latchkey never runs again.
//
// # How Decide works
//
// Decide checks these conditions in order:
//
//	blocked              plan only what is safe: record and contain leaks, move
//	                     fuses out, end free leaked keys, extend held keys, record
//	                     the demand
//	a leak is reported   mark the key as leaked; disable it if containment is asked
//	a named key is not visible, the project is deleted, or a key is to be adopted
//	                     plan only that
//	always               move fuses out, end free leaked keys, extend keys that
//	                     are held or used, create the service ID and its policies
//	another replica is working
//	                     wait
//	always               end the keys that no consumer can have
//	a new key is due     mint, prove, publish (the arbiter first), restart, then
//	                     supersede the old key, or end it if it leaked
//	nothing is due       copy to stores that are behind, restart consumers that are
//
// # The rules that keep two replicas apart
//
// Window (15 min) is longer than any run plus IAM's lag, and far shorter than
// the fuse. An unnamed key younger than Window belongs to a replica that is
// still working: other replicas neither change it nor mint. An older one belongs
// to a replica that has stopped, and is ended before a new key is minted.
//
// An overlap starts once. The write that starts it leaves a mark on the key.
// Later runs see the mark, and may extend the overlap but never shorten it.
//
// A key that consumers still have outlives its overlap. While a rolled-back
// store names it, or a consumer was last restarted with it, its expiry is
// extended step by step, up to a key's full lifetime. If the maximum number of
// keys is live, a consumer that keeps an older key is restarted onto the key
// that its own store names. This makes room for the key that its store needs.
//
// A demand that cannot be met now is recorded on the published key (Renew), and
// counts until a key meets it. That key keeps the time of the demand (Answers),
// because a sender's clock may be ahead and the time of birth alone is not
// enough.
//
// A request to revoke a key is recorded first, on the leaked key itself. A leaked
// key gets no overlap, and once it is contained minAge does not delay its
// successor, because its consumers have no working key.
//
// More than ten forced rotations an hour are a storm. Rotations that are due by
// age, or because consumers have no key, continue. Forced ones are recorded and
// wait.
//
// If the clock is off, no key is ended. A published key still gets its full
// lifetime, since its fuse would end it.
//
// If a store cannot be read, no key is ended: an error does not prove that an
// entry is absent.
package rotation
