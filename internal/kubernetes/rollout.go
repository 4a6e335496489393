package kubernetes

import (
	"fmt"
	"slices"
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
func progress(kind string, got object) rollout {
	if got.number(0, "status", "observedGeneration") < got.number(0, "metadata", "generation") {
		return rollout{missing: "the controller has not observed the change", outdated: true}
	}
	var want, updated, ready, old int64
	switch kind {
	case "daemonset":
		want = got.number(0, "status", "desiredNumberScheduled")
		updated, ready = got.number(0, "status", "updatedNumberScheduled"), got.number(0, "status", "numberAvailable")
	case "statefulset":
		want = got.number(1, "spec", "replicas")
		updated, ready = got.number(0, "status", "updatedReplicas"), got.number(0, "status", "readyReplicas")
		// updatedReplicas counts only during a rollout. Otherwise the two
		// revisions are equal.
		if newest := got.text("status", "updateRevision"); newest != "" && newest == got.text("status", "currentRevision") {
			updated = want
		}
	default:
		want = got.number(1, "spec", "replicas")
		updated, ready = got.number(0, "status", "updatedReplicas"), got.number(0, "status", "availableReplicas")
		old = max(0, got.number(0, "status", "replicas")-updated)
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
func blocker(got object) string {
	switch {
	case got.is("spec", "paused"):
		return "the rollout is paused"
	case got.text("spec", "updateStrategy", "type") == "OnDelete":
		return "the update strategy is OnDelete: delete the old pods"
	case got.number(0, "spec", "updateStrategy", "rollingUpdate", "partition") > 0:
		return "the update strategy has a partition, which excludes pods"
	}
	if slices.ContainsFunc(got.list("status", "conditions"), func(c object) bool {
		return c.text("type") == "Progressing" && c.text("reason") == "ProgressDeadlineExceeded"
	}) {
		return "the rollout exceeded its progress deadline"
	}
	return ""
}
