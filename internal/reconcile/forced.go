package reconcile

import (
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/storm"
)

// forcedBy returns what a rotation for the reason counts as. A demand that an earlier
// run recorded has no caller: the run that meets it is a look.
func (ru *run) forcedBy(due reason.Reason) (f storm.Force, forced bool) {
	f = storm.Force{At: ru.now(), Credential: ru.c.Name, Leaked: due == reason.KeyLeaked}
	if due == reason.Demanded {
		f.Caller = ru.req.Caller
	}
	return f, f.Leaked || due == reason.Demanded || due == reason.Remembered
}

// dueByDemand returns the reason of a rotation that a demand would force: this
// request's, or an earlier one's.
func (ru *run) dueByDemand() reason.Reason {
	if t := ru.req.Trigger; t.NewerThan.IsZero() && t.NotKey == "" {
		return reason.Remembered
	}
	return reason.Demanded
}

func (ru *run) overForced(due reason.Reason) bool {
	f, _ := ru.forcedBy(due)
	return ru.storm.Over(f, ru.ForcedPerHour)
}
