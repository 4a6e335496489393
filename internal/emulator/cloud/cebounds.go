package cloud

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The bounds in this file are those of the API definition of Code Engine, as
// IBM's Terraform provider repeats them (ibm/service/codeengine and its pages
// code_engine_*.html.markdown), and of the pages limits and mem-cpu-combo of the
// documents. A field that has no rule is stored as it is.

// rule checks one field of a body.
type rule func(v any) error

type rules map[string]rule

// check applies the rules to the fields that are present. Null is the same as
// absent.
func (r rules) check(fields map[string]any) error {
	if err := r.find(fields); err != nil {
		return ceInvalid("The field %v.", err)
	}
	return nil
}

// find returns an error whose subject is the first field that breaks its rule.
func (r rules) find(fields map[string]any) error {
	for _, name := range slices.Sorted(maps.Keys(r)) {
		if v := fields[name]; v != nil {
			if err := r[name](v); err != nil {
				return fmt.Errorf("%s %w", name, err)
			}
		}
	}
	return nil
}

// with returns the rules and more.
func (r rules) with(more rules) rules {
	out := maps.Clone(r)
	maps.Copy(out, more)
	return out
}

func flag(v any) error {
	if _, ok := v.(bool); !ok {
		return errors.New("must be true or false")
	}
	return nil
}

func wholeNumber(v any) error {
	if n, ok := v.(float64); !ok || n != math.Trunc(n) {
		return errors.New("must be a whole number")
	}
	return nil
}

func between(low, high float64) rule {
	return func(v any) error {
		if err := wholeNumber(v); err != nil {
			return err
		}
		if n, _ := v.(float64); n < low || n > high {
			return fmt.Errorf("must be from %.0f to %.0f", low, high)
		}
		return nil
	}
}

func oneOf(allowed ...string) rule {
	return func(v any) error {
		if s, ok := v.(string); !ok || !slices.Contains(allowed, s) {
			return fmt.Errorf("must be one of %s", strings.Join(allowed, ", "))
		}
		return nil
	}
}

// text requires a string of low to high characters. A nil form allows all.
func text(low, high int, form *regexp.Regexp) rule {
	return func(v any) error {
		s, ok := v.(string)
		if !ok {
			return errors.New("must be a string")
		}
		if n := utf8.RuneCountInString(s); n < low || n > high {
			return fmt.Errorf("must have from %d to %d characters", low, high)
		}
		if s != "" && form != nil && !form.MatchString(s) {
			return errors.New("has characters that are not allowed")
		}
		return nil
	}
}

// longestList limits every list of a body.
const longestList = 100

func listOf(item rule) rule {
	return func(v any) error {
		list, ok := v.([]any)
		if !ok {
			return errors.New("must be a list")
		}
		if len(list) > longestList {
			return fmt.Errorf("must have at most %d entries", longestList)
		}
		for i, x := range list {
			if err := item(x); err != nil {
				return fmt.Errorf("has an entry %d that %w", i, err)
			}
		}
		return nil
	}
}

func object(r rules, more func(map[string]any) error) rule {
	return func(v any) error {
		fields, ok := v.(map[string]any)
		if !ok {
			return errors.New("must be an object")
		}
		if err := r.find(fields); err != nil {
			return fmt.Errorf("has the field %w", err)
		}
		return more(fields)
	}
}

var (
	imageName    = regexp.MustCompile(`^([a-z0-9][-a-z0-9_.]+[a-z0-9]/)?([a-z0-9][-a-z0-9_]+[a-z0-9]/)?[a-z0-9][-a-z0-9_./]+[a-z0-9](:\w[-\w.]{0,127})?(@sha256:[a-fA-F0-9]{64})?$`)
	dataURL      = regexp.MustCompile(`^data:([-\w]+/[-+\w.]+)?(;?\w+=[-\w]+)*;base64,`)
	quantity     = regexp.MustCompile(`^[0-9.]+[eEinumkKMGTPB]*$`)
	envName      = regexp.MustCompile(`^[-._a-zA-Z0-9]+$`)
	envPrefix    = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)
	mountName    = appName
	mountPath    = regexp.MustCompile(`^/([^/\x00]+/?)+$`)
	jobName      = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)
	codeMain     = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)
	runtimeName  = regexp.MustCompile(`^[a-z]*-[0-9]*(\.[0-9]*)?$`)
	arrayIndices = regexp.MustCompile(`^\d{1,7}(-\d{1,7})?(,\d{1,7}(-\d{1,7})?)*$`)
	leadingZero  = regexp.MustCompile(`(^|[-,])0\d`)
)

