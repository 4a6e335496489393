package kubernetes_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/kubernetes"
	"github.com/latchkey-io/latchkey/internal/kubernetes/kubetest"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/storetest"
)

var everyKind = []string{"daemonset", "deployment", "statefulset"}

// fromEnvironment is a container that takes the entry when it starts.
func fromEnvironment() map[string]any {
	return map[string]any{"env": []any{map[string]any{"name": "KEY", "valueFrom": map[string]any{
		"secretKeyRef": map[string]any{"name": kubernetes.LogsAgentSecret, "key": kubernetes.LogsAgentEntry},
	}}}}
}

func restart(names ...string) func(*kubernetes.StoreConfig) {
	return func(c *kubernetes.StoreConfig) { c.Restart = kubernetes.Restart{All: len(names) == 0, Names: names} }
}

// consumerScenarios are what restarts do in a cluster.
func consumerScenarios(t *testing.T, c *kubetest.Cluster) {
	for _, kind := range everyKind {
		t.Run("a "+kind+" is restarted once, and says which key it has when no old pod is left", func(t *testing.T) {
			rolls(t, newCorner(t, c), kind)
		})
	}
	for sentence, scenario := range map[string]func(*testing.T, *corner){
		"workloads that read the entry only at start are found":       found,
		"a workload that does not exist has an unknown key":           unknown,
		"a rollout longer than the patience gives no answer":          slow,
		"waiting for a rollout ends with the context":                 over,
		"a run that is too old to write restarts nothing":             tooOld,
		"a blocked rollout is refused with the reason":                held,
		"a missing permission to patch is named":                      noPatch,
		"two entries have an annotation each":                         marks,
		"a restart that a controller undoes is not repeated for ever": undone,
	} {
		t.Run(sentence, func(t *testing.T) { scenario(t, newCorner(t, c)) })
	}
}

func (k *corner) key(t *testing.T, s *kubernetes.Store) (key string, all []protocol.Consumer) {
	t.Helper()
	all, err := s.Consumers().Consumers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 1 {
		t.Fatalf("consumers %v, want one", all)
	}
	return all[0].Key, all
}

func rolls(t *testing.T, k *corner, kind string) {
	k.Workload(t, kind, k.namespace, "agent", fromEnvironment(), nil)
	k.Rollout(t, kind, k.namespace, "agent", 2, 2)
	s := k.store(restart(kind + "/agent"))
	key, all := k.key(t, s)
	name := kind + "/" + k.namespace + "/agent"
	if key != "" || all[0].Name != name || all[0].Store != s.Name() {
		t.Fatalf("consumer %+v", all[0])
	}
	_, before := k.Template(t, kind, k.namespace, "agent")
	done := make(chan error, 1)
	go func() { done <- s.Consumers().Restart(context.WithoutCancel(t.Context()), name, "ApiKey-1") }()
	kubetest.Eventually(t, "the template is new", func() bool {
		_, now := k.Template(t, kind, k.namespace, "agent")
		return now == before+1
	})
	if key, _ := k.key(t, s); key != "" {
		t.Errorf("it has key %q before its controller saw the change", key)
	}
	k.Rollout(t, kind, k.namespace, "agent", 1, 2)
	if key, _ := k.key(t, s); key != "" {
		t.Errorf("it has key %q while an old pod is left", key)
	}
	k.Rollout(t, kind, k.namespace, "agent", 2, 1)
	if key, _ := k.key(t, s); key != "ApiKey-1" {
		t.Errorf("it has key %q when all pods are new", key)
	}
	k.Rollout(t, kind, k.namespace, "agent", 2, 2)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	notes, now := k.Template(t, kind, k.namespace, "agent")
	if notes["key-id.latchkey.dev/logs-agent.IAM_API_KEY"] != "ApiKey-1" || notes["kubectl.kubernetes.io/restartedAt"] != "2026-11-24T10:00:00.123456789Z" {
		t.Errorf("the template's annotations are %v", notes)
	}
	// The same again changes nothing.
	if err := s.Consumers().Restart(t.Context(), name, "ApiKey-1"); err != nil {
		t.Fatal(err)
	}
	if _, again := k.Template(t, kind, k.namespace, "agent"); again != now {
		t.Error("a second restart with the same key made a new template")
	}
}

