package provider_test

import (
	"maps"
	"reflect"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/internal/provider"
	"github.com/latchkey-io/latchkey/internal/secretsmanager"
)

const instance = "c4a7e2f0-6d15-4b98-9e3a-7f20d1c8b546"

// environment is what Secrets Manager starts a job run with.
func environment(change map[string]string) func(string) string {
	env := map[string]string{
		"SM_ACTION": "create_credentials", "SM_INSTANCE_URL": "https://" + instance + ".eu-de.secrets-manager.appdomain.cloud",
		"SM_SECRET_GROUP_ID": "group-1", "SM_SECRET_ID": "secret-1", "SM_SECRET_TASK_ID": "sm-task-1", "SM_SERVICE_ID_VALUE": serviceID,
		"SMOUT_APIKEY": "type:string, required:true",
	}
	maps.Copy(env, change)
	return func(name string) string { return env[name] }
}

func TestARequestIsReadFromTheEnvironment(t *testing.T) {
	for name, tc := range map[string]struct {
		change map[string]string
		want   func(r *provider.Request)
	}{
		"to create": {},
		"to create, with all outputs": {
			change: map[string]string{"SMOUT_ID": "type:string", "SMOUT_SERVICE_ID": "type:string"},
			want: func(r *provider.Request) {
				r.Outputs = []string{secretsmanager.IDOutput, secretsmanager.ServiceIDOutput}
			},
		},
		"to create, in the other spelling of a parameter": {
			change: map[string]string{"SM_SERVICE_ID_VALUE": "", "SMIN_SERVICE_ID_VALUE": serviceID},
		},
		"to create, in both spellings": {change: map[string]string{"SMIN_SERVICE_ID_VALUE": "ServiceId-2"}},
		"to create, for a service ID that is checked later": {
			change: map[string]string{"SM_SERVICE_ID_VALUE": "billing"}, want: func(r *provider.Request) { r.ServiceID = "billing" },
		},
		"to delete": {
			change: map[string]string{"SM_ACTION": "delete_credentials", "SM_CREDENTIALS_ID": "ApiKey-1", "SM_SERVICE_ID_VALUE": ""},
			want: func(r *provider.Request) {
				r.Action, r.Key, r.ServiceID = secretsmanager.DeleteCredentials, "ApiKey-1", ""
			},
		},
		"of a private address": {
			change: map[string]string{"SM_INSTANCE_URL": "https://" + strings.ToUpper(instance) + ".private.us-south.secrets-manager.appdomain.cloud"},
			want:   func(r *provider.Request) { r.Region = "us-south" },
		},
	} {
		t.Run(name, func(t *testing.T) {
			want := provider.Request{
				Action: secretsmanager.CreateCredentials, Instance: instance, Region: "eu-de", Group: "group-1",
				Secret: "secret-1", Task: "sm-task-1", ServiceID: serviceID,
			}
			if tc.want != nil {
				tc.want(&want)
			}
			got, err := provider.ReadRequest(environment(tc.change))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

func TestARequestThatNoTaskMakesIsRejected(t *testing.T) {
	for name, tc := range map[string]struct{ variable, value string }{
		"no action":                     {"SM_ACTION", ""},
		"another action":                {"SM_ACTION", "rotate"},
		"no secret":                     {"SM_SECRET_ID", ""},
		"a secret that is a path":       {"SM_SECRET_ID", "../secrets"},
		"a secret with a slash":         {"SM_SECRET_ID", "a/b"},
		"no task":                       {"SM_SECRET_TASK_ID", ""},
		"a task that is too long":       {"SM_SECRET_TASK_ID", strings.Repeat("x", 101)},
		"a task that begins with a -":   {"SM_SECRET_TASK_ID", "-x"},
		"no instance":                   {"SM_INSTANCE_URL", ""},
		"an instance on another host":   {"SM_INSTANCE_URL", "https://example.com"},
		"an instance without https":     {"SM_INSTANCE_URL", "http://" + instance + ".eu-de.secrets-manager.appdomain.cloud"},
		"an instance with a longer TLD": {"SM_INSTANCE_URL", "https://" + instance + ".eu-de.secrets-manager.appdomain.cloud.example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := provider.ReadRequest(environment(map[string]string{tc.variable: tc.value}))
			if err == nil || !strings.Contains(err.Error(), tc.variable) {
				t.Errorf("error %v, want one that names %s", err, tc.variable)
			}
		})
	}
}