var envVariable = object(rules{
	"type":      oneOf("literal", "config_map_full_reference", "secret_full_reference", "config_map_key_reference", "secret_key_reference"),
	"name":      text(1, 253, envName),
	"key":       text(1, 253, envName),
	"prefix":    text(0, 253, envPrefix),
	"reference": text(1, 253, resourceName),
	"value":     text(0, longestValue, nil),
}, func(v map[string]any) error {
	kind, _ := v["type"].(string)
	need := []string{"reference"}
	switch cmp.Or(kind, "literal") {
	case "literal":
		need = []string{"name"}
	case "config_map_key_reference", "secret_key_reference":
		need = []string{"reference", "key"}
	}
	for _, field := range need {
		if v[field] == nil {
			return fmt.Errorf("needs %s, because its type is %s", field, cmp.Or(kind, "literal"))
		}
	}
	return nil
})

var volumeMount = object(rules{
	"type":       oneOf("config_map", "persistent_data_store", "secret"),
	"mount_path": text(1, 256, mountPath),
	"name":       text(0, 63, mountName),
	"read_only":  flag,
	"reference":  text(1, 253, resourceName),
	"sub_path":   text(1, 1000, nil),
}, func(v map[string]any) error {
	for _, field := range []string{"mount_path", "reference", "type"} {
		if v[field] == nil {
			return fmt.Errorf("needs %s", field)
		}
	}
	return nil
})

// probe is a liveness or readiness probe. Its port 0 means that of the app. Only
// an http probe has a path, but the SDK's tests send one with any type.
var probe = object(rules{
	"failure_threshold": between(1, 10),
	"initial_delay":     between(1, 10),
	"interval":          between(1, 60),
	"path":              text(0, 2048, nil),
	"port":              between(0, 65535),
	"timeout":           between(1, 3600),
	"type":              oneOf("tcp", "http"),
}, func(v map[string]any) error {
	if path, _ := v["path"].(string); v["type"] == "http" && !strings.HasPrefix(path, "/") {
		return errors.New("needs a path that begins with a slash, because its type is http")
	}
	return nil
})

var (
	// containerRules apply to apps, jobs and job runs.
	containerRules = rules{
		"image_reference":                    text(1, 256, imageName),
		"image_secret":                       text(1, 253, resourceName),
		"run_arguments":                      listOf(text(0, longestValue, nil)),
		"run_as_user":                        wholeNumber,
		"run_commands":                       listOf(text(0, longestValue, nil)),
		"run_compute_resource_token_enabled": flag,
		"run_env_variables":                  listOf(envVariable),
		"run_service_account":                oneOf("default", "manager", "none", "reader", "writer"),
		"run_volume_mounts":                  listOf(volumeMount),
		"scale_cpu_limit":                    text(0, 10, quantity),
		"scale_ephemeral_storage_limit":      text(0, 10, quantity),
		"scale_memory_limit":                 text(0, 10, quantity),
	}

	appRules = containerRules.with(rules{
		"image_port":               between(0, 65535),
		"managed_domain_mappings":  oneOf("local", "local_private", "local_public"),
		"probe_liveness":           probe,
		"probe_readiness":          probe,
		"scale_concurrency":        between(0, 1000),
		"scale_concurrency_target": between(1, 1000),
		"scale_down_delay":         between(0, 3600),
		"scale_initial_instances":  between(0, 250),
		"scale_max_instances":      between(0, 250),
		"scale_min_instances":      between(0, 250),
		"scale_request_timeout":    between(1, 600),
	})

	jobRules = containerRules.with(rules{
		"run_mode":                           oneOf("task", "daemon"),
		"scale_array_size_variable_override": wholeNumber,
		"scale_array_spec":                   text(1, 253, arrayIndices),
		"scale_max_execution_time":           between(1, 86400),
		"scale_retry_limit":                  between(0, 5),
	})

	functionRules = rules{
		"code_binary":                        flag,
		"code_main":                          text(1, 63, codeMain),
		"code_secret":                        text(1, 253, resourceName),
		"managed_domain_mappings":            oneOf("local", "local_private", "local_public"),
		"run_compute_resource_token_enabled": flag,
		"run_env_variables":                  listOf(envVariable),
		"runtime":                            text(1, 63, runtimeName),
		"scale_concurrency":                  between(1, 100),
		"scale_cpu_limit":                    text(0, 10, quantity),
		"scale_down_delay":                   between(0, 600),
		"scale_max_execution_time":           between(1, 120),
		"scale_memory_limit":                 text(0, 10, quantity),
	}
)

