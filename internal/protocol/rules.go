package protocol

import "time"

// Rules are the durations and limits of the protocol.
type Rules struct {
	// After, less Jitter, is the age at which a published key is rotated.
	After, Jitter time.Duration
	// Expire is a published key's lifetime, from its creation.
	Expire time.Duration
	// Overlap is how long a superseded key still works.
	Overlap time.Duration
	// SweepEvery is the interval between sweeps.
	SweepEvery time.Duration
	// BlockDisabled is set if a published key that was disabled is not replaced.
	BlockDisabled bool

	// The others are the same for every credential. See Standard.
	Fuse, Window, MinAge, ExpiryMargin, MaxSkew time.Duration
	// MaxKeys is the maximum number of live keys for a new key that an event demands.
	// One that is needed anyway may have Spare more, so that it never waits for keys
	// that demands made. KeyLimit is that of all keys of the service ID.
	MaxKeys, Spare, KeyLimit int
}

// Standard returns the rules that the config cannot change.
func Standard() Rules {
	return Rules{
		Fuse:         24 * time.Hour,
		Window:       15 * time.Minute,
		MinAge:       10 * time.Minute,
		ExpiryMargin: 5 * time.Minute,
		MaxSkew:      5 * time.Minute,
		MaxKeys:      4,
		Spare:        2,
		KeyLimit:     15,
	}
}

// Jitter returns up to a tenth of after, so that credentials are due at different
// times. It is FNV-1a of the name, written out because a change would move all of them.
func Jitter(credential string, after time.Duration) time.Duration {
	h := uint64(14695981039346656037)
	for i := range len(credential) {
		h = (h ^ uint64(credential[i])) * 1099511628211
	}
	return time.Duration(float64(after/10) * float64(h%1000) / 1000)
}
