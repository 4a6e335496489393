package verify

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// secrets settles what Secrets Manager answers, with two groups and a secret.
func (b *bench) secrets(ctx context.Context) error {
	if b.Secrets.Origin == "" {
		return errNoSecrets
	}
	b.removeSecrets(ctx)
	one, err := b.newGroup(ctx, b.name)
	if err != nil {
		return err
	}
	made, err := b.newSecret(ctx, b.name, one, nil)
	if err != nil {
		return err
	}
	if made.status != http.StatusCreated {
		return impossible("making a secret was answered %d", made.status)
	}
	b.group = one
	a, err := b.newSecret(ctx, b.name, one, nil)
	if err != nil {
		return err
	}
	b.settle("existingSecretStatus", a.status)
	if a, err = b.secretsCall(ctx, http.MethodDelete, "/secret_groups/"+one, nil); err != nil {
		return err
	}
	b.settle("groupWithSecretsStatus", a.status)
	if a, err = b.newSecret(ctx, strings.ReplaceAll(b.name, "-", "_"), one, nil); err != nil {
		return err
	}
	b.settle("underscoresInSecretNames", a.status == http.StatusCreated)
	two, err := b.newGroup(ctx, b.name+"-2")
	if err != nil {
		return err
	}
	if a, err = b.newSecret(ctx, b.name, two, nil); err != nil {
		return err
	}
	b.settle("secretNamesPerGroup", a.status == http.StatusCreated)
	return nil
}

const (
	errNoSecrets = impossibleError("no Secrets Manager instance was given: pass --secrets-manager")
	errNoGroup   = impossibleError("no secret group could be made")
)

// haveGroup returns why there is no secret group, or nil.
func (b *bench) haveGroup() error {
	switch {
	case b.Secrets.Origin == "":
		return errNoSecrets
	case b.group == "":
		return errNoGroup
	}
	return nil
}

// newGroup returns the ID of a new secret group.
func (b *bench) newGroup(ctx context.Context, name string) (id string, err error) {
	a, err := b.makeGroup(ctx, name)
	if err == nil && a.status != http.StatusCreated {
		err = impossible("making a secret group was answered %d", a.status)
	}
	return a.text("id"), err
}

func (b *bench) makeGroup(ctx context.Context, name string) (answer, error) {
	return b.making("secret group "+name, func() (answer, error) {
		return b.secretsCall(ctx, http.MethodPost, "/secret_groups", map[string]any{"name": name, "description": about})
	}, func(ctx context.Context, made answer) error {
		return b.dropSecret(ctx, "/secret_groups", "secret_groups", name, made)
	})
}

// newSecret makes a secret in a group: an arbitrary one, or what the fields say.
func (b *bench) newSecret(ctx context.Context, name, group string, fields map[string]any) (answer, error) {
	body := map[string]any{"secret_type": "arbitrary", "name": name, "secret_group_id": group, "description": about, "payload": "none"}
	for k, v := range fields {
		body[k] = v
	}
	if body["secret_type"] != "arbitrary" {
		delete(body, "payload")
	}
	return b.making("secret "+name, func() (answer, error) {
		return b.secretsCall(ctx, http.MethodPost, "/secrets", body)
	}, func(ctx context.Context, made answer) error {
		return b.dropSecret(ctx, "/secrets", "secrets", name, made)
	})
}

func (b *bench) secretsCall(ctx context.Context, method, path string, body any) (answer, error) {
	return b.call(ctx, b.HTTP, method, b.Secrets.Origin+"/api/v2"+path, body, "Host", b.Secrets.Host)
}

// asSecrets calls Secrets Manager as an identity.
func (b *bench) asSecrets(ctx context.Context, who identity, method, path string, body any) (answer, error) {
	return b.as(ctx, who, method, b.Secrets.Origin+"/api/v2"+path, body, "Host", b.Secrets.Host)
}