func found(t *testing.T, k *corner) {
	volume := func(source map[string]any, mount map[string]any) map[string]any {
		source["name"], mount["name"], mount["mountPath"] = "keys", "keys", "/keys"
		return map[string]any{"volumeMounts": []any{mount}, "volumes": []any{source}}
	}
	whole := map[string]any{"secret": map[string]any{"secretName": "logs-agent"}}
	projected := map[string]any{"projected": map[string]any{"sources": []any{map[string]any{"secret": map[string]any{"name": "logs-agent"}}}}}
	other := map[string]any{"env": []any{map[string]any{"name": "KEY", "valueFrom": map[string]any{
		"secretKeyRef": map[string]any{"name": "logs-agent", "key": "OTHER"},
	}}}}
	k.Workload(t, "daemonset", k.namespace, "by-key", fromEnvironment(), nil)
	k.Workload(t, "deployment", k.namespace, "whole", map[string]any{"envFrom": []any{map[string]any{"secretRef": map[string]any{"name": "logs-agent"}}}}, nil)
	k.Workload(t, "statefulset", k.namespace, "part", volume(whole, map[string]any{"subPath": "IAM_API_KEY"}), nil)
	k.Workload(t, "statefulset", k.namespace, "part-of-several", volume(projected, map[string]any{"subPathExpr": "$(X)"}), nil)
	k.Workload(t, "deployment", k.namespace, "mounted", volume(whole, map[string]any{}), nil)
	k.Workload(t, "deployment", k.namespace, "other-entry", other, nil)
	k.Workload(t, "deployment", k.namespace, "stranger", nil, nil)
	all, err := k.store(restart()).Consumers().Consumers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range all {
		names = append(names, strings.ReplaceAll(c.Name, k.namespace, "NS"))
	}
	want := []string{"daemonset/NS/by-key", "deployment/NS/whole", "statefulset/NS/part", "statefulset/NS/part-of-several"}
	if !slices.Equal(names, want) {
		t.Errorf("found %v, want %v", names, want)
	}
	if k.store().Consumers() != nil {
		t.Error("a store without a restart has consumers")
	}
}

func unknown(t *testing.T, k *corner) {
	s := k.store(restart("daemonset/missing"))
	_, all := k.key(t, s)
	if !all[0].Unknown || all[0].Name != "daemonset/"+k.namespace+"/missing" {
		t.Errorf("consumer %+v", all[0])
	}
	says(t, s.Consumers().Restart(t.Context(), all[0].Name, "ApiKey-1"), port.ErrNotFound, "missing")
	says(t, s.Consumers().Restart(t.Context(), "daemonset/other/missing", "ApiKey-1"), port.ErrRefused, "no consumer")
	says(t, s.Consumers().Restart(t.Context(), "job/"+k.namespace+"/missing", "ApiKey-1"), port.ErrRefused, "job")
}

func slow(t *testing.T, k *corner) {
	k.Workload(t, "daemonset", k.namespace, "agent", nil, nil)
	says(t, k.store(restart("daemonset/agent")).Consumers().Restart(t.Context(), "daemonset/"+k.namespace+"/agent", "ApiKey-1"),
		port.ErrUnavailable, "not complete after 1s")
	if key, all := k.key(t, k.store(restart("daemonset/agent"))); key != "" || all[0].Next != "ApiKey-1" {
		t.Errorf("consumer %+v, want one that gets ApiKey-1 next", all[0])
	}
}

func tooOld(t *testing.T, k *corner) {
	k.Workload(t, "daemonset", k.namespace, "agent", nil, nil)
	k.Rollout(t, "daemonset", k.namespace, "agent", 2, 2)
	_, before := k.Template(t, "daemonset", k.namespace, "agent")
	err := k.store(restart("daemonset/agent")).Consumers().Restart(storetest.TooOld(t), "daemonset/"+k.namespace+"/agent", "ApiKey-1")
	says(t, err, port.ErrUnavailable)
	if notes, now := k.Template(t, "daemonset", k.namespace, "agent"); now != before || len(notes) > 0 {
		t.Errorf("the template is of generation %v, was %v; its annotations are %v", now, before, notes)
	}
}

