package upstream

import "net/http"

const (
	get, put, post, patch, remove = http.MethodGet, http.MethodPut, http.MethodPost, http.MethodPatch, http.MethodDelete
)

// Routes of each API. An answer's members are those that latchkey relies on.
var (
	iamRoutes = []Route{
		{Method: get, Path: "/v1/apikeys", Has: []string{"apikeys[].id"}},
		{Method: post, Path: "/v1/apikeys", Has: []string{"id"}},
		{Method: get, Path: "/v1/apikeys/details", Has: []string{"id"}, Anyone: true}, // the key of a value
		{Method: get, Path: "/v1/apikeys/{id}", Has: []string{"id"}},
		{Method: put, Path: "/v1/apikeys/{id}", Has: []string{"id"}},
		{Method: remove, Path: "/v1/apikeys/*", Empty: true},
		{Method: post, Path: "/v1/apikeys/*/disable", Empty: true},
		{Method: remove, Path: "/v1/apikeys/*/disable", Empty: true},
		{Method: get, Path: "/v1/serviceids", Has: []string{"serviceids[].id"}},
		{Method: post, Path: "/v1/serviceids", Has: []string{"id"}},
		{Method: get, Path: "/v1/serviceids/{id}", Has: []string{"id"}},
		{Method: put, Path: "/v1/serviceids/{id}", Has: []string{"id"}},
		{Method: remove, Path: "/v1/serviceids/*", Empty: true},
		{Method: get, Path: "/v1/serviceid_groups", Has: []string{"serviceid_groups[].id"}},
		{Method: get, Path: "/v1/profiles", Has: []string{"profiles[].id"}},
		{Method: post, Path: "/v1/profiles", Has: []string{"id"}},
		{Method: get, Path: "/v1/profiles/{id}", Has: []string{"id"}},
		{Method: remove, Path: "/v1/profiles/*", Empty: true},
		{Method: get, Path: "/v1/profiles/*/links", Has: []string{"links[].id"}},
		{Method: post, Path: "/v1/profiles/*/links", Has: []string{"id"}},
		{Method: get, Path: "/v1/accounts/{account_id}/settings/identity", Has: []string{"account_id"}},
		{Method: get, Path: "/v2/policies", Has: []string{"policies[].id"}},
		{Method: post, Path: "/v2/policies", Has: []string{"id"}},
		{Method: get, Path: "/v2/policies/{id}", Has: []string{"id"}},
		{Method: put, Path: "/v2/policies/{id}", Has: []string{"id"}},
		{Method: remove, Path: "/v2/policies/*", Empty: true},
		{Method: get, Path: "/v2/roles", Has: []string{"system_roles[].crn"}},
		{Method: get, Path: "/v2/groups", Has: []string{"groups[].id"}},
		{Method: put, Path: "/v2/groups/*/members", Has: []string{"members[].iam_id"}},
	}
	codeEngineRoutes = []Route{
		{Method: get, Path: "/v2/projects", Has: []string{"projects[].id"}},
		{Method: get, Path: "/v2/projects/{id}", Has: []string{"id"}},
		{Method: get, Path: "/v2/projects/{project_id}/secrets", Has: []string{"secrets[].name"}},
		{Method: post, Path: "/v2/projects/{project_id}/secrets", Has: []string{"entity_tag"}},
		{Method: get, Path: "/v2/projects/{project_id}/secrets/{name}", Has: []string{"entity_tag"}},
		{Method: put, Path: "/v2/projects/{project_id}/secrets/{name}", Has: []string{"entity_tag"}},
		{Method: remove, Path: "/v2/projects/*/secrets/*", Free: true},
		{Method: get, Path: "/v2/projects/{project_id}/apps", Has: []string{"apps[].name"}},
		{Method: get, Path: "/v2/projects/{project_id}/apps/{name}", Has: []string{"entity_tag"}},
		{Method: patch, Path: "/v2/projects/{project_id}/apps/{name}", Has: []string{"entity_tag"}},
		{Method: get, Path: "/v2/projects/{project_id}/apps/{app_name}/revisions", Has: []string{"revisions[].name"}},
		{Method: get, Path: "/v2/projects/{project_id}/apps/{app_name}/revisions/{name}", Has: []string{"name"}},
		{Method: get, Path: "/v2/projects/{project_id}/jobs", Has: []string{"jobs[].name"}},
	}
	secretsManagerRoutes = []Route{
		{Method: get, Path: "/api/v2/secret_groups", Has: []string{"secret_groups[].id"}},
		{Method: get, Path: "/api/v2/secrets", Has: []string{"secrets[].id"}},
		{Method: post, Path: "/api/v2/secrets", Has: []string{"id"}},
		{Method: remove, Path: "/api/v2/secrets/*", Empty: true},
		{Method: get, Path: "/api/v2/secrets/{id}/metadata", Has: []string{"id"}},
		{Method: patch, Path: "/api/v2/secrets/{id}/metadata", Has: []string{"id"}},
		{Method: post, Path: "/api/v2/secrets/{secret_id}/versions", Has: []string{"id"}},
		{Method: get, Path: "/api/v2/secrets/{secret_id}/versions/*", Has: []string{"id"}},
		{Method: get, Path: "/api/v2/secrets/{secret_id}/versions/*/metadata", Has: []string{"id"}},
		{Method: get, Path: "/api/v2/secrets/{secret_id}/locks", Has: []string{"locks[].name"}},
		{Method: post, Path: "/api/v2/secrets/{secret_id}/versions/*/locks_bulk", Has: []string{"secret_id"}},
		{Method: remove, Path: "/api/v2/secrets/{secret_id}/versions/*/locks_bulk", Has: []string{"secret_id"}, Empty: true},
		{Method: get, Path: "/api/v2/secrets/{secret_id}/tasks/{id}", Has: []string{"type", "status"}},
		{Method: put, Path: "/api/v2/secrets/{secret_id}/tasks/{id}", Has: []string{"status"}},
	}
	kubernetesRoutes = []Route{
		{Method: get, Path: "/api/v1/namespaces/{metadata.namespace}/secrets/{metadata.name}", Has: []string{"metadata.name"}},
		{Method: get, Path: "/api/v1/namespaces/{metadata.namespace}/secrets", Has: []string{"items[].metadata"}},
		{Method: post, Path: "/api/v1/namespaces/{metadata.namespace}/secrets", Has: []string{"metadata.name"}},
		{Method: patch, Path: "/api/v1/namespaces/{metadata.namespace}/secrets/{metadata.name}", Has: []string{"metadata.name"}},
		{Method: remove, Path: "/api/v1/namespaces/*/secrets/*", Has: []string{"kind"}},
		{Method: get, Path: "/apis/apps/v1/namespaces/{metadata.namespace}/*", Has: []string{"items[].metadata"}},
		{Method: get, Path: "/apis/apps/v1/namespaces/{metadata.namespace}/*/{metadata.name}", Has: []string{"metadata.name"}},
		{Method: patch, Path: "/apis/apps/v1/namespaces/{metadata.namespace}/*/{metadata.name}", Has: []string{"metadata.name"}},
		{Method: get, Path: "/api/v1/nodes", Has: []string{"items[].metadata"}},
	}
)
