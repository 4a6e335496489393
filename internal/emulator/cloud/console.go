package cloud

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// The methods in this file change the account as an administrator would in the
// console. They check no policy and need no entity tag. Their changes are
// visible at once, except that a removed key stays for the lags. An unknown ID
// is a bug in the test or simulation and panics.

func must[T any](v *T, ok bool, kind, id string) *T {
	if !ok || v == nil {
		panic(fmt.Sprintf("emulated cloud: unknown %s %q", kind, id))
	}
	return v
}

func (c *Cloud) keyAt(id string) *apiKey {
	k, ok := c.keys[id]
	return must(k, ok, "API key", id)
}

func (c *Cloud) projectAt(id string) *project {
	p, ok := c.projects[id]
	return must(p, ok, "project", id)
}

// AddServiceID adds a service ID.
func (c *Cloud) AddServiceID(n NewServiceID) ServiceID {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.putServiceID(OwnerIAMID, n).copy(false)
}

// AddAPIKey adds a key without checking limits.
func (c *Cloud) AddAPIKey(n NewAPIKey) APIKey {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.putKey(OwnerIAMID, n).copy(false)
}

// AddIdentity adds a service ID with one key and no policy.
func (c *Cloud) AddIdentity(name string) (ServiceID, APIKey) {
	s := c.AddServiceID(NewServiceID{Name: name})
	return s, c.AddAPIKey(NewAPIKey{Name: name, IAMID: s.IAMID})
}

// AddUser adds a user without policies.
func (c *Cloud) AddUser(email string) User {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.putUser(email)
}

func (c *Cloud) putUser(email string) User {
	u := User{IAMID: fmt.Sprintf("IBMid-27%08d", len(c.users)+2), Email: email}
	c.users[u.IAMID] = u
	return u
}

// AddProfile adds a trusted profile without policies.
func (c *Cloud) AddProfile(name string) Profile {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.putProfile(OwnerIAMID, NewProfile{Name: name}).copy(false)
}

// Grant gives an identity roles on all instances of a service. Roles are CRNs.
func (c *Cloud) Grant(iamID, service string, roles ...string) Policy {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.grant(iamID, service, roles...).copy()
}

// Revoke removes all policies of an identity on a service and returns their
// number.
func (c *Cloud) Revoke(iamID, service string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, p := range slices.Clone(c.policiesBySubject[iamID]) {
		if attribute(p.Resource, "serviceName") == service {
			c.dropPolicy(p, false)
			n++
		}
	}
	return n
}

// RemovePolicy removes one policy at once.
func (c *Cloud) RemovePolicy(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.policies[id]
	c.dropPolicy(must(p, ok, "policy", id), false)
}

// SetKeyDisabled disables or enables a key.
func (c *Cloud) SetKeyDisabled(id string, disabled bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.keyAt(id)
	k.Disabled = disabled
	c.touchKey(Owner(), k, "UPDATED")
}

// SetKeyLocked locks or unlocks a key.
func (c *Cloud) SetKeyLocked(id string, locked bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.keyAt(id)
	k.Locked = locked
	c.touchKey(Owner(), k, "UPDATED")
}

// SetKeyExpiry sets a key's expiry, which may be in the past; zero removes it.
func (c *Cloud) SetKeyExpiry(id string, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.keyAt(id)
	k.ExpiresAt = at
	c.touchKey(Owner(), k, "UPDATED")
}

// SetKeyDescription overwrites a key's description.
func (c *Cloud) SetKeyDescription(id, description string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.keyAt(id)
	k.Description = description
	c.touchKey(Owner(), k, "UPDATED")
}

// RemoveKey deletes a key, locked or not.
func (c *Cloud) RemoveKey(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dropKey(c.keyAt(id), true)
}

// SetServiceIDLocked locks or unlocks a service ID.
func (c *Cloud) SetServiceIDLocked(id string, locked bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, ok := c.serviceIDs[id]
	must(s, ok, "service ID", id).Locked = locked
	c.touchServiceID(Owner(), s, "UPDATED")
}

// RemoveServiceID deletes a service ID with its keys and policies.
func (c *Cloud) RemoveServiceID(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, ok := c.serviceIDs[id]
	c.dropServiceID(must(s, ok, "service ID", id), false)
}

// AddProject adds a project. It becomes active after Settings.ProjectDelay.
func (c *Cloud) AddProject(name, region string) Project {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.putProject(NewProject{Name: name, Region: region})
	c.changed(Owner(), p, ProjectCreated, true)
	return c.view(p)
}

// RestoreProject restores a softly deleted project.
func (c *Cloud) RestoreProject(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.purgeProjects()
	if p := c.projectAt(id); p.deleted {
		p.deleted = false
		c.changed(Owner(), p, ProjectRestored, true)
	}
}

// RemoveProject deletes a project softly.
func (c *Cloud) RemoveProject(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.projectAt(id); !p.deleted {
		p.deleted, p.deletedAt = true, c.now()
		c.changed(Owner(), p, ProjectDeleted, true)
	}
}

// PurgeProject removes a project for good, as `ibmcloud ce project delete --hard`
// does.
func (c *Cloud) PurgeProject(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.projectAt(id)
	delete(c.projects, id)
	c.projectOrder = slices.DeleteFunc(c.projectOrder, func(x *project) bool { return x == p })
}

// PutSecret adds a generic secret or overwrites the data of an existing one.
func (c *Cloud) PutSecret(projectID, name string, data map[string]string) Secret {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.projectAt(projectID)
	s := p.secrets[name]
	if s == nil {
		return c.putSecret(p, NewSecret{Name: name, Format: "generic", Data: data}).copy()
	}
	s.Data, s.EntityTag = maps.Clone(data), p.nextTag()
	return s.copy()
}

// RemoveSecret deletes a secret if it exists.
func (c *Cloud) RemoveSecret(projectID, name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.projectAt(projectID).secrets, name)
}

// AddApp adds an application; spec has the fields of the API's body.
func (c *Cloud) AddApp(projectID, name string, spec map[string]any) App {
	c.mu.Lock()
	defer c.mu.Unlock()
	full, _ := mergePatch(map[string]any{"image_reference": "icr.io/codeengine/helloworld"}, asJSON(spec)).(map[string]any)
	return c.viewApp(c.putApp(c.projectAt(projectID), name, full))
}

// AddLogsInstance adds a Cloud Logs instance.
func (c *Cloud) AddLogsInstance(id, region string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.instances[id] = LogsInstance{ID: id, Region: region}
}