// memoryChoices maps thousandths of a CPU to the gigabytes that go with them,
// in thousandths.
type memoryChoices map[float64][]float64

// The pairs of the page mem-cpu-combo.
var (
	containerMemory = memoryChoices{
		125: {250, 500, 1000}, 250: {500, 1000, 2000}, 500: {1000, 2000, 4000}, 1000: {2000, 4000, 8000},
		2000: {4000, 8000, 16000}, 4000: {8000, 16000, 32000}, 6000: {12000, 24000, 48000},
		8000: {16000, 32000}, 10000: {20000, 40000}, 12000: {24000, 48000},
	}
	functionMemory = memoryChoices{250: {1000}, 500: {2000}, 1000: {4000}}
)

func (m memoryChoices) check(spec map[string]any) error {
	cpu, err := amount(spec, "scale_cpu_limit", "1")
	if err != nil {
		return err
	}
	memory, err := amount(spec, "scale_memory_limit", "4G")
	if err != nil {
		return err
	}
	for c, choices := range m {
		if same(c, cpu*1000) && slices.ContainsFunc(choices, func(g float64) bool { return same(g, memory/1e6) }) {
			return nil
		}
	}
	return ceInvalid("scale_cpu_limit and scale_memory_limit are not a supported combination.")
}

func same(a, b float64) bool { return math.Abs(a-b) < 1e-6 }

// units are the suffixes of a quantity. M and G stand for MB and GB.
var units = map[string]float64{
	"": 1, "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15,
	"B": 1, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "PB": 1e15,
	"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40,
}

// amount reads a quantity of a spec, or its default.
func amount(spec map[string]any, field, otherwise string) (float64, error) {
	s, _ := spec[field].(string)
	s = cmp.Or(s, otherwise)
	digits := strings.TrimRight(s, "eEinumkKMGTPB")
	n, err := strconv.ParseFloat(digits, 64)
	unit, ok := units[s[len(digits):]]
	if err != nil || !ok {
		return 0, ceInvalid("%s must be a number with a unit such as M or G.", field)
	}
	return n * unit, nil
}

// checkStorage compares the ephemeral storage with the memory. The default of
// 400 MB is allowed with any memory.
func checkStorage(spec map[string]any) error {
	storage, err := amount(spec, "scale_ephemeral_storage_limit", "400M")
	if err != nil {
		return err
	}
	memory, err := amount(spec, "scale_memory_limit", "4G")
	if err != nil {
		return err
	}
	if storage > max(memory, 400e6) {
		return ceInvalid("scale_ephemeral_storage_limit must not be more than scale_memory_limit.")
	}
	return nil
}

func checkContainer(r rules, spec map[string]any) error {
	if image, _ := spec["image_reference"].(string); image == "" {
		return ceInvalid("image_reference is required.")
	}
	if err := r.check(spec); err != nil {
		return err
	}
	if err := containerMemory.check(spec); err != nil {
		return err
	}
	return checkStorage(spec)
}

