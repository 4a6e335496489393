package emulator

import (
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

// family is a service, or a part of one, whose routes share a format of errors.
type family struct {
	unauthenticated string // code of a 401; empty if the handler checks the token
	badBody         string // code of a 400 for a body or query that is not valid
}

var (
	familyToken         = &family{}
	familyIdentity      = &family{"invalid_access_token", "validation_error"}
	familyPolicy        = &family{"invalid_token", "invalid_body"}
	familyGroup         = &family{"invalid_token", "invalid_body"}
	familyCodeEngine    = &family{"unauthorized", "bad_request"}
	familyLogs          = &family{"", "bad_request"}
	familySecrets       = &family{"unauthorized", "bad_request"}
	familyNotifications = &family{"unauthorized", "bad_request"}
	familyUnknown       = &family{}
)

// route is one emulated operation. Its pattern is that of [http.ServeMux].
type route struct {
	method  string
	pattern string
	family  *family
	handle  func(*Server, *call) (answer, error)
}

var routes = slices.Concat([]route{
	{"GET", "/identity/keys", familyToken, (*Server).keys},
	{"POST", "/identity/token", familyToken, (*Server).token},

	{"GET", "/v1/serviceids", familyIdentity, (*Server).listServiceIDs},
	{"POST", "/v1/serviceids", familyIdentity, (*Server).createServiceID},
	{"GET", "/v1/serviceids/{id}", familyIdentity, (*Server).getServiceID},
	{"PUT", "/v1/serviceids/{id}", familyIdentity, (*Server).updateServiceID},
	{"DELETE", "/v1/serviceids/{id}", familyIdentity, (*Server).deleteServiceID},
	{"POST", "/v1/serviceids/{id}/lock", familyIdentity, (*Server).lockServiceID},
	{"DELETE", "/v1/serviceids/{id}/lock", familyIdentity, (*Server).lockServiceID},
	{"GET", "/v1/accounts/{account}/limits/identity", familyIdentity, (*Server).limits},
	{"POST", "/v1/accounts/{account}/limits/identity", familyIdentity, (*Server).bulkLimits},
	{"GET", "/v1/accounts/{account}/settings/identity", familyIdentity, (*Server).getAccountSettings},
	{"PUT", "/v1/accounts/{account}/settings/identity", familyIdentity, (*Server).updateAccountSettings},
	{"GET", "/v1/accounts/{account}/effective_settings/identity", familyIdentity, (*Server).getEffectiveSettings},

	{"POST", "/v1/activity/accounts/{account}/report", familyIdentity, (*Server).createReport},
	{"GET", "/v1/activity/accounts/{account}/report/{reference}", familyIdentity, (*Server).getReport},

	{"GET", "/v1/serviceid_groups", familyIdentity, (*Server).listIDGroups},
	{"POST", "/v1/serviceid_groups", familyIdentity, (*Server).createIDGroup},
	{"GET", "/v1/serviceid_groups/{id}", familyIdentity, (*Server).getIDGroup},
	{"PUT", "/v1/serviceid_groups/{id}", familyIdentity, (*Server).updateIDGroup},
	{"DELETE", "/v1/serviceid_groups/{id}", familyIdentity, (*Server).deleteIDGroup},

	{"GET", "/v1/apikeys", familyIdentity, (*Server).listKeys},
	{"POST", "/v1/apikeys", familyIdentity, (*Server).createKey},
	{"GET", "/v1/apikeys/details", familyIdentity, (*Server).keyDetails},
	{"GET", "/v1/apikeys/{id}", familyIdentity, (*Server).getKey},
	{"PUT", "/v1/apikeys/{id}", familyIdentity, (*Server).updateKey},
	{"DELETE", "/v1/apikeys/{id}", familyIdentity, (*Server).deleteKey},
	{"POST", "/v1/apikeys/{id}/lock", familyIdentity, (*Server).lockKey},
	{"DELETE", "/v1/apikeys/{id}/lock", familyIdentity, (*Server).lockKey},
	{"POST", "/v1/apikeys/{id}/disable", familyIdentity, (*Server).disableKey},
	{"DELETE", "/v1/apikeys/{id}/disable", familyIdentity, (*Server).disableKey},

	{"GET", "/v2/policies", familyPolicy, (*Server).listPolicies},
	{"POST", "/v2/policies", familyPolicy, (*Server).createPolicy},
	{"GET", "/v2/policies/{id}", familyPolicy, (*Server).getPolicy},
	{"PUT", "/v2/policies/{id}", familyPolicy, (*Server).replacePolicy},
	{"DELETE", "/v2/policies/{id}", familyPolicy, (*Server).deletePolicy},
	{"GET", "/v1/policies", familyPolicy, (*Server).listPolicies},
	{"POST", "/v1/policies", familyPolicy, (*Server).createV1Policy},
	{"GET", "/v1/policies/{id}", familyPolicy, (*Server).getV1Policy},
	{"PUT", "/v1/policies/{id}", familyPolicy, (*Server).replaceV1Policy},
	{"PATCH", "/v1/policies/{id}", familyPolicy, (*Server).patchV1Policy},
	{"DELETE", "/v1/policies/{id}", familyPolicy, (*Server).deletePolicy},

	{"GET", "/v2/groups", familyGroup, (*Server).listGroups},
	{"POST", "/v2/groups", familyGroup, (*Server).createGroup},
	{"GET", "/v2/groups/{group}", familyGroup, (*Server).getGroup},
	{"PATCH", "/v2/groups/{group}", familyGroup, (*Server).updateGroup},
	{"DELETE", "/v2/groups/{group}", familyGroup, (*Server).deleteGroup},
	{"GET", "/v2/groups/{group}/members", familyGroup, (*Server).listMembers},
	{"PUT", "/v2/groups/{group}/members", familyGroup, (*Server).addMembers},
	{"POST", "/v2/groups/{group}/members/delete", familyGroup, (*Server).removeMembers},
	{"PUT", "/v2/groups/_allgroups/members/{member}", familyGroup, (*Server).joinGroups},
	{"DELETE", "/v2/groups/_allgroups/members/{member}", familyGroup, (*Server).leaveGroups},
	{"HEAD", "/v2/groups/{group}/members/{member}", familyGroup, (*Server).isMember},
	{"DELETE", "/v2/groups/{group}/members/{member}", familyGroup, (*Server).removeMember},

	{"GET", "/v2/roles", familyPolicy, (*Server).listRoles},
	{"POST", "/v2/roles", familyPolicy, (*Server).createRole},
	{"GET", "/v2/roles/{id}", familyPolicy, (*Server).getRole},
	{"PUT", "/v2/roles/{id}", familyPolicy, (*Server).replaceRole},
	{"DELETE", "/v2/roles/{id}", familyPolicy, (*Server).deleteRole},
	{"GET", "/v1/accounts/{account}/settings/access_management", familyPolicy, (*Server).getAccessSettings},
	{"PATCH", "/v1/accounts/{account}/settings/access_management", familyPolicy, (*Server).updateAccessSettings},

	{"GET", "/v2/projects", familyCodeEngine, (*Server).listProjects},
	{"POST", "/v2/projects", familyCodeEngine, (*Server).createProject},
	{"GET", "/v2/projects/{project}", familyCodeEngine, (*Server).getProject},
	{"DELETE", "/v2/projects/{project}", familyCodeEngine, (*Server).deleteProject},
	{"GET", "/v2/projects/{project}/egress_ips", familyCodeEngine, (*Server).egressIPs},
	{"GET", "/v2/projects/{project}/status_details", familyCodeEngine, (*Server).projectStatus},
	{"GET", "/v2/projects/{project}/secrets", familyCodeEngine, (*Server).listSecrets},
	{"POST", "/v2/projects/{project}/secrets", familyCodeEngine, (*Server).createSecret},
	{"GET", "/v2/projects/{project}/secrets/{name}", familyCodeEngine, (*Server).getSecret},
	{"PUT", "/v2/projects/{project}/secrets/{name}", familyCodeEngine, (*Server).replaceSecret},
	{"DELETE", "/v2/projects/{project}/secrets/{name}", familyCodeEngine, (*Server).deleteSecret},
	{"GET", "/v2/projects/{project}/apps", familyCodeEngine, (*Server).listApps},
	{"POST", "/v2/projects/{project}/apps", familyCodeEngine, (*Server).createApp},
	{"GET", "/v2/projects/{project}/apps/{name}", familyCodeEngine, (*Server).getApp},
	{"PATCH", "/v2/projects/{project}/apps/{name}", familyCodeEngine, (*Server).updateApp},
	{"DELETE", "/v2/projects/{project}/apps/{name}", familyCodeEngine, (*Server).deleteApp},
	{"GET", "/v2/projects/{project}/apps/{name}/revisions", familyCodeEngine, (*Server).listRevisions},
	{"GET", "/v2/projects/{project}/apps/{name}/revisions/{revision}", familyCodeEngine, (*Server).getRevision},
	{"DELETE", "/v2/projects/{project}/apps/{name}/revisions/{revision}", familyCodeEngine, (*Server).deleteRevision},

	{"POST", "/logs/v1/singles", familyLogs, (*Server).singles},

	{"GET", "/v2/resource_instances", familyCodeEngine, (*Server).listInstances},

	{"POST", "/event-notifications/v1/instances/{instance}/notifications", familyNotifications, (*Server).sendNotification},
	{"POST", "/v1/instances/{instance}/notifications", familyNotifications, (*Server).sendNotification},

	{"GET", "/api/v2/secret_groups", familySecrets, (*Server).listSecretGroups},
	{"POST", "/api/v2/secret_groups", familySecrets, (*Server).createSecretGroup},
	{"GET", "/api/v2/secret_groups/{group}", familySecrets, (*Server).getSecretGroup},
	{"PATCH", "/api/v2/secret_groups/{group}", familySecrets, (*Server).updateSecretGroup},
	{"DELETE", "/api/v2/secret_groups/{group}", familySecrets, (*Server).deleteSecretGroup},
	{"GET", "/api/v2/secret_groups/{group}/secret_types/{type}/secrets/{name}", familySecrets, (*Server).managedSecretByName},

	{"GET", "/api/v2/secrets", familySecrets, (*Server).listManagedSecrets},
	{"POST", "/api/v2/secrets", familySecrets, (*Server).createManagedSecret},
	{"GET", "/api/v2/secrets/{secret}", familySecrets, (*Server).getManagedSecret},
	{"DELETE", "/api/v2/secrets/{secret}", familySecrets, (*Server).deleteManagedSecret},
	{"GET", "/api/v2/secrets/{secret}/metadata", familySecrets, (*Server).managedSecretMetadata},
	{"PATCH", "/api/v2/secrets/{secret}/metadata", familySecrets, (*Server).updateManagedSecret},
	{"POST", "/api/v2/secrets/{secret}/actions", familySecrets, (*Server).createSecretAction},

	{"GET", "/api/v2/secrets/{secret}/versions", familySecrets, (*Server).listSecretVersions},
	{"POST", "/api/v2/secrets/{secret}/versions", familySecrets, (*Server).createSecretVersion},
	{"GET", "/api/v2/secrets/{secret}/versions/{version}", familySecrets, (*Server).getSecretVersion},
	{"DELETE", "/api/v2/secrets/{secret}/versions/{version}/secret_data", familySecrets, (*Server).deleteSecretVersionData},
	{"GET", "/api/v2/secrets/{secret}/versions/{version}/metadata", familySecrets, (*Server).secretVersionMetadata},
	{"PATCH", "/api/v2/secrets/{secret}/versions/{version}/metadata", familySecrets, (*Server).updateSecretVersionMetadata},
	{"POST", "/api/v2/secrets/{secret}/versions/{version}/actions", familySecrets, (*Server).createSecretAction},

	{"GET", "/api/v2/secrets_locks", familySecrets, (*Server).listSecretsLocks},
	{"GET", "/api/v2/secrets/{secret}/locks", familySecrets, (*Server).listSecretLocks},
	{"POST", "/api/v2/secrets/{secret}/locks_bulk", familySecrets, (*Server).createSecretLocks},
	{"DELETE", "/api/v2/secrets/{secret}/locks_bulk", familySecrets, (*Server).deleteSecretLocks},
	{"GET", "/api/v2/secrets/{secret}/versions/{version}/locks", familySecrets, (*Server).listSecretLocks},
	{"POST", "/api/v2/secrets/{secret}/versions/{version}/locks_bulk", familySecrets, (*Server).createSecretLocks},
	{"DELETE", "/api/v2/secrets/{secret}/versions/{version}/locks_bulk", familySecrets, (*Server).deleteSecretLocks},

	{"GET", "/api/v2/secrets/{secret}/tasks", familySecrets, (*Server).listSecretTasks},
	{"GET", "/api/v2/secrets/{secret}/tasks/{task}", familySecrets, (*Server).getSecretTask},
	{"PUT", "/api/v2/secrets/{secret}/tasks/{task}", familySecrets, (*Server).replaceSecretTask},
	{"DELETE", "/api/v2/secrets/{secret}/tasks/{task}", familySecrets, (*Server).deleteSecretTask},

	{"GET", "/api/v2/configurations", familySecrets, (*Server).listEngines},
	{"POST", "/api/v2/configurations", familySecrets, (*Server).createEngine},
	{"GET", "/api/v2/configurations/{name}", familySecrets, (*Server).getEngine},
	{"PATCH", "/api/v2/configurations/{name}", familySecrets, (*Server).updateEngine},
	{"DELETE", "/api/v2/configurations/{name}", familySecrets, (*Server).deleteEngine},
	{"POST", "/api/v2/configurations/{name}/actions", familySecrets, (*Server).createEngineAction},

	{"GET", "/api/v2/notifications/registration", familySecrets, (*Server).getRegistration},
	{"POST", "/api/v2/notifications/registration", familySecrets, (*Server).createRegistration},
	{"DELETE", "/api/v2/notifications/registration", familySecrets, (*Server).deleteRegistration},
	{"GET", "/api/v2/notifications/registration/test", familySecrets, (*Server).testRegistration},
},
	profileRoutes,
	idpRoutes,
	userRoutes,
	templateRoutes(cloud.PolicyTemplates),
	templateRoutes(cloud.ActionControlTemplates),
	templateRoutes(cloud.RoleTemplates),
	templateRoutes(cloud.ProfileTemplates),
	templateRoutes(cloud.SettingsTemplates),
	workloadRoutes(cloud.ConfigMaps, "PUT", 201),
	workloadRoutes(cloud.Jobs, "PATCH", 201),
	workloadRoutes(cloud.JobRuns, "", 202),
	workloadRoutes(cloud.Functions, "PATCH", 201),
	workloadRoutes(cloud.Builds, "PATCH", 201),
	workloadRoutes(cloud.BuildRuns, "", 202),
	workloadRoutes(cloud.Bindings, "", 201),
	workloadRoutes(cloud.DomainMappings, "PATCH", 201),
)

// notEmulated answers every request that no route matches.
var notEmulated = route{pattern: "*", family: familyUnknown, handle: func(*Server, *call) (answer, error) {
	return answer{}, &cloud.Error{Status: 501, Code: "not_emulated", Message: "The emulator does not know this operation."}
}}

// newMux returns the emulated API. A trailing slash makes no difference: the
// SDK sends one with service IDs. A HEAD request matches a route of its own only.
func (s *Server) newMux() *http.ServeMux {
	mux := http.NewServeMux()
	for _, rt := range routes {
		handle := func(w http.ResponseWriter, r *http.Request) {
			if r.Method == rt.method {
				s.answer(w, r, rt)
			} else {
				s.answer(w, r, notEmulated)
			}
		}
		mux.HandleFunc(rt.method+" "+rt.pattern, handle)
		mux.HandleFunc(rt.method+" "+rt.pattern+"/{$}", handle)
	}
	mux.HandleFunc(tokenMethods.pattern, func(w http.ResponseWriter, r *http.Request) { s.answer(w, r, tokenMethods) })
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { s.answer(w, r, notEmulated) })
	return mux
}

// serve answers one request to the control API or to an emulated service.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.calls.Add(1)
	defer s.calls.Done()
	now := s.Now()
	w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
	w.Header().Set("Emulator-Offset", time.Until(now).Round(time.Millisecond).String()) // from this machine's clock
	if rest, ok := strings.CutPrefix(r.URL.Path, "/emulator/"); ok {
		s.control(w, r, rest)
		return
	}
	if rt, ok := dataRoute(r); ok {
		s.answer(w, r, rt)
		return
	}
	// The mux redirects such paths; IBM's services do not.
	if p := r.URL.EscapedPath(); path.Clean(p) != strings.TrimSuffix(p, "/") {
		s.answer(w, r, notEmulated)
		return
	}
	s.mux.ServeHTTP(w, r)
}
