package kubernetes

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// rollout is how far the newest pod template of a workload has come.
type rollout struct {
	// missing says what has to happen until every pod is of that template and
	// ready; empty when that is so.
	missing string
	// outdated: there may be pods of an older template, with an older key.
	outdated bool
	// held is why nothing more will happen until a person acts.
	held string
}

// look reads a workload's status.
//
// Source: https://kubernetes.io/docs/concepts/workloads/controllers/, the
// fields that kubectl rollout status looks at.
func look(kind string, got *unstructured.Unstructured) rollout {
	if number(got, 0, "status", "observedGeneration") < got.GetGeneration() {
		return rollout{missing: "its controller has not seen the change", outdated: true}
	}
	var want, updated, ready, old int64
	switch kind {
	case "daemonset":
		want = number(got, 0, "status", "desiredNumberScheduled")
		updated, ready = number(got, 0, "status", "updatedNumberScheduled"), number(got, 0, "status", "numberAvailable")
	case "statefulset":
		want = number(got, 1, "spec", "replicas")
		updated, ready = number(got, 0, "status", "updatedReplicas"), number(got, 0, "status", "readyReplicas")
		// The count is of a roll-out under way; the two revisions are equal
		// when there is none.
		if newest := text(got.Object, "status", "updateRevision"); newest != "" && newest == text(got.Object, "status", "currentRevision") {
			updated = want
		}
	default:
		want = number(got, 1, "spec", "replicas")
		updated, ready = number(got, 0, "status", "updatedReplicas"), number(got, 0, "status", "availableReplicas")
		old = max(0, number(got, 0, "status", "replicas")-updated)
	}
	r := rollout{outdated: updated < want || old > 0}
	if r.outdated || ready < want {
		r.missing = fmt.Sprintf("%d of %d pods updated, %d ready, %d old ones left", updated, want, ready, old)
	}
	if r.outdated {
		r.held = hold(got)
	}
	return r
}

func hold(got *unstructured.Unstructured) string {
	paused, _, _ := unstructured.NestedBool(got.Object, "spec", "paused")
	switch {
	case paused:
		return "its roll-out is paused"
	case text(got.Object, "spec", "updateStrategy", "type") == "OnDelete":
		return "its update strategy is OnDelete, so its pods have to be deleted"
	case number(got, 0, "spec", "updateStrategy", "rollingUpdate", "partition") > 0:
		return "its update strategy has a partition, which holds pods back"
	}
	conditions, _, _ := unstructured.NestedSlice(got.Object, "status", "conditions")
	if slices.ContainsFunc(conditions, func(c any) bool {
		m, _ := c.(map[string]any)
		return m["type"] == "Progressing" && m["reason"] == "ProgressDeadlineExceeded"
	}) {
		return "it exceeded its progress deadline"
	}
	return ""
}

func number(got *unstructured.Unstructured, otherwise int64, path ...string) int64 {
	n, found, err := unstructured.NestedInt64(got.Object, path...)
	if err != nil || !found {
		return otherwise
	}
	return n
}
