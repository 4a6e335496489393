package cloud

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Engine is a configuration. One for custom credentials has a Code Engine job
// that creates and deletes them, and the fields that the job declares.
type Engine struct {
	Type        string        `json:"config_type"` // CustomEngine
	Name        string        `json:"name"`
	JobName     string        `json:"job_name"`
	ProjectID   string        `json:"project_id"`
	Region      string        `json:"region"`
	APIKeyRef   string        `json:"api_key_ref,omitempty"`
	TaskTimeout string        `json:"task_timeout"`
	Parameters  []EngineField `json:"parameters"`
	Credentials []EngineField `json:"credentials"`
	CreatedAt   time.Time     `json:"created_at"`
	CreatedBy   string        `json:"created_by"`
	UpdatedAt   time.Time     `json:"updated_at"`
	// Fields are those of another type. They may hold secrets.
	Fields map[string]any `json:"-"`
}

// EngineField is a parameter of a job or a part of its credentials. Format is
// as the job declares it: "type:string, required:true".
type EngineField struct {
	Name    string `json:"name"`
	Format  string `json:"format"`
	EnvName string `json:"env_variable_name,omitempty"`
}

// CustomEngine is the type of configurations for custom credentials.
const CustomEngine = "custom_credentials_configuration"

const (
	enginesPerInstance = 10 // of each class
	usualTaskTimeout   = 10 * time.Minute
)

var engineName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)

func taskTimeout(s string) (time.Duration, error) {
	if s == "" {
		return usualTaskTimeout, nil
	}
	d, err := TTL(s).parse(5 * time.Minute)
	if err != nil || d > 24*time.Hour {
		return 0, smInvalid("task_timeout must be from 5 minutes to 24 hours.")
	}
	return d, nil
}

// CreateEngine creates a configuration. The job's declared fields are read
// once, now. Secrets Manager's authorization on the project is not checked.
func (c *Cloud) CreateEngine(a Actor, instance string, n Engine) (Engine, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	in, err := c.allowed(a, instance, "", "configuration.create")
	if err != nil {
		return Engine{}, err
	}
	kind, other := configurationKinds[n.Type]
	if n.Type != CustomEngine && !other {
		if slices.Contains(privateEngines, n.Type) {
			return Engine{}, smError(501, "not_emulated", "The emulator does not know the configuration type %s.", n.Type)
		}
		return Engine{}, smInvalid("The config_type %q is not known.", n.Type)
	}
	if err := checkSize("name", n.Name, 256); err != nil {
		return Engine{}, err
	}
	if !engineName.MatchString(n.Name) {
		return Engine{}, smInvalid("The name %q is not valid.", n.Name)
	}
	if in.engine(n.Name) != nil {
		return Engine{}, smError(c.switches.ExistingSecretStatus, "conflict", "A configuration of this name exists already.")
	}
	count := 0
	for _, e := range in.engines {
		if e.class() == n.class() {
			count++
		}
	}
	if count >= enginesPerInstance && n.class() != "" {
		return Engine{}, smError(c.switches.SecretLimitStatus, "limit_reached", "The limit of %d configurations is reached.", enginesPerInstance)
	}
	if other {
		fields, err := kind.check(n.Fields)
		if err != nil {
			return Engine{}, err
		}
		e := Engine{Type: n.Type, Name: n.Name, Fields: fields, CreatedAt: c.now(), CreatedBy: a.IAMID, UpdatedAt: c.now()}
		in.engines = append(in.engines, &e)
		return e, nil
	}
	return c.createCustomEngine(in, a, n)
}

func (c *Cloud) createCustomEngine(in *secretsInstance, a Actor, n Engine) (Engine, error) {
	if _, err := taskTimeout(n.TaskTimeout); err != nil {
		return Engine{}, err
	}
	for _, other := range c.secretsInstances {
		if slices.ContainsFunc(other.engines, func(e *Engine) bool {
			return e.Type == CustomEngine && e.ProjectID == n.ProjectID && e.JobName == n.JobName
		}) {
			return Engine{}, smError(c.switches.ExistingSecretStatus, "conflict", "Another configuration has this job.")
		}
	}
	p, ok := c.projects[n.ProjectID]
	if !ok || p.Region != n.Region || p.workloads[workloadKey{Jobs, n.JobName}] == nil {
		return Engine{}, smInvalid("The job %s was not found in project %s in %s.", n.JobName, n.ProjectID, n.Region)
	}
	key := in.secrets[n.APIKeyRef]
	if n.APIKeyRef != "" && (key == nil || key.Type != IAMCredentials) {
		return Engine{}, smInvalid("api_key_ref names no secret of the type iam_credentials.")
	}
	e := n
	e.Fields = nil
	e.Parameters, e.Credentials = declared(p.workloads[workloadKey{Jobs, n.JobName}].Spec)
	if len(e.Credentials) == 0 {
		return Engine{}, smInvalid("The job declares no credentials: it needs a variable SMOUT_… that is required.")
	}
	e.TaskTimeout = cmp.Or(e.TaskTimeout, "10m")
	e.CreatedAt, e.CreatedBy, e.UpdatedAt = c.now(), a.IAMID, c.now()
	if key != nil {
		key.ReferencedBy = append(key.ReferencedBy, e.Name)
	}
	in.engines = append(in.engines, &e)
	return e, nil
}

