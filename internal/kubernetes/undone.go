package kubernetes

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/latchkey-io/latchkey/internal/port"
)

// A controller that manages the pod template, such as a GitOps controller, can remove
// the annotation of a restart. Each restart would then lead to another. A record in
// the workload's own metadata, which starts no rollout, bounds them.
const (
	// mostRestarts is how many restarts with one key a workload gets at once.
	mostRestarts = 3
	// nextRestart is how long it takes until it may get one more.
	nextRestart = 3 * 24 * time.Hour
)

// restarts is the record: how often the workload was restarted with a key.
type restarts struct {
	Key   string    `json:"key"`
	Count int       `json:"count"`
	Last  time.Time `json:"last"`
}

// recorded returns the workload's record. An unreadable one counts as none.
func (w *workloads) recorded(got object) restarts {
	var r restarts
	if json.Unmarshal([]byte(got.text("metadata", "annotations", w.annotation())), &r) != nil {
		return restarts{}
	}
	return r
}

// next returns the record after a restart with the key at the given time. It returns
// an error if the workload was restarted with the key as often as allowed.
func (r restarts) next(keyID string, now time.Time) (restarts, error) {
	if r.Key != keyID || r.Last.After(now) {
		return restarts{Key: keyID, Count: 1, Last: now}, nil
	}
	left := r.Count - int(now.Sub(r.Last)/nextRestart)
	if left >= mostRestarts {
		return r, fmt.Errorf("%w: a controller removed the annotation of the restart again after %d restarts; let it ignore %s",
			port.ErrRefused, mostRestarts, "spec.template.metadata.annotations")
	}
	return restarts{Key: keyID, Count: max(left, 0) + 1, Last: now}, nil
}

// patch returns the merge patch of a restart. It needs no resourceVersion, because it
// names only latchkey's annotations and the time. The time has fractions of a second,
// so that a second restart within one changes it.
func (w *workloads) patch(r restarts) (object, error) {
	record, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("%w: encoding the record of the restart", port.ErrRefused)
	}
	return object{
		"metadata": object{"annotations": object{w.annotation(): string(record)}},
		"spec": object{"template": object{"metadata": object{"annotations": object{
			w.annotation():                      r.Key,
			"kubectl.kubernetes.io/restartedAt": r.Last.Format(time.RFC3339Nano),
		}}}},
	}, nil
}
