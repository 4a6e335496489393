package cloud

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Engine is a configuration for custom credentials: a Code Engine job that
// creates and deletes them, and the fields that the job declares.
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
}

// EngineField is a parameter of a job or a part of its credentials. Format is
// as the job declares it: "type:string, required:true".
type EngineField struct {
	Name    string `json:"name"`
	Format  string `json:"format"`
	EnvName string `json:"env_variable_name,omitempty"`
}

// CustomEngine is the emulated type of configurations.
const CustomEngine = "custom_credentials_configuration"

var otherEngines = []string{"iam_credentials_configuration", "public_cert_configuration_ca_lets_encrypt",
	"public_cert_configuration_dns_classic_infrastructure", "public_cert_configuration_dns_cloud_internet_services",
	"private_cert_configuration_root_ca", "private_cert_configuration_intermediate_ca", "private_cert_configuration_template"}

const (
	enginesPerInstance = 10
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
	if n.Type != CustomEngine {
		if slices.Contains(otherEngines, n.Type) {
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
	if _, err := taskTimeout(n.TaskTimeout); err != nil {
		return Engine{}, err
	}
	if in.engine(n.Name) != nil {
		return Engine{}, smError(c.switches.ExistingSecretStatus, "conflict", "A configuration of this name exists already.")
	}
	if len(in.engines) >= enginesPerInstance {
		return Engine{}, smError(c.switches.SecretLimitStatus, "limit_reached", "The limit of %d configurations is reached.", enginesPerInstance)
	}
	for _, other := range c.secretsInstances {
		if slices.ContainsFunc(other.engines, func(e *Engine) bool { return e.ProjectID == n.ProjectID && e.JobName == n.JobName }) {
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

// ListEngines lists the configurations.
func (c *Cloud) ListEngines(a Actor, instance string) ([]Engine, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	in, err := c.allowed(a, instance, "", "configurations.list")
	if err != nil {
		return nil, err
	}
	out := []Engine{}
	for _, e := range in.engines {
		out = append(out, *e)
	}
	return out, nil
}

// GetEngine returns one configuration.
func (c *Cloud) GetEngine(a Actor, instance, name string) (Engine, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	in, err := c.allowed(a, instance, "", "configuration.read")
	if err != nil {
		return Engine{}, err
	}
	e := in.engine(name)
	if e == nil {
		return Engine{}, smNotFound("configuration", name)
	}
	return *e, nil
}

// DeleteEngine deletes a configuration without secrets.
func (c *Cloud) DeleteEngine(a Actor, instance, name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	in, err := c.allowed(a, instance, "", "configuration.delete")
	if err != nil {
		return err
	}
	e := in.engine(name)
	if e == nil {
		return smNotFound("configuration", name)
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
	if e == nil {
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