// declared returns the fields that a job declares in its variables.
func declared(spec map[string]any) (parameters, credentials []EngineField) {
	list, _ := spec["run_env_variables"].([]any)
	parameters, credentials = []EngineField{}, []EngineField{}
	for _, x := range list {
		v, _ := x.(map[string]any)
		name, _ := v["name"].(string)
		format, _ := v["value"].(string)
		if in, ok := strings.CutPrefix(name, "SMIN_"); ok {
			parameters = append(parameters, EngineField{Name: strings.ToLower(in), Format: format, EnvName: "SM_" + in + "_VALUE"})
		}
		if out, ok := strings.CutPrefix(name, "SMOUT_"); ok {
			credentials = append(credentials, EngineField{Name: strings.ToLower(out), Format: format})
		}
	}
	return parameters, credentials
}

func (in *secretsInstance) engine(name string) *Engine {
	i := slices.IndexFunc(in.engines, func(e *Engine) bool { return e.Name == name })
	if i < 0 {
		return nil
	}
	return in.engines[i]
}

// GetEngine returns one configuration. A kind that is not empty must be its type.
func (c *Cloud) GetEngine(a Actor, instance, name, kind string) (Engine, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, e, err := c.findEngine(a, instance, name, kind, "configuration.read")
	if err != nil {
		return Engine{}, err
	}
	return *e, nil
}

// DeleteEngine deletes a configuration without secrets.
func (c *Cloud) DeleteEngine(a Actor, instance, name, kind string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	in, e, err := c.findEngine(a, instance, name, kind, "configuration.delete")
	if err != nil {
		return err
	}
	if slices.ContainsFunc(in.order, func(s *managedSecret) bool { return s.Custom != nil && s.Custom.Configuration == name }) {
		return smError(c.switches.GroupWithSecretsStatus, "conflict", "The configuration has secrets.")
	}
	if key := in.secrets[e.APIKeyRef]; key != nil {
		key.ReferencedBy = slices.DeleteFunc(key.ReferencedBy, func(x string) bool { return x == name })
	}
	in.engines = slices.DeleteFunc(in.engines, func(x *Engine) bool { return x == e })
	return nil
}

// checkFields checks values against the fields that a job declares.
func checkFields(what string, fields []EngineField, values map[string]any) error {
	for _, f := range fields {
		v, there := values[f.Name]
		if !there {
			if strings.Contains(f.Format, "required:true") {
				return smInvalid("%s lacks %s.", what, f.Name)
			}
			continue
		}
		kind, _, _ := strings.Cut(strings.TrimPrefix(f.Format, "type:"), ",")
		var ok bool
		switch x := v.(type) {
		case string:
			ok = kind == "string" || kind == "secret_id"
			if options, enum := strings.CutPrefix(kind, "enum["); enum {
				ok = slices.Contains(strings.Split(strings.TrimSuffix(options, "]"), "|"), x)
			}
		case float64:
			ok = kind == "integer" && x == float64(int64(x))
		case bool:
			ok = kind == "boolean"
		}
		if !ok {
			return smInvalid("%s: %s is not of %s.", what, f.Name, f.Format)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if !slices.ContainsFunc(fields, func(f EngineField) bool { return f.Name == name }) {
			return smInvalid("%s: %s is not declared by the job.", what, name)
		}
	}
	return nil
}

func (in *secretsInstance) checkParameters(x CustomSecret) error {
	e := in.engine(x.Configuration)
	if e == nil || e.Type != CustomEngine {
		return smInvalid("There is no configuration %q.", x.Configuration)
	}
	return checkFields("parameters", e.Parameters, x.Parameters)
}

// unreference removes the references to a secret.
func (in *secretsInstance) unreference(s *managedSecret) {
	for _, e := range in.engines {
		if e.APIKeyRef == s.ID {
			e.APIKeyRef = ""
		}
	}
}
