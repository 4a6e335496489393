package config

import (
	"fmt"

	"github.com/latchkey-io/latchkey/internal/entry"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// KubernetesStore is an entry of a Kubernetes Secret. latchkey also writes
// annotations of the Secret.
type KubernetesStore struct {
	Namespace string // default: the preset's
	Secret    string // the Secret's name; default: the preset's
	Entry     string // key in the Secret's data; default: the preset's
	// KubeconfigEnv or KubeconfigFile names the kubeconfig. If both are empty, the
	// store is in the cluster that latchkey runs in.
	KubeconfigEnv, KubeconfigFile string
	Context                       string // context of the kubeconfig; "": the current one
}

// LogsAgent is the preset for the agent of IBM Cloud Logs as Helm installs it. It
// sets the namespace, the Secret, the entry, and the DaemonSet to restart. Fields
// of the store override it.
//
// Source: https://cloud.ibm.com/docs/cloud-logs?topic=cloud-logs-agent-helm-kube-deploy
const LogsAgent = "logs-agent"

var presets = map[string]struct{ namespace, secret, entry, restart string }{
	LogsAgent: {"ibm-observe", "logs-agent", "IAM_API_KEY", "daemonset/logs-agent"},
}

type kubernetesTemplate struct {
	at                                     value
	namespace, secret, entry               *template
	kubeconfigEnv, kubeconfigFile, context string
	preset                                 string
}

var checkContext = line(255)

func (d *decoder) kubernetes(v value) *kubernetesTemplate {
	k := &kubernetesTemplate{at: v}
	o := d.object(v,
		field{"preset", false, func(v value) { k.preset = d.word(v, oneOf(LogsAgent)) }},
		field{"namespace", false, func(v value) { k.namespace = d.template(v, entry.CheckNamespace) }},
		field{"secret", false, func(v value) { k.secret = d.template(v, entry.CheckSecret) }},
		field{"entry", false, func(v value) { k.entry = d.template(v, entry.CheckKubernetesEntry) }},
		field{"kubeconfigEnv", false, func(v value) { k.kubeconfigEnv = d.secretSource(v, checkEnv).Env }},
		field{"kubeconfigFile", false, func(v value) { k.kubeconfigFile = d.secretSource(v, checkSecretFile).File }},
		field{"context", false, func(v value) { k.context = d.word(v, checkContext) }},
	)
	for _, from := range []secret.Source{{At: join(v.path, "kubeconfigEnv"), Env: k.kubeconfigEnv}, {At: join(v.path, "kubeconfigFile"), File: k.kubeconfigFile}} {
		if from.Env+from.File != "" {
			d.kubeconfigs = append(d.kubeconfigs, Kubeconfig{from, k.context})
		}
	}
	_, env := o.keys["kubeconfigEnv"]
	_, file := o.keys["kubeconfigFile"]
	switch _, context := o.keys["context"]; {
	case env && file:
		d.fault(o.at("kubeconfigFile"), "kubeconfigEnv and kubeconfigFile cannot be combined; choose one")
	case context && !env && !file:
		d.fault(o.at("context"), "needs kubeconfigEnv or kubeconfigFile: a context belongs to a kubeconfig")
	}
	preset, known := presets[k.preset]
	for _, f := range []struct {
		key     string
		to      **template
		literal string
	}{{"namespace", &k.namespace, preset.namespace}, {"secret", &k.secret, preset.secret}, {"entry", &k.entry, preset.entry}} {
		_, given := o.keys[f.key]
		switch {
		case given:
		case known:
			*f.to = fixed(v, f.literal)
		case o.node.Content != nil && !o.strange && o.keys["preset"].node == nil:
			d.fault(value{node: v.node, path: join(v.path, f.key)}, "is missing")
		}
	}
	return k
}

// fixed returns a template for a literal that is not in the config.
func fixed(at value, literal string) *template {
	return &template{at: at, check: func(string) error { return nil }, parts: []part{{literal: literal}}}
}

// restarted returns the restarts of the preset.
func (k *kubernetesTemplate) restarted() (r restartTemplate) {
	if preset, ok := presets[k.preset]; ok {
		r.names = []*template{fixed(k.at, preset.restart)}
	}
	return r
}

// cluster identifies the cluster by its kubeconfig.
func (k *kubernetesTemplate) cluster() *template {
	return fixed(k.at, "kubernetes "+k.kubeconfigEnv+" "+k.kubeconfigFile+" "+k.context)
}

func (k *kubernetesTemplate) locationParts() []*template {
	return []*template{k.cluster(), k.namespace, k.secret, k.entry}
}

func (x *expansion) kubernetes(k *kubernetesTemplate) *KubernetesStore {
	return &KubernetesStore{
		Namespace: x.text(k.namespace), Secret: x.text(k.secret), Entry: x.text(k.entry),
		KubeconfigEnv: k.kubeconfigEnv, KubeconfigFile: k.kubeconfigFile, Context: k.context,
	}
}

// Cluster returns a name for the cluster: its kubeconfig's source and context. It
// is empty for the cluster that latchkey runs in.
func (k KubernetesStore) Cluster() string {
	name := k.KubeconfigEnv + k.KubeconfigFile
	if k.Context != "" {
		name += ":" + k.Context
	}
	return name
}

func (k KubernetesStore) location() string {
	where := k.Cluster()
	if where == "" {
		where = "this cluster"
	}
	return fmt.Sprintf("the entry %q of the Secret %q in the namespace %q of %s", k.Entry, k.Secret, k.Namespace, where)
}

// restarts reads the restarts of a store, which depend on the store's kind.
func (d *decoder) restarts(s *storeTemplate, at *value) {
	switch {
	case at == nil && s.kubernetes != nil:
		s.restart = s.kubernetes.restarted()
	case at == nil:
	case s.kubernetes != nil:
		s.restart = d.restart(*at, entry.CheckWorkload, "daemonset/NAME, deployment/NAME or statefulset/NAME")
	default:
		s.restart = d.restart(*at, checkApp, "app/NAME")
		if s.codeEngine == nil && (s.restart.all || len(s.restart.names) > 0) {
			d.fault(*at, "only consumers of a codeEngine or kubernetes store can be restarted")
		}
	}
}