func over(t *testing.T, k *corner) {
	k.Workload(t, "daemonset", k.namespace, "agent", nil, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	err := k.store(restart("daemonset/agent")).Consumers().Restart(ctx, "daemonset/"+k.namespace+"/agent", "ApiKey-1")
	says(t, err, port.ErrUnavailable)
	says(t, err, context.DeadlineExceeded)
}

func held(t *testing.T, k *corner) {
	for reason, c := range map[string]struct {
		kind string
		spec map[string]any
	}{
		"OnDelete":  {"daemonset", map[string]any{"updateStrategy": map[string]any{"type": "OnDelete"}}},
		"paused":    {"deployment", map[string]any{"paused": true}},
		"partition": {"statefulset", map[string]any{"updateStrategy": map[string]any{"type": "RollingUpdate", "rollingUpdate": map[string]any{"partition": 1}}}},
	} {
		name := strings.ToLower(reason)
		k.Workload(t, c.kind, k.namespace, name, nil, c.spec)
		s := k.store(restart(c.kind + "/" + name))
		done := make(chan error, 1)
		go func() {
			done <- s.Consumers().Restart(context.WithoutCancel(t.Context()), c.kind+"/"+k.namespace+"/"+name, "ApiKey-1")
		}()
		kubetest.Eventually(t, "the template is new", func() bool {
			notes, _ := k.Template(t, c.kind, k.namespace, name)
			return len(notes) > 0
		})
		k.Rollout(t, c.kind, k.namespace, name, 0, 2)
		says(t, <-done, port.ErrRefused, reason)
		k.Rollout(t, c.kind, k.namespace, name, 2, 2) // a person acted
		if key, _ := k.key(t, s); key != "ApiKey-1" {
			t.Errorf("%s: it has key %q", reason, key)
		}
	}
}

func noPatch(t *testing.T, k *corner) {
	k.Workload(t, "deployment", k.namespace, "agent", fromEnvironment(), nil)
	k.Grant(t, k.namespace, kubetest.Rule{Group: "apps", Resources: []string{"deployments"}, Verbs: []string{"get"}})
	s := k.store(restart("deployment/agent"))
	says(t, s.Consumers().Restart(t.Context(), "deployment/"+k.namespace+"/agent", "ApiKey-1"),
		port.ErrDenied, "patch on deployments of apps in namespace "+k.namespace)
	_, err := k.store(restart()).Consumers().Consumers(t.Context())
	says(t, err, port.ErrDenied, "list on daemonsets of apps in namespace "+k.namespace)
}

func marks(t *testing.T, k *corner) {
	k.Workload(t, "daemonset", k.namespace, "agent", nil, nil)
	long := strings.Repeat("a", 60)
	for i, change := range []func(*kubernetes.StoreConfig){
		func(*kubernetes.StoreConfig) {},
		func(c *kubernetes.StoreConfig) { c.Entry = "OTHER" },
		func(c *kubernetes.StoreConfig) { c.Secret = long + "-1" },
		func(c *kubernetes.StoreConfig) { c.Secret = long + "-2" },
	} {
		s := k.store(restart("daemonset/agent"), change)
		done := make(chan error, 1)
		go func() {
			done <- s.Consumers().Restart(context.WithoutCancel(t.Context()), "daemonset/"+k.namespace+"/agent", fmt.Sprint("ApiKey-", i))
		}()
		kubetest.Eventually(t, "the template has one more mark", func() bool {
			notes, _ := k.Template(t, "daemonset", k.namespace, "agent")
			return len(notes) == i+2 // with the stamp
		})
		k.Rollout(t, "daemonset", k.namespace, "agent", 2, 2)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if key, _ := k.key(t, s); key != fmt.Sprint("ApiKey-", i) {
			t.Errorf("store %s finds key %q", s.Name(), key)
		}
	}
}

// undone plays a controller that removes the annotation after each restart.
func undone(t *testing.T, k *corner) {
	k.Workload(t, "deployment", k.namespace, "agent", fromEnvironment(), nil)
	path := "/apis/apps/v1/namespaces/" + k.namespace + "/deployments/agent"
	try := func(key string) (restarted bool, err error) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond) // the rollout never completes
		defer cancel()
		err = k.store(restart("deployment/agent")).Consumers().Restart(ctx, "deployment/"+k.namespace+"/agent", key)
		notes, _ := k.Template(t, "deployment", k.namespace, "agent")
		k.Do(t, "PATCH", path, map[string]any{"spec": map[string]any{"template": map[string]any{"metadata": map[string]any{"annotations": nil}}}})
		return len(notes) > 0, err
	}
	for i, step := range []struct {
		after time.Duration
		key   string
		want  bool
	}{
		{0, "ApiKey-1", true}, {time.Hour, "ApiKey-1", true}, {time.Hour, "ApiKey-1", true},
		{time.Hour, "ApiKey-1", false}, {24 * time.Hour, "ApiKey-1", false},
		{48 * time.Hour, "ApiKey-1", true}, {time.Hour, "ApiKey-1", false},
		{time.Hour, "ApiKey-2", true},
	} {
		k.now = k.now.Add(step.after)
		restarted, err := try(step.key)
		if restarted != step.want {
			t.Errorf("step %d: restarted %v, want %v: %v", i, restarted, step.want, err)
		}
		if !step.want {
			says(t, err, port.ErrRefused, "removed the annotation")
		}
	}
}
