package main

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/event/sample"
	"github.com/latchkey-io/latchkey/internal/kubernetes"
	"github.com/latchkey-io/latchkey/internal/kubernetes/kubetest"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/result"
	"github.com/latchkey-io/latchkey/internal/storetest"
	"github.com/latchkey-io/latchkey/internal/vault/vaulttest"
)

// mix is one credential in three places.
type mix struct {
	*stage
	cluster            *kubetest.Cluster
	vault              *vaulttest.Server
	toCluster, toVault *storetest.Proxy
}

const mixPath = "agents/logs"

func newMix(t *testing.T, cluster *kubetest.Cluster, vault *vaulttest.Server) *mix {
	t.Helper()
	m := &mix{stage: newStage(t, emulator.Options{}), cluster: cluster, vault: vault, toCluster: cluster.Proxy(t), toVault: vault.Proxy(t)}
	cluster.Namespace(t, kubernetes.LogsAgentNamespace, kubetest.Everything...)
	cluster.Workload(t, "daemonset", kubernetes.LogsAgentNamespace, "logs-agent", nil, nil)
	roleID, secretID := vault.AppRole(t, vault.Full(mixPath), time.Hour, 0)
	authority := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(authority, m.toVault.Certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	m.env = map[string]string{"KUBECONFIG_EAST": string(cluster.Kubeconfig(m.toCluster)), "VAULT_SECRET_ID": secretID()}
	m.url = m.serve(strings.NewReplacer("‹vault›", m.toVault.URL, "‹authority›", authority, "‹role›", roleID).Replace(`version: 1
owner: example
regions: [eu-de]
events: {auth: {bearerEnv: EVENTS_TOKEN}, allow: [{verbs: [rotate], credentials: ["*"]}]}
credentials:
- name: agents
  serviceID: {name: agents, policies: [{service: logs, roles: [Sender]}]}
  stores:
  - kubernetes: {preset: logs-agent, kubeconfigEnv: KUBECONFIG_EAST}
  - codeEngine: {project: team-a, region: eu-de, secret: agents, entry: IAM_API_KEY}
  - vault: {address: "‹vault›", caFile: "‹authority›", mount: secret, path: agents/logs, entry: IAM_API_KEY, auth: {appRole: {roleID: ‹role›, secretIDEnv: VAULT_SECRET_ID}}}
    required: false
`))
	m.control(t)
	return m
}

// control completes the DaemonSet's roll-outs, as its controller would.
func (m *mix) control(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			m.cluster.Rollout(t, "daemonset", kubernetes.LogsAgentNamespace, "logs-agent", 2, 2)
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		done.Wait()
	})
}

// held is the key that each place names, and the value that it holds.
func (m *mix) held(t *testing.T) (keys, values map[string]string) {
	t.Helper()
	keys, values = map[string]string{}, map[string]string{}
	for _, s := range m.project("team-a").Secrets {
		if s.Name == "agents" {
			keys["codeEngine"], values["codeEngine"] = s.Data["IAM_API_KEY_ID"], s.Data["IAM_API_KEY"]
		}
	}
	keys["kubernetes"], values["kubernetes"] = m.cluster.Entry(t, kubernetes.LogsAgentNamespace, kubernetes.LogsAgentSecret, kubernetes.LogsAgentEntry)
	keys["vault"], values["vault"] = m.vault.Entry(t, mixPath, "IAM_API_KEY")
	return keys, values
}

// all fails unless every place has the key, and the agent was started with it.
func (m *mix) all(t *testing.T, key string) {
	t.Helper()
	keys, values := m.held(t)
	for place, got := range keys {
		if got != key || values[place] == "" || values[place] != values["codeEngine"] {
			t.Errorf("%s names key %s (%d bytes of value); want %s with the value of the others", place, got, len(values[place]), key)
		}
	}
	m.started(t, key)
}

func (m *mix) started(t *testing.T, key string) {
	t.Helper()
	notes, _ := m.cluster.Template(t, "daemonset", kubernetes.LogsAgentNamespace, "logs-agent")
	if got := notes["key-id.latchkey.dev/logs-agent.IAM_API_KEY"]; got != key {
		t.Errorf("the agent was started with key %v, want %s", got, key)
	}
}

