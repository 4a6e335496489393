package cloud

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// State is a copy of a cloud's whole content, in a stable order.
type State struct {
	Now        time.Time        `json:"now"`
	Account    string           `json:"account"`
	ServiceIDs []ServiceID      `json:"serviceids"`
	APIKeys    []APIKey         `json:"apikeys"`
	IDGroups   []ServiceIDGroup `json:"serviceid_groups"`
	Users      []User           `json:"users"`
	Profiles   []ProfileState   `json:"profiles"`
	IDPs       []IDP            `json:"idps"`
	Policies   []Policy         `json:"policies"`
	Groups     []GroupState     `json:"groups"`
	// Roles, Templates and Assignments are the custom roles, the versions of
	// templates and their assignments. ChildPolicies and ChildProfiles are those
	// of the child account.
	Roles         []CustomRole   `json:"roles"`
	Templates     []Template     `json:"templates"`
	Assignments   []Assignment   `json:"assignments"`
	ChildPolicies []Policy       `json:"child_policies"`
	ChildProfiles []ProfileState `json:"child_profiles"`
	Projects      []ProjectState `json:"projects"`
	Logs          []LogsInstance `json:"logs"`
	Lines         int            `json:"lines"` // number of accepted log entries
	// SecretsManager has its instances. Notifications is the number of events
	// that Event Notifications received.
	SecretsManager []SecretsState `json:"secrets_manager"`
	Notifications  int            `json:"notifications"`
}

// ProjectState is a project with its content.
type ProjectState struct {
	Project
	Secrets []Secret `json:"secrets"`
	Apps    []App    `json:"apps"`
	// Workloads has the config maps, jobs, job runs and functions.
	Workloads []Workload `json:"workloads"`
}

// GroupState is an access group with its members.
type GroupState struct {
	AccessGroup
	Members []GroupMember `json:"members"`
}

// State returns a copy of the whole content. Without values, key values and
// secret data are left out; the data keys of a secret have empty values.
func (c *Cloud) State(values bool) State {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reap()
	s := State{
		Now: c.now(), Account: AccountID, Lines: len(c.lines),
		ServiceIDs: make([]ServiceID, 0, c.serviceIDSequence.len()),
		APIKeys:    make([]APIKey, 0, c.keySequence.len()),
		Policies:   make([]Policy, 0, c.policySequence.len()),
		Profiles:   []ProfileState{},
		IDPs:       []IDP{},
		IDGroups:   []ServiceIDGroup{},
		Users:      []User{},
		Groups:     []GroupState{},
		Projects:   []ProjectState{},
	}
	for _, x := range c.serviceIDSequence.after(0) {
		s.ServiceIDs = append(s.ServiceIDs, x.copy(true))
	}
	for _, k := range c.keySequence.after(0) {
		out := k.copy(true)
		if !values {
			out.Value = ""
		}
		s.APIKeys = append(s.APIKeys, out)
	}
	for _, p := range c.policySequence.after(0) {
		s.Policies = append(s.Policies, p.copy())
	}
	c.enterprise.state(&s)
	for _, g := range c.idGroupOrder {
		s.IDGroups = append(s.IDGroups, *g)
	}
	s.Users = append(s.Users, slices.SortedFunc(maps.Values(c.users), func(a, b User) int { return cmp.Compare(a.IAMID, b.IAMID) })...)
	for _, g := range c.groupOrder {
		s.Groups = append(s.Groups, GroupState{AccessGroup: g.AccessGroup, Members: g.sorted()})
	}
	for _, p := range c.idps {
		s.IDPs = append(s.IDPs, p.copy(true))
	}
	for _, p := range c.profileSequence.after(0) {
		s.Profiles = append(s.Profiles, p.state())
	}
	c.purgeProjects()
	for _, p := range c.projectOrder {
		s.Projects = append(s.Projects, c.projectState(p, values))
	}
	s.SecretsManager, s.Notifications = c.secretsState(values), len(c.notifications)
	s.Logs = slices.SortedFunc(maps.Values(c.instances), func(a, b LogsInstance) int { return cmp.Compare(a.ID, b.ID) })
	return s
}

func (c *Cloud) projectState(p *project, values bool) ProjectState {
	out := ProjectState{Project: c.view(p), Secrets: []Secret{}, Apps: []App{}, Workloads: []Workload{}}
	for _, name := range slices.Sorted(maps.Keys(p.secrets)) {
		x := p.secrets[name].copy()
		if !values {
			for k := range x.Data {
				x.Data[k] = ""
			}
			x.ServiceAccess, x.ServiceOperator = nil, nil
		}
		out.Secrets = append(out.Secrets, x)
	}
	for _, name := range slices.Sorted(maps.Keys(p.apps)) {
		out.Apps = append(out.Apps, c.viewApp(p.apps[name]))
	}
	for _, x := range p.sorted(func(*Workload) bool { return true }) {
		out.Workloads = append(out.Workloads, p.viewWorkload(x))
	}
	return out
}

// Key returns the key with the ID.
func (s State) Key(id string) (APIKey, bool) {
	i := slices.IndexFunc(s.APIKeys, func(k APIKey) bool { return k.ID == id })
	if i < 0 {
		return APIKey{}, false
	}
	return s.APIKeys[i], true
}

// Project returns the project with the name.
func (s State) Project(name string) (ProjectState, bool) {
	i := slices.IndexFunc(s.Projects, func(p ProjectState) bool { return p.Name == name })
	if i < 0 {
		return ProjectState{}, false
	}
	return s.Projects[i], true
}
