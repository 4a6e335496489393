package entry_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/internal/codeengine"
	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/file"
	"github.com/latchkey-io/latchkey/internal/kubernetes"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/secretsmanager"
	"github.com/latchkey-io/latchkey/internal/vault"
)

// A field is one name of a kind of store: as the config spells it and as the
// store gets it.
type field struct {
	config func(name string) string
	read   func(ctx context.Context, name string) error
	good   []string
	bad    []string
}

var (
	a63  = strings.Repeat("a", 63)
	a253 = strings.Repeat("a", 253)

	objects = field{
		good: []string{"a", "0", "logs-sender", "logs.sender", "a.b.c", "a--b", a253},
		bad:  []string{"", "logs..sender", ".logs", "logs.", "logs-.sender", "logs.-sender", "-logs", "logs-", "Logs", "logs_sender", "logs/sender", "logs sender", "lögs", a253 + "a"},
	}
	entries = field{
		good: []string{"K", "IAM_API_KEY", "iam-api.key", "_", ".", "-a", strings.Repeat("K", 244), "KEY_IDS", "ID"},
		bad:  []string{"", "MY KEY", "a/b", "KEY_ID", "_ID", "KEY_LATCHKEY", "KÉY", strings.Repeat("K", 245)},
	}
	regions = field{
		good: []string{"eu-de", "us-south", "br-sao"},
		bad:  []string{"", "eu-de.evil.example/", "EU-DE", "eude", "eu-", "e-de", "eu-de ", "eu-" + strings.Repeat("a", 21)},
	}
	paths = field{
		good: []string{"s", "team/a", "team/a_b.c-d/1", "_a", strings.Repeat("a", 512)},
		bad:  []string{"", "/a", "a/", "a//b", "../p", "a/../b", "a/.b", "-a", "a b", "a%2fb", "a?b", strings.Repeat("a", 513)},
	}
)

