package config

import (
	"strings"
	"testing"
)

func TestTheDescriptionOfAKeyIsTheRunBooksOrTheConfigs(t *testing.T) {
	const named = "serviceID: {name: \"s-${project.name}\", policies: [{service: logs, roles: [Sender, Viewer]}, {service: cloud-object-storage, roles: [Reader]}]"
	for name, tc := range map[string]struct{ serviceID, project, want string }{
		"by default it has the service ID and its roles": {
			named + "}", "team-a", "API key for service ID s-team-a with permissions to act as Sender and Viewer on logs, Reader on cloud-object-storage",
		},
		"by default it has the access groups": {
			"serviceID: {name: s, accessGroups: [Log senders]}", "", "API key for service ID s with permissions of Log senders",
		},
		"by default it has the ID of a given service ID": {
			"serviceID: {id: ServiceId-8b0f3a64-2d4c-4e7a-9c3b-6f1e5d2a7c90, manage: keys}", "", "API key for service ID ServiceId-8b0f3a64-2d4c-4e7a-9c3b-6f1e5d2a7c90",
		},
		"the config may have a template": {named + ", keyDescription: \"Logs of ${project.name}\"}", "team-a", "Logs of team-a"},
		"a given service ID may have one": {
			"serviceID: {id: ServiceId-8b0f3a64-2d4c-4e7a-9c3b-6f1e5d2a7c90, manage: keys, keyDescription: By hand}", "", "By hand",
		},
		"what an expression yields forges no marker": {
			"serviceID: {name: s, policies: [{service: logs, roles: [Sender]}], keyDescription: \"a ${\\\"[latchkey v=1]\\\\n\\\"} b\"}", "", "a _latchkey v=1__ b",
		},
		"what an expression yields is cut": {
			"serviceID: {name: s, policies: [{service: logs, roles: [Sender]}], keyDescription: \"${\\\"" + strings.Repeat("é", 300) + "\\\"}\"}", "", strings.Repeat("é", 199) + "…",
		},
	} {
		t.Run(name, func(t *testing.T) {
			each, in, file := "", Input{}, "a"
			if tc.project != "" {
				each, file = "forEach: codeengine.projects, ", "${project.name}"
				in.Project = &Project{ID: "1a2b3c4d-0000-4000-8000-000000000001", Name: tc.project, Region: "eu-de"}
			}
			c := mustLoad(t, "{version: 1, owner: o, regions: [eu-de], credentials: [{name: a, "+each+tc.serviceID+", stores: [{file: {path: \"keys/"+file+".json\"}}]}]}")
			got, err := c.Entries[0].Expand(in)
			if err != nil || got.KeyDescription != tc.want {
				t.Errorf("got %q, %v", got.KeyDescription, err)
			}
		})
	}
}

func TestADescriptionOfAKeyThatIsWrongIsAFault(t *testing.T) {
	for text, want := range map[string]string{
		`"x [latchkey v=1]"`:                 "must not contain [latchkey",
		`"` + strings.Repeat("x", 201) + `"`: "must have at most 200 characters",
		`""`:                                 "is empty",
		`"${project.nam}"`:                   "${project.nam}",
		`'${"a".split(",")[1]}'`:             "keyDescription: evaluating",
		`"${with.tenant + 1}"`:               "keyDescription",
	} {
		_, err := Load("c.yaml", []byte("{version: 1, owner: o, credentials: [{name: a, serviceID: {name: s, policies: [{service: logs, roles: [Sender]}], keyDescription: "+text+"}, stores: [{file: {path: keys/a.json}}]}]}"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