// dropSecret deletes something of Secrets Manager that was made, or everything with its
// name if the answer is not known.
func (b *bench) dropSecret(ctx context.Context, path, items, name string, made answer) error {
	if id := made.text("id"); id != "" {
		return b.dropFrom(ctx, path+"/"+id)
	}
	list, err := b.secretsCall(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	return b.removeThese(list, items, func(a answer) bool { return a.text("name") == name && a.text("description") == about }, func(a answer) error {
		return b.dropFrom(ctx, path+"/"+a.text("id"))
	})
}

// dropFrom deletes something of Secrets Manager. What is gone already is deleted, too.
// With force, custom credentials go although their provider has some: it is a stand-in.
func (b *bench) dropFrom(ctx context.Context, path string) error {
	if strings.HasPrefix(path, "/secrets/") {
		path += "?force_delete=true"
	}
	a, err := b.secretsCall(ctx, http.MethodDelete, path, nil)
	if err == nil && a.status >= 300 && a.status != http.StatusNotFound {
		return fmt.Errorf("deleting %s: status %d", path, a.status)
	}
	return err
}

// removeSecrets deletes what a verification left in Secrets Manager that was killed:
// secrets, the configuration that some belong to, the secret that it names, and groups. A
// configuration has no description.
func (b *bench) removeSecrets(ctx context.Context) {
	secrets := struct{ path, items, id string }{"/secrets", "secrets", "id"}
	for _, of := range []struct{ path, items, id string }{
		secrets, {"/configurations", "configurations", "name"}, secrets, {"/secret_groups", "secret_groups", "id"},
	} {
		list, err := b.secretsCall(ctx, http.MethodGet, of.path, nil)
		if err != nil {
			return
		}
		b.removeOld(list, of.items, func(a answer) bool { return of.id == "name" || a.text("description") == about }, func(a answer) error {
			return b.dropFrom(ctx, of.path+"/"+a.text(of.id))
		})
	}
}

// versionData finds the lowest role that may delete a version's data: that of a key which
// Secrets Manager makes for a service ID without rights.
func (b *bench) versionData(ctx context.Context) error {
	made, err := b.newIAMSecret(ctx, "key", nil)
	if err != nil {
		return err
	}
	secret := "/secrets/" + made.text("id")
	own := func(role string) string { return "crn:v1:bluemix:public:secrets-manager::::serviceRole:" + role }
	for _, role := range []struct {
		name string
		crns []string
	}{
		{"Reader", []string{reader}}, {"SecretsReader", []string{own("SecretsReader")}},
		{"SecretTaskUpdater", []string{reader, own("SecretTaskUpdater")}}, // Reader alone was refused
		{"Writer", []string{writer}}, {"Manager", []string{manager}},
	} {
		who, err := b.newIdentity(ctx, strings.ToLower(role.name), b.inGroup(), role.crns...)
		if err != nil {
			return err
		}
		a, err := b.allowed(ctx, func() (answer, error) {
			return b.asSecrets(ctx, who, http.MethodGet, secret+"/metadata", nil)
		}, func() (answer, error) {
			return b.asSecrets(ctx, who, http.MethodDelete, secret+"/versions/current/secret_data", nil)
		})
		switch {
		case err != nil:
			return err
		case a.status < 300:
			b.settle("versionDataDeleteRole", role.name)
			return nil
		case a.status != http.StatusForbidden:
			return impossible("deleting a version's data as %s was answered %d", role.name, a.status)
		}
	}
	return impossible("no role of a service ID may delete a version's data")
}

// inGroup has the attributes of a policy on the throw-away secret group.
func (b *bench) inGroup() []string {
	return []string{"serviceName", "secrets-manager", "serviceInstance", b.Secrets.Instance, "resourceType", "secret-group", "resource", b.group}
}

// newIAMSecret makes a secret whose key Secrets Manager makes for a new service ID, which
// has the roles on what the pairs of on name, if there are any.
func (b *bench) newIAMSecret(ctx context.Context, suffix string, on []string, roles ...string) (answer, error) {
	if err := b.haveGroup(); err != nil {
		return answer{}, err
	}
	owner, err := b.newServiceID(ctx, b.name+"-"+suffix)
	if err != nil {
		return owner, err
	}
	if owner.status != http.StatusCreated {
		return owner, impossible("making a second service ID was answered %d", owner.status)
	}
	if len(roles) > 0 {
		granted, err := b.call(ctx, b.HTTP, http.MethodPost, b.IAM+"/v2/policies", b.grant(owner.text("iam_id"), on, roles...))
		if err != nil {
			return granted, err
		}
		if granted.status != http.StatusCreated {
			return granted, impossible("granting %s on %s was answered %d", names(roles), on[1], granted.status)
		}
	}
	made, err := b.newSecret(ctx, b.name+"-"+suffix, b.group, map[string]any{
		"secret_type": "iam_credentials", "service_id": owner.text("id"), "reuse_api_key": true, "ttl": "1h",
	})
	if err == nil && made.status != http.StatusCreated {
		err = impossible("making a secret of the type iam_credentials was answered %d", made.status)
	}
	return made, err
}

// Bounds of waiting for Secrets Manager and for Code Engine, which take minutes.
const (
	expiresIn = 2 * time.Minute
	slowly    = 10 * time.Minute
	destroyed = 5 // the state of a secret
)

// expired makes a secret that expires in two minutes, and changes it then.
func (b *bench) expired(ctx context.Context) error {
	if err := b.haveGroup(); err != nil {
		return err
	}
	made, err := b.newSecret(ctx, b.name+"-expires", b.group, map[string]any{"expiration_date": b.Now().Add(expiresIn).UTC().Format(time.RFC3339)})
	switch {
	case err != nil:
		return err
	case made.status != http.StatusCreated:
		return impossible("making a secret that expires in two minutes was answered %d", made.status)
	}
	b.say("waiting until a secret has expired")
	at := "/secrets/" + made.text("id")
	_, gone, err := b.await(ctx, expiresIn+slowly, func() (bool, answer, error) {
		a, err := b.secretsCall(ctx, http.MethodGet, at+"/metadata", nil)
		state, _ := a.body["state"].(float64)
		return state == destroyed, a, err
	})
	if err != nil {
		return err
	}
	if !gone {
		return impossible("a secret was not destroyed ten minutes after it had expired")
	}
	a, err := b.secretsCall(ctx, http.MethodPost, at+"/versions", map[string]any{"payload": "none"})
	if err == nil {
		b.settle("destroyedSecretStatus", a.status)
	}
	return err
}

// custom makes custom credentials whose provider is a job that does nothing: a second
// service ID reports the ends of its tasks.
func (b *bench) custom(ctx context.Context) error {
	if err := b.haveGroup(); err != nil {
		return err
	}
	if b.made == "" {
		return errNoNewProject
	}
	secret, err := b.newCustomSecret(ctx)
	if err != nil {
		return err
	}
	updater, err := b.newIdentity(ctx, "updater", b.inGroup(), reader, "crn:v1:bluemix:public:secrets-manager::::serviceRole:SecretTaskUpdater")
	if err != nil {
		return err
	}
	if err := b.endTask(ctx, secret, updater, map[string]any{
		"status": "credentials_created", "credentials": map[string]any{"id": b.name, "payload": map[string]any{"value": "none"}},
	}); err != nil {
		return err
	}
	rotate := func() (answer, error) {
		return b.secretsCall(ctx, http.MethodPost, secret+"/versions", map[string]any{})
	}
	a, err := rotate()
	if err != nil {
		return err
	}
	if a.status >= 300 {
		return impossible("rotating custom credentials was answered %d", a.status)
	}
	if a, err = rotate(); err != nil {
		return err
	}
	b.settle("busySecretStatus", a.status)
	if err := b.endTask(ctx, secret, updater, map[string]any{
		"status": "failed", "errors": []any{map[string]any{"code": "none", "description": about}},
	}); err != nil {
		return err
	}
	if a, err = b.secretsCall(ctx, http.MethodDelete, secret, nil); err != nil {
		return err
	}
	b.settle("undeletedCredentialsStatus", a.status)
	return nil
}

// newCustomSecret makes a job that is a provider, its configuration, and a secret of it.
func (b *bench) newCustomSecret(ctx context.Context) (path string, err error) {
	job, err := b.inMade(ctx, http.MethodPost, "/jobs", map[string]any{
		"name": b.name, "image_reference": image, "scale_cpu_limit": "0.125", "scale_memory_limit": "250M",
		"run_env_variables": []any{map[string]any{"type": "literal", "name": "SMOUT_VALUE", "value": "type:string, required:true"}},
	})
	if err != nil {
		return "", err
	}
	if job.status >= 300 {
		return "", impossible("making a job was answered %d", job.status)
	}
	starter, err := b.newIAMSecret(ctx, "starter", []string{"serviceName", "codeengine", "serviceInstance", b.made}, viewer, writer)
	if err != nil {
		return "", err
	}
	configuration, err := b.making("configuration "+b.name, func() (answer, error) {
		return b.secretsCall(ctx, http.MethodPost, "/configurations", map[string]any{
			"config_type": "custom_credentials_configuration", "name": b.name, "api_key_ref": starter.text("id"), "task_timeout": "5m",
			"code_engine": map[string]any{"project_id": b.made, "job_name": b.name, "region": b.NewProject.Region},
		})
	}, func(ctx context.Context, _ answer) error { return b.dropFrom(ctx, "/configurations/"+b.name) })
	if err != nil {
		return "", err
	}
	if configuration.status >= 300 {
		return "", impossible("making a configuration of custom credentials was answered %d", configuration.status)
	}
	made, err := b.newSecret(ctx, b.name+"-custom", b.group, map[string]any{"secret_type": "custom_credentials", "configuration": b.name})
	if err != nil {
		return "", err
	}
	if made.status >= 300 {
		return "", impossible("making custom credentials was answered %d", made.status)
	}
	return "/secrets/" + made.text("id"), nil
}

// endTask reports the end of the task that is under way.
func (b *bench) endTask(ctx context.Context, secret string, updater identity, end map[string]any) error {
	list, err := b.secretsCall(ctx, http.MethodGet, secret+"/tasks", nil)
	if err != nil {
		return err
	}
	tasks, _ := list.body["tasks"].([]any)
	i := slices.IndexFunc(tasks, func(t any) bool { return asMap(t)["status"] == "processing" })
	if i < 0 {
		return impossible("custom credentials have no task under way: their list was answered %d", list.status)
	}
	a, err := b.allowed(ctx, func() (answer, error) {
		return b.asSecrets(ctx, updater, http.MethodGet, secret+"/metadata", nil)
	}, func() (answer, error) {
		return b.asSecrets(ctx, updater, http.MethodPut, secret+"/tasks/"+answer{body: asMap(tasks[i])}.text("id"), end)
	})
	if err == nil && a.status >= 300 {
		err = impossible("reporting the end of a task was answered %d", a.status)
	}
	return err
}
