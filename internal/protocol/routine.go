package protocol

import (
	"math"
	"time"
)

// leastRoutine is how many keys an interval may always replace. So few are no storm.
const leastRoutine = 32

// rounding is more than what a sum of a million shares loses.
const rounding = 1e-6

// Routine returns how many keys a replica replaces in every, the interval of sweeps, because
// of their age alone: so many that all of the credentials come to their turn within a tenth
// of their rotation age, which is what Jitter spreads them over. A shorter rotation age
// or the end of a long pause makes more of them due at once.
//
// Keys that expire within 14 days, leaked keys and demands are not counted.
func Routine(credentials []Rules, every time.Duration) int {
	share := 0.0
	for _, r := range credentials {
		switch span := r.After / 10; {
		case r.After == 0: // no config entry yields the credential, so it has no turn
		case span > every:
			share += float64(every) / float64(span)
		default:
			share++
		}
	}
	return max(leastRoutine, int(math.Ceil(share-rounding)))
}
