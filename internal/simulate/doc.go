// Package simulate checks that latchkey keeps its promises (P1 to P11) under
// crashes, lost answers, duplicate events, races, lag and manual changes. It runs
// the production packages reconcile and rotation against the emulated IAM and
// in-memory stores, in virtual time. A seed determines every decision. Only tests
// use this package.
//
// # How a history runs
//
// Replicas run in goroutines of one testing/synctest bubble. Every call of a port
// (Identities, Keys, Exchange, Prover, Store, Consumers, and the sleep between two
// polls) waits for the scheduler. The scheduler lets the goroutines run until all
// of them wait, and sorts the calls that have arrived. For each call it draws when
// the call takes effect, when the answer arrives, and what fails: a crash before
// or after the call, a lost or unreadable answer, 5xx, 429, 403, an answer after
// the deadline, or a process that is suspended before it sends or before it
// receives, with or without its monotonic clock, and resumes minutes or hours
// later. Time is the scheduler's. So a seed always gives the same trace, and a
// history of some days takes some milliseconds.
//
// A history also draws the stores (guarded or not, readable or not, optional or
// not), the consumers (those that re-read their store, and those that read it at
// start), IAM's lag, the clocks, outages, senders that duplicate, delay, reorder
// and lose events, and manual changes.
//
// Some histories have twists (twist.go): IBM finds keys in public, revisions of apps
// fail or are late, apps come, go and start by themselves, replicas run an older and a
// newer version, answers have no content or make an adapter panic, one of the parallel
// reads takes minutes, and a secret's expiry date has many notices. The flag -twist
// gives every history one of them.
//
// In some histories a member of the account plays against latchkey (intruder.go).
// She forges service IDs, keys and marks, and writes one store.
//
// A history may have a setting of the config (setting.go): a given service ID, a key to
// adopt, an entry that is renamed, stores that lock, or a config that differs between
// replicas. The flag -twist asks for one.
//
// # What is checked
//
// Every effect on IAM and the stores is compared with the actual state at that
// moment, and with what its run had read (check.go). Consumers authenticate with
// the keys that they hold, so P1 is observed, not computed. The answers of the
// first guarded store must fit a register (register.go). A reason that a run reports must
// have a cause in what the world has shown to that run (cause.go). At the end all faults
// stop: two sweeps must repair everything, and another one must change nothing.
// Every fault hits every step of the protocol; coverage counts the pairs, also by twist
// and by the hands before them. A step that no history took in a twist, or after a hand,
// fails 10,000 or 100,000 histories.
//
// This command replays a history and prints its trace:
//
//	go test ./internal/simulate -run Promise -replay -seed 42 -v
//
// The trace has a hash. It covers times, calls, errors by their sentinels, and
// outcomes without their prose, so it shows whether a change alters the protocol.
//
// # How the promises are read
//
//   - P1 excludes a write or deletion that was in transit for
//     minutes. It can't be recalled; the next sweep repairs it.
//   - P2 allows the fuse of a key whose run was suspended the two minutes by which a
//     clock may move without the run's notice (42001267).
//   - P3 and P10 count replicas as racing if they can't see each other's keys:
//     running ones, those that minted less than IAM's lag ago, and those that
//     minted after a slow run observed.
//   - P7 allows the publication of a key whose revocation was demanded after its mint. Its
//     run does not read it again before, and a sweep half an hour later replaces it (382682).
//   - P7 excludes a revocation of a key that no store named and that was so young that
//     IAM did not return it yet (352649). Its fuse ends it.
//   - P9's two sweeps become more while the maximum number of keys is live and
//     their overlaps run, which use can extend to three. So they do while a key that
//     could not be published delays the next one (7017831).
//   - A key that a person or IBM ended excuses its consumers until two runs said that
//     all is done. What re-reads its store must have read it since the first.
//   - A consumer that started with a value that a person wrote is excluded until
//     its store is repaired. So is an app that started by itself with a key that a
//     person then took from its store: nothing tells latchkey that it has it.
//
// # Known limits
//
//   - If no store is guarded, two replicas that create the service ID at the same
//     time have an arbiter each. Both publish, and the next sweep resolves it.
//   - An app that started while its store had a person's value, or none (7001194,
//     3053012), keeps it until its next restart. latchkey only knows which key the
//     app was last restarted with.
//   - A deletion, a create and a write to an unguarded store can't be recalled once
//     they are in transit.
//   - An adapter's second attempt to create a key does not read the wall clock. A
//     machine that was suspended between the attempts may create a key that the
//     next sweep ends.
//   - A run dies between the publication of a key and the end of its fuse, a person locks
//     that key, IBM deletes its successor, and a person removes the entry before the next
//     sweep. Nothing shows then that a store had the key, and it is deleted as one that no
//     store took, up to a day before its fuse would end it. The same run makes another one.
//   - No random history has access groups, groups of service IDs, a name that another
//     credential has, latchkey's own login or onGone: walks_test.go has one sequence of each, with the
//     wrong protocols that it shows.
//   - No random history deprovisions a credential: leaving_test.go puts every fault, and
//     every trick of the intruder, at every call of one.
//   - A history has at most one setting (setting.go), and only if its options ask for it.
//
// # Wrong protocols
//
// mutants_test.go has 101 wrong protocols, most of which lack a rule.
// Each replaces rotation.Decide, through the reconciler's hook Decide, or a port.
// Each is detected within 10,000 histories, by a history that the right protocol
// passes, or in a scene of its own. enumerate_test.go and interleave_test.go leave
// nothing to chance: they try every fault, every manual change and every trick of the
// intruder at every call of every flow, and two replicas in all orders. With -pairs and
// -interleave they play all of these:
//
//   - Singles: each fault at each call of each flow.
//   - Ordered pairs: each fault at each call that follows the first one, in the same
//     run or in the next.
//   - The intruder: each thing that she does before each call of each flow and of the
//     next run, with each store as hers. What she made must be as she made it, and she
//     must not block a credential that has a service ID.
//   - Interleavings: two replicas with up to three turns and one fault, each behind the
//     one before, at each call that there is.
//
// So each scenario is played once, and none has a fault or a turn that never happens.
// 206,210 singles and pairs of 14 flows took 8 minutes of CPU, and 23,112 visits of the
// intruder to 19 flows 50 seconds: 2.3 seconds per 1,000.
//
// # Defects that the simulation found
//
// All are fixed. The seeds are those of the simulator at that time.
//
//   - 33: IAM did not return a new key yet when its fuse was to be moved out. The
//     run failed after the first publication, at every lag, and left the other
//     stores, the consumers and the old key to the next sweeps.
//
//   - 361: a replica that lost to another observed again, did not see the rival
//     because of the lag, and minted again, up to four times.
//
//   - 515: IAM rejects keys for a locked service ID with a conflict that looks like
//     an unclear answer. Every sweep failed, and none named the fix.
//
//   - 696, 256, 1181: without a guarded store, two replicas published one after the
//     other. The overwritten key was deleted at once although consumers had it, and
//     an app was marked with a key that it did not hold. Rule 6 fixes these.
//
//   - 4411, 6654: a process that was suspended while it read the old key shortened
//     its overlap by that time.
//
//   - 6796, 7769: a lagging list and get showed a fuse that had been moved out, and
//     a deletion carries no version. A published key was deleted as never
//     published. An update under If-Match now precedes the deletion.
//
//   - 10905: the arbiter, whose value can't be read, named a newer key, the second
//     store was behind, and four keys were live. The keys waited for the store, the
//     store for a new key, and the new key for the keys. Stores and consumers that
//     could catch up did not.
//
//   - 3878, 11140: a person deleted the published key or removed its marker. The
//     previous key was ended at once, while an app still used it.
//
//   - 3066: without a guarded store the service ID clears a key for publication.
//     While it was locked, every sweep minted a key in vain.
//
//   - 22102: a person wrote a value between the observation of an unguarded store
//     and the read right before the write, which only compared key IDs. The value
//     was overwritten.
//
//   - 953: a demand for another key than this one was reported as recorded while
//     the store that named this one could not be read.
//
//   - 667: a clock that moved between IAM's answer and the mint made the fuse seven
//     minutes longer, and the published key looked like one with its full lifetime.
//
//   - 4376: a consumer that never started blocked the end of keys at MaxKeys.
//
//   - 41586: a consumer that was behind kept a leaked key alive that no store ever
//     took. The consumer waited for a new key, and the new key for the number of
//     live keys, which included the leaked one.
//
//   - 20915, 20999, 30611, 32708, 45340: the clock moved while a leak was recorded,
//     and the run continued and minted.
//
//   - 21, 73: a process that was suspended while it cleared a key for publication
//     published it hours later.
//
//   - 1087910: a person locked the published key, so consumers were not restarted,
//     and the overlap of the key that they held ran out.
//
//   - 1044646: without a guarded store, a person rolled the stores back to a key
//     whose overlap ran, and locked the service ID. The key expired before the
//     unlock. A key that a store or a consumer still has is now extended.
//
//   - 5177542: a person disabled the new key before the consumers had it, and their
//     old key expired while latchkey was blocked. The same fix.
//
//   - 3050238: the mark on a key that is about to be deleted was that of an overlap.
//     Published by a process that had been suspended, the key kept its fuse. If the
//     deletion failed (6170671), the key counted as live until it expired.
//
//   - 5070060, 5173190: four keys were live, and a consumer behind its own store, or
//     with an empty store, held all of them for a key's lifetime.
//
//   - 8049688: a person's value in the second store was taken for the change of
//     another entry when the publication had a conflict, and was overwritten.
//
//   - 8191550: the clock moved between the list and the removal of a duplicate.
//
//   - 6045811: the newest key expired disabled, and the previous one, which was
//     disabled as well, no longer blocked.
//
//   - 5114153, 5125088: a demand was reported as recorded while only a rival's key,
//     or a disabled one, could be published.
//
//   - 12148771: a clock that moved changed a demand into one that was met.
//
//   - 14171255: a demand for another key than this one was recorded with a time that
//     this one met.
//
//   - 14186512: a process that had just published knew only one of two service IDs,
//     and the key of the other was never ended.
//
//   - 1571261: without a guarded store, a slow run wrote an older key before an app
//     was restarted. The app was marked with the key that it did not get.
//
//   - 1198293: four keys were live, one of them leaked and named by the second
//     store, whose consumer had another. All waited for a key's lifetime. A leaked
//     key no longer counts, and if that is not enough the consumer is restarted
//     onto it.
//
//   - 1810827: with daily sweeps, a fuse that could not be moved out ended the key
//     before the next sweep. There are now at least two sweeps per fuse.
//
//   - 1612924: the clock moved between the list and the election, and moved back.
//     Only updates of a key compared the clocks. Lookups now do, too, and there is no
//     election any more.
//
//   - 16030 with the intruder: she emptied the only store four times before a sweep
//     was complete. Four keys had their full lifetime, and nothing was published
//     until they expired. Needs have two keys more than demands now.
//
//   - 491 with the intruder: a fuse could not be moved out, an app was restarted with
//     the key, the store then named another, and the key was deleted as never
//     published. No consumer is restarted before the fuse is out, and a key that a
//     consumer is marked with may be in use.
//
//   - 300, when a lock no longer blocked: a key that was locked with its fuse on was
//     replaced, then unlocked, and was deleted as never published although consumers
//     had it. A pending key older than the published one is left to its fuse.
//
//   - 5009761, 5052990 with the intruder: the fuse of a published key could not be
//     moved out, the same run replaced the key, and she then emptied the store. The
//     replaced key was deleted as never published, within its overlap. No key is
//     minted now while a named key keeps its fuse, and a pending key that is older
//     than one with its full lifetime is left to its fuse.
//
//   - 82785, 129348: the fuse of a published key could not be moved out in two runs, and
//     the second replaced the key. Nothing showed that a store had had it, so its fuse
//     ended it while a consumer that re-reads its store rarely still had it. The new key's
//     mark "replaces" now names it.
//
//   - 72011223: a run that moved a fuse out late took no later step of its plan, and a store
//     that was behind stayed so.
//
//   - 107253, 46000860: a published key kept its fuse, since it was locked or disabled, and
//     a person or IBM then ended its successor, which the store still named. The key was
//     deleted as never published.
//
//   - 373493: without a guarded store, a key was cleared for publication later than it was
//     minted, and was ended once its window was over. The next key was withdrawn for its sake.
//     A clearance counts from the key's birth now.
//
// The settings found these:
//
//   - A key that was adopted and then deleted was reported as adoption-failed for ever.
//
//   - A store that denied the entry of an adopted key was reported as IAM (186), or one that
//     denied the read before it (914561).
//
//   - A service ID that another replica renamed during a run was reported as a refusal
//     of the store (48).
//
//   - A credential whose renaming failed got a key with the new name, which a replica
//     with the old config did not count, and replaced at once (542).
//
//   - The clocks were not compared again when a key was read to be adopted (adopts 2480).
//
//   - A revocation of a key that was not latchkey's yet was reported as recorded while
//     the clock was off (adopts 1454).
//
//   - The fuse of a published key could not be moved out, and an app was restarted with
//     it by the next run (given 8131).
//
//   - A replica with the old name replaced the key that one with the new name had just
//     published (renames 8291, 11203), or used a second service ID that still had the
//     old name (4667, 8889), or minted on it while it was removed as a duplicate (3517).
//
//   - keys-full was reported while replaced keys waited for an app whose store could not
//     get the published key (adopts 65, given 4275). No key ended by itself.
//
// Flows and single hands are not checked for causes.
//
// One fault that stays for 300 days (lasting_test.go) found these:
//
//   - Deletions that failed were counted as done, so keys were minted up to IAM's
//     limit.
//   - A refusal by the last step, or by the proof, cost a key at every sweep.
//   - A store that was silent past the end of its key, and a consumer that could not
//     be read, were told as in progress although consumers had dead keys.
//   - A refusal to clear a key on the service ID was told as the store's.
//   - Where updates were denied, each key kept its fuse, and the next was made only by the
//     sweep after its end.
//
// The check that no reason is reported without its cause found these:
//
//   - A process that was suspended while IAM's answer was under way took the time that
//     it lost for a clock that is off (542).
//   - A store that denied the read before a deletion was reported as IAM (1147).
//   - An unclear answer to the clearance of a key was recorded as the store's (489).
//   - A young key that another replica copied, and that IAM's tokens did not know yet, was
//     reported as an altered entry (568).
//
// The twists found these:
//
//   - 459 with roll-outs: a second store that does not return its value failed at six
//     publications in a row. The keys between were named by no store and never ended,
//     so no key was made until they expired, and keys-full was reported without a key
//     that ends. A replaced key's overlap starts once every store names a key that
//     works and every consumer has the published one.
//   - 2095 with slow: a step was under way when another one, beside it, found that the
//     clock had moved. It wrote still.
//
// The causes of reasons found these, too:
//
//   - 18242: the clock moved while a demand was recorded, and beside it the run
//     withdrew its own key.
//   - 129913: a person let others use an unguarded entry right before a new key was written
//     there, and that was reported as store-unreachable.
//   - 2015929: a person locked the new key before its fuse was out, and that was
//     reported as a missing permission.
//   - 5006387 with the intruder: the keys that a person made on one of two service IDs
//     counted toward the limit of the other.
//   - 5003037 with the intruder: proof-unclear did not say that a key that does not work
//     within a minute is a cause as well.
//
// Reasoning found these; regress_test.go plays them:
//
//   - A process that had created one of two service IDs never looked for the other.
//   - Without a guarded store, a service ID that was locked when a process knew it
//     already got a key at every sweep.
//   - A conflict was read again, and a key that another replica had marked as leaked
//     meanwhile was extended.
//
// The deprovisioning under faults found this:
//
//   - A run that had found a credential by its marker, and began after another replica
//     had deprovisioned it, made it again.
package simulate
