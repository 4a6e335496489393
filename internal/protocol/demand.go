package protocol

import "time"

// Trigger is what an event demands. The zero Trigger demands nothing.
type Trigger struct {
	// NewerThan demands that a key born at or after this time is published.
	NewerThan time.Time
	// Expiry is the expiry date of a secret that the demand is about. A key that
	// served it meets the demand.
	Expiry time.Time
	// NotKey demands that another key is published. Resolve turns it into a time.
	NotKey string
	// Leaked demands that this key ends as soon as consumers have another one.
	// Contain disables it first.
	Leaked  string
	Contain bool
}

// Resolve turns a demand for another key than NotKey into one for a newer key. If
// there is no such key, NotKey stays and demands nothing.
func (t Trigger) Resolve(keys []Key) Trigger {
	for _, k := range keys {
		if k.ID != t.NotKey {
			continue
		}
		if newer := k.asOf().Add(time.Millisecond); t.NewerThan.Before(newer) {
			t.NewerThan = newer
		}
		t.NotKey, t.Expiry = "", time.Time{}
	}
	return t
}

// Unmet reports whether a published key does not meet the demand.
func (t Trigger) Unmet(k Key) bool {
	served := !t.Expiry.IsZero() && !k.Served.Before(t.Expiry)
	return !served && !k.Meets(t.NewerThan)
}
