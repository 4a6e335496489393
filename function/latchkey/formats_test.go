package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/result"
)

// formats is one credential whose key stands in every kind of text.
type formats struct {
	*stage
	file string
}

func newFormats(t *testing.T) *formats {
	t.Helper()
	f := &formats{file: filepath.Join(t.TempDir(), "kafka.properties")}
	f.stage = holed(t, fmt.Sprintf(`- name: c
  serviceID: {name: c, policies: [{service: logs, roles: [Sender]}]}
  stores:
  - codeEngine: {project: team-a, region: eu-de, secret: kafka, entry: IAM_API_KEY}
    entries:
    - {entry: kafka.jaas, format: {jaas: token}}
    - {entry: key.json, format: json}
    readBack: true
  - codeEngine: {project: team-a, region: eu-de, secret: images}
    format: {registry: de.icr.io}
  - secretsManager: {instance: %s, region: eu-de, name: docker, type: arbitrary}
    format: {dockerconfigjson: de.icr.io}
  - file: {path: %s}
    format: {template: "apikey={{properties .Value}}\nid={{.ID}}\n"}
`, cloud.SecretsInstanceID, f.file))
	return f
}

func (f *formats) secret(name string) map[string]string {
	f.t.Helper()
	for _, s := range f.project("team-a").Secrets {
		if s.Name == name {
			return s.Data
		}
	}
	f.t.Fatalf("there is no secret %s", name)
	return nil
}

// holds fails unless every store has the key, in its format.
func (f *formats) holds(key string) {
	f.t.Helper()
	kafka, images := f.secret("kafka"), f.secret("images")
	value := kafka["IAM_API_KEY"]
	docker, _ := f.cloud.State(true).ManagedSecret(cloud.SecretsInstanceID, "arbitrary", "docker")
	var config struct {
		Auths map[string]struct{ Password string }
	}
	payload, _ := docker.Versions[len(docker.Versions)-1].Data["payload"].(string)
	if err := json.Unmarshal([]byte(payload), &config); err != nil {
		f.t.Errorf("the docker config is not JSON: %v", err)
	}
	text, err := os.ReadFile(f.file)
	if err != nil {
		f.t.Error(err)
	}
	for what, ok := range map[string]bool{
		"the raw entry":     len(value) == 44 && kafka["IAM_API_KEY_ID"] == key,
		"the JAAS entry":    strings.HasSuffix(kafka["kafka.jaas"], ` password="`+value+`";`),
		"the JSON entry":    strings.HasPrefix(kafka["key.json"], `{"apikey":"`+value+`","id":"`+key+`"`),
		"the registry":      images["password"] == value && images["username"] == "iamapikey" && strings.HasPrefix(images["email"], key+"@"),
		"the docker config": config.Auths["de.icr.io"].Password == value,
		"the file":          string(text) == "apikey="+value+"\nid="+key+"\n",
	} {
		if !ok {
			f.t.Errorf("%s does not hold key %s", what, key)
		}
	}
}

func TestAKeyIsPublishedRotatedAndRepairedInEveryFormat(t *testing.T) {
	f := newFormats(t)
	first := f.sweep().only(t, result.Published)
	f.holds(first.Key)
	f.sweep().only(t, result.Unchanged)
	second := f.rotate(result.Published)
	if second.Key == first.Key {
		t.Error("no other key was made")
	}
	f.holds(second.Key)

	// A person spoils the text of each store in turn. Another store has the value.
	team, kafka := f.project("team-a").ID, f.secret("kafka")
	for what, spoil := range map[string]func(){
		"a further entry": func() {
			data := maps.Clone(kafka)
			data["kafka.jaas"], data["NEIGHBOUR"] = "mine", "kept"
			f.cloud.Cloud().PutSecret(team, "kafka", data)
		},
		"the file": func() {
			if err := os.WriteFile(f.file, []byte("apikey=mine\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		},
	} {
		spoil()
		if out := f.sweep().only(t, result.Changed); out.Key != second.Key {
			t.Errorf("%s: repaired with key %s, want %s", what, out.Key, second.Key)
		}
		f.holds(second.Key)
		f.sweep().only(t, result.Unchanged)
	}
	if f.secret("kafka")["NEIGHBOUR"] != "kept" {
		t.Error("a neighbour is gone")
	}
}

func TestAFurtherEntryOfAnotherWriterBlocksAndIsKept(t *testing.T) {
	f := newFormats(t)
	f.cloud.Cloud().PutSecret(f.project("team-a").ID, "kafka", map[string]string{"kafka.jaas": "of another"})
	f.sweep().only(t, result.Blocked)
	if got := f.secret("kafka"); len(got) != 1 || got["kafka.jaas"] != "of another" {
		t.Error("the other writer's entry is changed")
	}
}