// agreement lists every name of every kind of store.
var agreement = map[string]field{
	"codeEngine.project": ce("project", func(c *codeengine.StoreConfig, s string) { c.Project = s }, field{
		good: []string{"team-a", "Team A: one_two.3", "größe", "5f1d0a7e-4b6c-4d2f-9e8a-7b6c5d4e3f21", strings.Repeat("ö", 128)},
		bad:  []string{"", "a/b", "a?b", "a\nb", "a%2fb", strings.Repeat("a", 129)},
	}),
	"codeEngine.region": ce("region", func(c *codeengine.StoreConfig, s string) { c.Region = s }, regions),
	"codeEngine.secret": ce("secret", func(c *codeengine.StoreConfig, s string) { c.Secret = s }, objects),
	"codeEngine.entry":  ce("entry", func(c *codeengine.StoreConfig, s string) { c.Entry = s }, entries),

	"secretsManager.instance": sm("instance", func(c *secretsmanager.StoreConfig, s string) { c.Instance = s }, field{
		good: []string{"7a1c", "11111111-2222-4333-8444-555555555555", a63},
		bad:  []string{"", "7a1c.evil.example/", "my instance", "-a", "a-", "crn:v1:bluemix", "a_b", a63 + "a"},
	}),
	"secretsManager.region": sm("region", func(c *secretsmanager.StoreConfig, s string) { c.Region = s }, regions),
	"secretsManager.group": sm("group", func(c *secretsmanager.StoreConfig, s string) { c.Group = s }, field{
		good: []string{"default", "team a", "_x", "a.", a63 + "a"},
		bad:  []string{"a/b", " a", "a ", ".a", "ä", a63 + "aa"},
	}),
	"secretsManager.name": sm("name", func(c *secretsmanager.StoreConfig, s string) { c.Secret = s }, field{
		good: []string{"ab", "logs.sender", "logs..sender", "Logs-1", a253 + "aaa"},
		bad:  []string{"", "a", "logs_key", "a b", "-ab", "ab.", a253 + "aaaa"},
	}),
	"secretsManager.entry": sm("entry", func(c *secretsmanager.StoreConfig, s string) { c.Entry = s }, entries),

	"kubernetes.namespace": kube("namespace", func(c *kubernetes.StoreConfig, s string) { c.Namespace = s }, field{
		good: []string{"a", "ibm-observe", "0a", a63},
		bad:  []string{"", "A", "a.b", "-a", "a-", "a b", a63 + "a"},
	}),
	"kubernetes.secret": kube("secret", func(c *kubernetes.StoreConfig, s string) { c.Secret = s }, objects),
	"kubernetes.entry": kube("entry", func(c *kubernetes.StoreConfig, s string) { c.Entry = s }, field{
		good: []string{"K", "IAM_API_KEY", "a.b-c", "KEY_ID", a63},
		bad:  []string{"", ".config", "_a", "a-", "a b", "a/b", a63 + "a"},
	}),
	"restart[0]": {
		config: func(name string) string {
			return fmt.Sprintf("kubernetes: {preset: logs-agent}\n    restart: [%q]", name)
		},
		read: func(ctx context.Context, name string) error {
			s := kubernetes.New(kubernetes.Config{Kubeconfig: kubeconfig}).
				Store(kubernetes.StoreConfig{Namespace: "tools", Secret: "logs", Entry: "KEY", Restart: kubernetes.Restart{Names: []string{name}}})
			_, err := s.Consumers().Consumers(ctx)
			return err
		},
		good: []string{"daemonset/logs-agent", "deployment/a.b", "statefulset/0"},
		bad:  []string{"", "agent", "job/agent", "Deployment/a", "deployment/", "deployment/a..b", "deployment/a/b", "deployment/A"},
	},

	"vault.mount":     hashi("mount", func(_ *vault.Config, c *vault.StoreConfig, s string) { c.Mount = s }, paths),
	"vault.path":      hashi("path", func(_ *vault.Config, c *vault.StoreConfig, s string) { c.Path = s }, paths),
	"vault.namespace": hashi("namespace", func(c *vault.Config, _ *vault.StoreConfig, s string) { c.Namespace = s }, field{good: paths.good, bad: paths.bad[1:]}),
	"vault.entry": hashi("entry", func(_ *vault.Config, c *vault.StoreConfig, s string) { c.Entry = s }, field{
		good: []string{"K", "IAM_API_KEY", "-a.b", strings.Repeat("K", 119)},
		bad:  []string{"", "MY KEY", "a/b", "KEY_ID", "KEY_LATCHKEY", strings.Repeat("K", 120)},
	}),

	"file.path": {
		config: func(name string) string { return fmt.Sprintf("file: {path: %q}", name) },
		read: func(ctx context.Context, name string) error {
			_, err := file.New(name, "prod").Read(ctx)
			return err
		},
		good: []string{"/no/such/key.json", "/no/" + strings.Repeat("a", 243), "/no/" + strings.Repeat("a", 255) + "/key.json"},
		bad:  []string{"/no/" + strings.Repeat("a", 244), "/no/" + strings.Repeat("ö", 122), "/no/" + strings.Repeat("a", 256) + "/key.json"},
	},
}

// spelled is a store in the config, with one field replaced.
func spelled(kind, key, name string, fields ...[2]string) string {
	var all []string
	for _, f := range fields {
		if f[0] != key {
			all = append(all, f[0]+": "+f[1])
		}
	}
	return kind + ": {" + strings.Join(append(all, key+": "+strconv.Quote(name)), ", ") + "}"
}

func ce(key string, set func(*codeengine.StoreConfig, string), f field) field {
	f.config = func(name string) string {
		return spelled("codeEngine", key, name, [2]string{"project", "team-a"}, [2]string{"region", "eu-de"}, [2]string{"secret", "logs"}, [2]string{"entry", "KEY"})
	}
	f.read = func(ctx context.Context, name string) error {
		c := codeengine.StoreConfig{Project: "team-a", Region: "eu-de", Secret: "logs", Entry: "KEY"}
		set(&c, name)
		_, err := codeengine.New(codeengine.Config{Endpoint: "http://127.0.0.1:1"}).Store(c).Read(ctx)
		return err
	}
	return f
}

