package outcome

import (
	"fmt"
	"time"

	"github.com/latchkey-io/latchkey/internal/result"
)

// rungs are the days before a key's expiry at which an outcome is sent again if its
// rotation is held back. The last one is the expiry itself.
var rungs = []int{30, 14, 7, 1, 0}

// Rungs of their own meaning.
const (
	noRung  = -1 // the rotation is not held back, or the key lives for longer
	soon    = 14 // from here on, a state that ends by itself is sent, too
	urgent  = 7
	atOnce  = 1
	expired = 0
)

// rung returns the smallest number of days on the ladder that the published key of a
// held credential still has.
func rung(o result.Outcome, at time.Time) int {
	held := o.Result == result.Blocked || o.Result == result.InProgress || o.Result == result.Failed
	if !held || o.KeyExpires.IsZero() {
		return noRung
	}
	reached := noRung
	for _, days := range rungs {
		if o.KeyExpires.Sub(at) <= time.Duration(days)*24*time.Hour {
			reached = days
		}
	}
	if o.Result != result.Blocked && reached > soon {
		return noRung
	}
	return reached
}

// expiry says in words what a rung means.
func expiry(rung int) string {
	switch rung {
	case noRung:
		return ""
	case expired:
		return "its key has expired"
	case 1:
		return "its key expires within a day"
	}
	return fmt.Sprintf("its key expires within %d days", rung)
}