// sweep posts a tick and returns the outcome for the credential.
func (m *mix) sweep(t *testing.T) result.Outcome {
	t.Helper()
	r := m.post(m.url, sample.Tick(m.cloud.Now()), testToken)
	for _, o := range r.outcomes {
		if o.Credential == "agents" {
			return o
		}
	}
	t.Fatalf("the tick was answered %d %s", r.status, r.body)
	return result.Outcome{}
}

func (m *mix) minted() int { return len(m.cloud.State(true).APIKeys) }

// threeStores provisions and rotates one credential in three places, of which
// one is down for a while.
func threeStores(t *testing.T, cluster *kubetest.Cluster, vault *vaulttest.Server) {
	m := newMix(t, cluster, vault)
	first := m.sweep(t)
	if first.Result != result.Published {
		t.Fatalf("outcome %+v", first)
	}
	m.all(t, first.Key)
	if again := m.sweep(t); again.Result != result.Unchanged {
		t.Errorf("the next sweep: %+v", again)
	}

	// One that is not required is down: the others go ahead without it.
	m.cloud.Advance(time.Hour)
	up := m.toVault.Down()
	second := m.one(sample.Rotate("agents", m.cloud.Now()), testToken, result.Published)
	keys, _ := m.held(t)
	if keys["codeEngine"] != second.Key || keys["kubernetes"] != second.Key || keys["vault"] != first.Key || second.Key == first.Key {
		t.Errorf("with the vault down the places name %v; the new key is %s", keys, second.Key)
	}
	m.started(t, second.Key)
	minted := m.minted()
	up()
	if repaired := m.sweep(t); repaired.Result != result.Changed || repaired.Key != second.Key {
		t.Errorf("the sweep after the vault came back: %+v", repaired)
	}
	m.all(t, second.Key)
	if now := m.minted(); now != minted {
		t.Errorf("%d keys were minted for the repair", now-minted)
	}

	// One that is required is down: no key is made that it could not take.
	m.cloud.Advance(time.Hour)
	up = m.toCluster.Down()
	r := m.post(m.url, sample.Rotate("agents", m.cloud.Now()), testToken)
	if len(r.outcomes) != 1 || r.outcomes[0].Key != second.Key || m.minted() != minted {
		t.Errorf("with the cluster down: %d %s; %d keys, before %d", r.status, r.body, m.minted(), minted)
	}
	up()
	m.cloud.Advance(time.Hour)
	third := m.sweep(t) // the demand was remembered
	if third.Result != result.Published || third.Key == second.Key {
		t.Errorf("the sweep after the cluster came back: %+v", third)
	}
	m.all(t, third.Key)

	// The agent that a person restarted with an older template is restarted.
	cluster.Do(t, http.MethodPatch, "/apis/apps/v1/namespaces/ibm-observe/daemonsets/logs-agent", map[string]any{"spec": map[string]any{
		"template": map[string]any{"metadata": map[string]any{"annotations": map[string]any{"key-id.latchkey.dev/logs-agent.IAM_API_KEY": first.Key}}}}})
	mended := m.sweep(t)
	if mended.Result != result.Changed || len(mended.Steps) == 0 || mended.Steps[0].Action != protocol.RestartConsumer {
		t.Errorf("the sweep after the template was put back: %+v", mended)
	}
	m.all(t, third.Key)
}

func TestThreeStores(t *testing.T) { threeStores(t, kubetest.Fake(t), vaulttest.Fake(t)) }

func TestOnlyWhatTheConfigNamesIsSetUp(t *testing.T) {
	s := newStage(t, emulator.Options{})
	e, _ := s.created("team-a")
	s.one(e, testToken, result.Published)
	if a := s.parts.builder.stores; len(a.clusters)+len(a.vaults) != 0 {
		t.Errorf("%d clusters and %d vaults were set up", len(a.clusters), len(a.vaults))
	}
}
