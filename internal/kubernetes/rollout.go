package kubernetes

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// rollout is the progress of a workload's newest pod template.
type rollout struct {
	// missing describes what the rollout still waits for. Empty means that every
	// pod has the newest template and is ready.
	missing string
	// outdated reports that pods of an older template, with an older key, may
	// exist.
	outdated bool
	// blocked is the reason why the rollout does not continue by itself.
	blocked string
}

// progress reads a workload's status. It uses the same fields as kubectl rollout
// status.
//
// Source: https://kubernetes.io/docs/concepts/workloads/controllers/
func progress(kind string, got *unstructured.Unstructured) rollout {
	if number(got, 0, "status", "observedGeneration") < got.GetGeneration() {
		return rollout{missing: "the controller has not observed the change", outdated: true}
	}
	var want, updated, ready, old int64
	switch kind {
	case "daemonset":
		want = number(got, 0, "status", "desiredNumberScheduled")
		updated, ready = number(got, 0, "status", "updatedNumberScheduled"), number(got, 0, "status", "numberAvailable")
	case "statefulset":
		want = number(got, 1, "spec", "replicas")
		updated, ready = number(got, 0, "status", "updatedReplicas"), number(got, 0, "status", "readyReplicas")
		// updatedReplicas counts only during a rollout. Otherwise the two
		// revisions are equal.
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
		r.missing = fmt.Sprintf("%d of %d pods updated, %d ready, %d old pods left", updated, want, ready, old)
	}
	if r.outdated {
		r.blocked = blocker(got)
	}
	return r
}

// blocker returns the reason why an unfinished rollout does not continue by
// itself, or "".
func blocker(got *unstructured.Unstructured) string {
	paused, _, _ := unstructured.NestedBool(got.Object, "spec", "paused")
	switch {
	case paused:
		return "the rollout is paused"
	case text(got.Object, "spec", "updateStrategy", "type") == "OnDelete":
		return "the update strategy is OnDelete: delete the old pods"
	case number(got, 0, "spec", "updateStrategy", "rollingUpdate", "partition") > 0:
		return "the update strategy has a partition, which excludes pods"
	}
	conditions, _, _ := unstructured.NestedSlice(got.Object, "status", "conditions")
	if slices.ContainsFunc(conditions, func(c any) bool {
		m, _ := c.(map[string]any)
		return m["type"] == "Progressing" && m["reason"] == "ProgressDeadlineExceeded"
	}) {
		return "the rollout exceeded its progress deadline"
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
