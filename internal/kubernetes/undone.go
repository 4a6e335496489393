package kubernetes

import (
	"cmp"
	"encoding/json"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

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
func (w *workloads) recorded(got *unstructured.Unstructured) restarts {
	var r restarts
	if json.Unmarshal([]byte(got.GetAnnotations()[w.annotation()]), &r) != nil {
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
func (w *workloads) patch(r restarts) ([]byte, error) {
	record, err := json.Marshal(r)
	template := map[string]any{"metadata": map[string]any{"annotations": map[string]string{
		w.annotation():                      r.Key,
		"kubectl.kubernetes.io/restartedAt": r.Last.Format(time.RFC3339Nano),
	}}}
	patch, err2 := json.Marshal(map[string]any{
		"metadata": map[string]any{"annotations": map[string]string{w.annotation(): string(record)}},
		"spec":     map[string]any{"template": template},
	})
	if cmp.Or(err, err2) != nil {
		return nil, fmt.Errorf("%w: encoding the patch", port.ErrRefused)
	}
	return patch, nil
}