func sm(key string, set func(*secretsmanager.StoreConfig, string), f field) field {
	f.config = func(name string) string {
		return spelled("secretsManager", key, name, [2]string{"instance", "7a1c"}, [2]string{"region", "eu-de"}, [2]string{"name", "logs"}, [2]string{"type", "kv"}, [2]string{"entry", "KEY"})
	}
	f.read = func(ctx context.Context, name string) error {
		c := secretsmanager.StoreConfig{Instance: "7a1c", Region: "eu-de", Secret: "logs", Type: secretsmanager.KeyValue, Entry: "KEY"}
		set(&c, name)
		_, err := secretsmanager.New(secretsmanager.Config{Endpoint: "http://127.0.0.1:1"}).Store(c).Read(ctx)
		return err
	}
	return f
}

func kubeconfig(context.Context) ([]byte, error) {
	return []byte(`{"apiVersion":"v1","kind":"Config","current-context":"c","clusters":[{"name":"c","cluster":{"server":"http://127.0.0.1:1"}}],"users":[{"name":"u","user":{"token":"t"}}],"contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}]}`), nil
}

func kube(key string, set func(*kubernetes.StoreConfig, string), f field) field {
	f.config = func(name string) string {
		return spelled("kubernetes", key, name, [2]string{"namespace", "tools"}, [2]string{"secret", "logs"}, [2]string{"entry", "KEY"})
	}
	f.read = func(ctx context.Context, name string) error {
		c := kubernetes.StoreConfig{Namespace: "tools", Secret: "logs", Entry: "KEY"}
		set(&c, name)
		_, err := kubernetes.New(kubernetes.Config{Kubeconfig: kubeconfig}).Store(c).Read(ctx)
		return err
	}
	return f
}

func hashi(key string, set func(*vault.Config, *vault.StoreConfig, string), f field) field {
	f.config = func(name string) string {
		return spelled("vault", key, name, [2]string{"address", "https://v"}, [2]string{"mount", "s"}, [2]string{"path", "p"}, [2]string{"entry", "KEY"}, [2]string{"auth", "{tokenEnv: T}"})
	}
	f.read = func(ctx context.Context, name string) error {
		c := vault.Config{Address: "https://127.0.0.1:1", Auth: vault.Auth{Token: func(context.Context) (secret.Value, error) { return secret.New("token"), nil }}}
		s := vault.StoreConfig{Mount: "s", Path: "p", Entry: "KEY"}
		set(&c, &s, name)
		_, err := vault.New(c).Store(s).Read(ctx)
		return err
	}
	return f
}

const header = `version: 1
owner: prod
credentials:
- name: logs-sender
  serviceID: {name: logs-sender, policies: [{service: logs, roles: [Sender]}]}
  stores:
  - `

// TestTheConfigTakesTheNamesThatTheStoresTake loads every name and shows it to
// the store, whose context has ended: it either refuses the name or gets no
// answer.
func TestTheConfigTakesTheNamesThatTheStoresTake(t *testing.T) {
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for where, f := range agreement {
		t.Run(where, func(t *testing.T) {
			for valid, names := range map[bool][]string{true: f.good, false: f.bad} {
				for _, name := range names {
					_, err := config.Load("latchkey.yaml", []byte(header+f.config(name)+"\n"))
					if err == nil != valid || err != nil && !strings.Contains(err.Error(), where) {
						t.Errorf("%q: the config says %v; the name is valid: %v", name, err, valid)
					}
					want := port.ErrUnavailable
					if !valid {
						want = port.ErrRefused
					}
					if err := f.read(over, name); !errors.Is(err, want) {
						t.Errorf("%q: the store says %v, want %v", name, err, want)
					}
				}
			}
		})
	}
}

// A file store creates two files beside its own.
func TestTheLongestFileNameHasRoomForTheFilesBesideIt(t *testing.T) {
	name := filepath.Join(t.TempDir(), strings.Repeat("a", 243))
	e := port.Entry{KeyID: "ApiKey-1", Value: secret.New("value")}
	if err := file.New(name, "prod").Publish(t.Context(), e, ""); err != nil {
		t.Error(err)
	}
	if err := file.New(name+"a", "prod").Publish(t.Context(), e, ""); !errors.Is(err, port.ErrRefused) {
		t.Errorf("a name that is one byte longer: %v", err)
	}
}
