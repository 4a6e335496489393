package kubernetes

import "slices"

// refers reports whether a workload's pods read the entry only at start.
func (w *workloads) refers(got object) bool {
	pod := podOf(got)
	mounted := w.volumes(pod)
	return inContainers(pod, func(c object) bool {
		return w.environment(c) || slices.ContainsFunc(c.list("volumeMounts"), func(m object) bool {
			part := m.text("subPath") != "" || m.text("subPathExpr") != ""
			return part && slices.Contains(mounted, m.text("name"))
		})
	})
}

// reads reports whether a workload's pods read the entry at all, or pull images with it.
func (w *workloads) reads(got object) bool {
	pod := podOf(got)
	return len(w.volumes(pod)) > 0 || inContainers(pod, w.environment) || slices.ContainsFunc(pod.list("imagePullSecrets"), func(s object) bool {
		return s.text("name") == w.store.cfg.Secret
	})
}

// podOf returns the specification of a workload's pods.
func podOf(got object) object {
	return got.part("spec", "template", "spec")
}

// inContainers reports whether something holds for a container of the pod.
func inContainers(pod object, holds func(object) bool) bool {
	return slices.ContainsFunc(pod.list("containers"), holds) || slices.ContainsFunc(pod.list("initContainers"), holds)
}

// environment reports whether a container has one of the entries in its environment.
func (w *workloads) environment(container object) bool {
	cfg := w.store.cfg
	for _, v := range container.list("envFrom") {
		if v.text("secretRef", "name") == cfg.Secret {
			return true
		}
	}
	return slices.ContainsFunc(container.list("env"), func(v object) bool {
		return v.text("valueFrom", "secretKeyRef", "name") == cfg.Secret && slices.Contains(cfg.Form.Names(cfg.Entry), v.text("valueFrom", "secretKeyRef", "key"))
	})
}

// volumes returns the names of the volumes that contain the Secret, alone or
// projected.
func (w *workloads) volumes(pod object) (names []string) {
	for _, v := range pod.list("volumes") {
		if v.text("secret", "secretName") == w.store.cfg.Secret || slices.ContainsFunc(v.list("projected", "sources"), func(s object) bool {
			return s.text("secret", "name") == w.store.cfg.Secret
		}) {
			names = append(names, v.text("name"))
		}
	}
	return names
}
