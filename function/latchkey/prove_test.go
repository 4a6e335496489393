package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

// writers go keyless. They may write objects, and must not list the bucket.
const writers = `- name: writer
  mode: keyless
  trust: [{type: IKS_SA, crn: "` + agentCluster + `", namespace: backups, serviceAccount: writer}]
  serviceID: {name: writer, policies: [{service: cloud-object-storage, roles: [Object Writer], resourceType: bucket, resource: backups}]}
  prove:
    http:
    - {cos: {bucket: backups, region: eu-de, do: write}}
    - {cos: {bucket: backups, region: eu-de}, deny: true}
  stores: [{codeEngine: {project: team-a, region: eu-de, secret: writer, entry: IAM_API_KEY}}]
- name: team
  forEach: codeengine.projects
  where: project.name == "team-a"
  mode: keyless
  trust: [{type: CE, crn: "${project.crn}"}]
  serviceID: {name: "team-${project.name}", policies: [{service: logs, roles: [Sender]}]}
  stores: [{codeEngine: {project: "${project.id}", secret: sender, entry: IAM_API_KEY}}]
- name: keyed
  serviceID: {name: keyed, policies: [{service: logs, roles: [Sender]}]}
  stores: [{codeEngine: {project: team-a, region: eu-de, secret: keyed, entry: IAM_API_KEY}}]
`

// A consumer's own token shows what its profile may do, and what it must not. The first
// sweep has made the profiles.
func TestAConsumersTokenProvesItsProfile(t *testing.T) {
	s := holed(t, writers)
	if r := s.sweep(); len(r.outcomes) != 3 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	project := s.project("team-a")
	pod := func(namespace string) cloud.ComputeResource {
		return cloud.ComputeResource{CRType: "IKS_SA", LinkedResource: cloud.LinkedResource{CRN: agentCluster, Namespace: namespace, Name: "writer"}}
	}
	app := cloud.ComputeResource{CRType: "CE", LinkedResource: cloud.LinkedResource{CRN: project.CRN, ComponentType: "job", ComponentName: "prove"}}
	for sentence, tc := range map[string]struct {
		of     cloud.ComputeResource
		args   []string
		change func(config string) string
		code   int
		want   []string
	}{
		"the consumer may do its job, and nothing else": {
			of: pod("backups"), args: []string{"writer"}, code: cli.ExitOK, want: []string{"token passed iam-Profile-", "http[0] passed", "http[1] passed"},
		},
		"a program of another namespace is refused, in IAM's words": {
			of: pod("default"), args: []string{"writer"}, code: cli.ExitAct, want: []string{"token failed", "status 400 BXNIM0437E", "http[0] not tried", "http[1] not tried"},
		},
		"a profile that may do what it must not": {
			of: pod("backups"), args: []string{"writer"}, code: cli.ExitAct, want: []string{"token passed", "http[1] failed", "must be denied"},
			change: func(config string) string {
				return strings.Replace(config, "bucket: backups, region: eu-de}, deny", "bucket: backups, region: eu-de, do: write}, deny", 1)
			},
		},
		"a project of Code Engine, by its name": {
			of: app, args: []string{"team/team-a", "--json"}, code: cli.ExitOK, want: []string{`"profile": "team-team-a"`, `"result": "passed"`},
		},
		"an entry without proofs proves the token only":    {of: app, args: []string{"team/team-a"}, code: cli.ExitOK, want: []string{"what the profile team-team-a may do is not proven"}},
		"a project's name is needed":                       {of: app, args: []string{"team"}, code: cli.ExitError, want: []string{"NAME/PROJECT"}},
		"an entry without trust has no profile":            {of: app, args: []string{"keyed"}, code: cli.ExitError, want: []string{"no trust"}},
		"an entry that the config does not have":           {of: app, args: []string{"nothing"}, code: cli.ExitError, want: []string{"no such entry"}},
		"a missing token file is named":                    {args: []string{"writer"}, code: cli.ExitAct, want: []string{"finding the compute resource token"}},
		"a service that does not answer leaves it unclear": {of: pod("backups"), args: []string{"writer", "--endpoint", "http://127.0.0.1:1"}, code: cli.ExitTryAgain, want: []string{"token unclear"}},
	} {
		t.Run(sentence, func(t *testing.T) {
			config, file := holesHead+writers, filepath.Join(t.TempDir(), "token")
			if tc.change != nil {
				config = tc.change(config)
			}
			token := ""
			if tc.of.CRType != "" {
				var err error
				if token, err = s.cloud.Cloud().IssueCRTokenFor(tc.of); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			all := map[string]string{"LATCHKEY_ENDPOINT": s.cloud.URL(), "LATCHKEY_CONFIG": config, "CE_PROJECT_ID": project.ID, "CE_REGION": "eu-de"}
			var out bytes.Buffer
			args := append([]string{"prove", "--token-file", file}, tc.args...)
			code := run(context.Background(), args, func(name string) string { return all[name] }, nil, &out, &out)
			said := strings.Join(strings.Fields(out.String()), " ")
			if code != tc.code {
				t.Errorf("exit %d, want %d", code, tc.code)
			}
			for _, want := range tc.want {
				if !strings.Contains(said, want) {
					t.Errorf("it does not say %q", want)
				}
			}
			if token != "" && strings.Contains(said, token) {
				t.Error("it prints the token")
			}
			if t.Failed() {
				t.Log(out.String())
			}
		})
	}
}
