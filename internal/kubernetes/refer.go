package kubernetes

import (
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// refers reports whether a workload's pods read the entry only at start.
func (w *workloads) refers(got *unstructured.Unstructured) bool {
	pod := podOf(got)
	mounted := w.volumes(pod)
	return inContainers(pod, func(c map[string]any) bool {
		return w.environment(c) || slices.ContainsFunc(list(c, "volumeMounts"), func(m map[string]any) bool {
			part := text(m, "subPath") != "" || text(m, "subPathExpr") != ""
			return part && slices.Contains(mounted, text(m, "name"))
		})
	})
}

// reads reports whether a workload's pods read the entry at all, or pull images with it.
func (w *workloads) reads(got *unstructured.Unstructured) bool {
	pod := podOf(got)
	return len(w.volumes(pod)) > 0 || inContainers(pod, w.environment) || slices.ContainsFunc(list(pod, "imagePullSecrets"), func(s map[string]any) bool {
		return text(s, "name") == w.store.cfg.Secret
	})
}

// podOf returns the specification of a workload's pods.
func podOf(got *unstructured.Unstructured) map[string]any {
	pod, _, _ := unstructured.NestedMap(got.Object, "spec", "template", "spec")
	return pod
}

// inContainers reports whether something holds for a container of the pod.
func inContainers(pod map[string]any, holds func(map[string]any) bool) bool {
	return slices.ContainsFunc(list(pod, "containers"), holds) || slices.ContainsFunc(list(pod, "initContainers"), holds)
}

// environment reports whether a container has one of the entries in its environment.
func (w *workloads) environment(container map[string]any) bool {
	cfg := w.store.cfg
	for _, v := range list(container, "envFrom") {
		if text(v, "secretRef", "name") == cfg.Secret {
			return true
		}
	}
	return slices.ContainsFunc(list(container, "env"), func(v map[string]any) bool {
		return text(v, "valueFrom", "secretKeyRef", "name") == cfg.Secret && slices.Contains(cfg.Form.Names(cfg.Entry), text(v, "valueFrom", "secretKeyRef", "key"))
	})
}

// volumes returns the names of the volumes that contain the Secret, alone or
// projected.
func (w *workloads) volumes(pod map[string]any) (names []string) {
	for _, v := range list(pod, "volumes") {
		projected, _, _ := unstructured.NestedMap(v, "projected")
		if text(v, "secret", "secretName") == w.store.cfg.Secret || slices.ContainsFunc(list(projected, "sources"), func(s map[string]any) bool {
			return text(s, "secret", "name") == w.store.cfg.Secret
		}) {
			names = append(names, text(v, "name"))
		}
	}
	return names
}

// list returns the objects in a field.
func list(in map[string]any, field string) (found []map[string]any) {
	items, _ := in[field].([]any)
	for _, item := range items {
		if m, ok := item.(map[string]any); ok {
			found = append(found, m)
		}
	}
	return found
}

// text returns the text at the path, or "".
func text(in map[string]any, path ...string) string {
	s, _, _ := unstructured.NestedString(in, path...)
	return s
}