func checkApp(spec map[string]any) error {
	if err := checkContainer(appRules, spec); err != nil {
		return err
	}
	least, _ := spec["scale_min_instances"].(float64)
	most, given := spec["scale_max_instances"].(float64)
	if !given {
		most = 10
	}
	if most > 0 && least > most {
		return ceInvalid("scale_min_instances must not be more than scale_max_instances.")
	}
	return nil
}

// mostInstances limits the instances of a job run.
const mostInstances = 1000

// checkJob checks a job or job run.
func checkJob(spec map[string]any) error {
	if err := checkContainer(jobRules, spec); err != nil {
		return err
	}
	if indices, _ := spec["scale_array_spec"].(string); indices != "" {
		return checkIndices(indices)
	}
	return nil
}

func checkIndices(indices string) error {
	if leadingZero.MatchString(indices) {
		return ceInvalid("scale_array_spec has characters that are not allowed.")
	}
	seen := map[int]bool{}
	for part := range strings.SplitSeq(indices, ",") {
		low, high, ranged := strings.Cut(part, "-")
		first, _ := strconv.Atoi(low) // up to seven digits
		last := first
		if ranged {
			last, _ = strconv.Atoi(high)
		}
		if last-first >= mostInstances {
			return ceInvalid("scale_array_spec must have at most %d indices.", mostInstances)
		}
		for i := first; i <= last; i++ {
			seen[i] = true
		}
	}
	if len(seen) > mostInstances {
		return ceInvalid("scale_array_spec must have at most %d indices.", mostInstances)
	}
	return nil
}

// taskOnly lists the fields that a job in the mode daemon does not have.
var taskOnly = []string{"scale_max_execution_time", "scale_retry_limit"}

// daemonized removes what a daemon does not have from the spec, and rejects it in
// the fields that the caller sent.
func daemonized(spec, sent map[string]any) error {
	if spec["run_mode"] != "daemon" {
		return nil
	}
	for _, field := range taskOnly {
		if sent[field] != nil {
			return ceInvalid("%s is not allowed if run_mode is daemon.", field)
		}
		delete(spec, field)
	}
	return nil
}

// largestJob is the limit of a job and of a job run.
const largestJob = 10 << 10

// longestCode is the limit of inline code with its base64 overhead.
const longestCode = 100_000

func isInline(code string) bool { return strings.HasPrefix(code, "data:") }

func (c *Cloud) checkFunction(spec map[string]any) error {
	code, _ := spec["code_reference"].(string)
	if name, _ := spec["runtime"].(string); code == "" || name == "" {
		return ceInvalid("code_reference and runtime are required.")
	}
	if isInline(code) && len(code) > longestCode {
		return ceInvalid("The code must have at most %d bytes.", longestCode)
	}
	if inline := isInline(code); inline && !dataURL.MatchString(code) || !inline && (len(code) > 1<<20 || !imageName.MatchString(code)) {
		return ceInvalid("code_reference must name a code bundle or be a data URL in base64.")
	}
	if err := functionRules.check(spec); err != nil {
		return err
	}
	if c.switches.AnyFunctionMemory {
		return nil
	}
	return functionMemory.check(spec)
}

// checkSize limits a job or job run.
func (c *Cloud) checkSize(kind Kind, name string, spec map[string]any) error {
	if kind != Jobs && kind != JobRuns {
		return nil
	}
	b, err := json.Marshal(spec)
	if err != nil || len(b)+len(name) > largestJob {
		return serviceError(c.switches.OversizedJobStatus, "size_limit_exceeded", "A job and a job run must have at most 10 KiB.")
	}
	return nil
}

// ceRefused gives a rejected field the status of the switch.
func (c *Cloud) ceRefused(err error) error {
	var e *Error
	if errors.As(err, &e) && e.Code == "bad_request" && e.Status == 400 {
		e.Status = c.switches.InvalidCodeEngineStatus
	}
	return err
}
