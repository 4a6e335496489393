package config_test

import (
	"fmt"

	"github.com/latchkey-io/latchkey/internal/config"
)

func ExampleLoad() {
	text := `
version: 1
owner: example
regions: [eu-de]
credentials:
- name: logs-sender
  forEach: codeengine.projects
  where: project.name.startsWith("team-")
  serviceID:
    name: logs-sender-${project.name}
    policies:
    - {service: logs, roles: [Sender]}
  stores:
  - codeEngine: {project: "${project.id}", secret: logs-sender, entry: IAM_API_KEY}
    restart: true
`
	c, err := config.Load("latchkey.yaml", []byte(text))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, name := range []string{"team-blue", "playground"} {
		project := config.Project{ID: "id-of-" + name, Name: name, Region: "eu-de"}
		credential, err := c.Entries[0].Expand(config.Input{Project: &project})
		if err != nil {
			fmt.Println(name, "is", err)
			continue
		}
		store := credential.Stores[0].CodeEngine
		fmt.Println(credential.Name, "is the service ID", credential.ServiceIDName)
		fmt.Println("its key goes to", store.Secret, "in", store.Project, "in", store.Region)
	}
	// Output:
	// logs-sender/id-of-team-blue is the service ID logs-sender-team-blue
	// its key goes to logs-sender in id-of-team-blue in eu-de
	// playground is excluded by where
}

func ExampleLoad_faults() {
	text := `version: 1
owner: example
sweepEvry: 1h
credentials:
- name: logs-sender
  serviceID:
    name: logs-sender-${project.name}
    policies:
    - {service: logs, roles: [Sender]}
  rotation: {after: 100d}
  stores:
  - file: {path: keys/logs-sender.json}
`
	_, err := config.Load("latchkey.yaml", []byte(text))
	fmt.Println(err)
	// Output:
	// latchkey.yaml:3:1: unknown key "sweepEvry"; did you mean "sweepEvery"?
	// latchkey.yaml:7:11: credentials[0].serviceID.name: ${project.name}: at character 1: project is known only in an entry with forEach: codeengine.projects
	// latchkey.yaml:10:21: credentials[0].rotation.after: after 100d plus overlap 1d must be less than expire 90d: an old key must not expire during its overlap
}
