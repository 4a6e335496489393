package reconcile

import (
	"github.com/latchkey-io/latchkey/internal/rotation"
	"github.com/latchkey-io/latchkey/internal/storm"
)

// forcedBy returns what a rotation for the reason counts as. A demand that an earlier
// run recorded has no caller: the run that meets it is a look.
func (ru *run) forcedBy(due rotation.Reason) (f storm.Force, forced bool) {
	f = storm.Force{At: ru.now(), Credential: ru.c.Name, Leaked: due == rotation.KeyLeaked}
	if due == rotation.Demanded {
		f.Caller = ru.req.Caller
	}
	return f, f.Leaked || due == rotation.Demanded || due == rotation.Remembered
}

// dueByDemand returns the reason of a rotation that a demand would force: this
// request's, or an earlier one's.
func (ru *run) dueByDemand() rotation.Reason {
	if t := ru.req.Trigger; t.NewerThan.IsZero() && t.NotKey == "" {
		return rotation.Remembered
	}
	return rotation.Demanded
}

func (ru *run) overForced(due rotation.Reason) bool {
	f, _ := ru.forcedBy(due)
	return ru.storm.Over(f, ru.ForcedPerHour)
}
