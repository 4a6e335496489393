package entry

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// A Name is a name to check: what it names, its text and its rule.
type Name struct {
	What, Text string
	Rule       func(string) error
}

// Check returns an error for the first name that breaks its rule, and nil if
// there is none. The error wraps invalid.
func Check(invalid error, names ...Name) error {
	for _, n := range names {
		if err := n.Rule(n.Text); err != nil {
			return fmt.Errorf("checking the %s %q: %w: %w", n.What, n.Text, invalid, err)
		}
	}
	return nil
}

// The text of every rule's error continues a sentence that starts with the
// quoted name.

// rule is a regular expression with a maximum length in bytes.
type rule struct {
	expr    func() *regexp.Regexp // compiled on first use: most programs need few rules
	longest int
	pattern string
	must    string
}

func newRule(expr string, longest int, must string) rule {
	return rule{
		expr:    sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(?:` + expr + `)$`) }),
		longest: longest, pattern: expr, must: must,
	}
}

func (r rule) check(s string) error {
	if len(s) <= r.longest && r.expr().MatchString(s) {
		return nil
	}
	return &RuleError{Must: r.must, Pattern: r.pattern, Longest: r.longest}
}

// RuleError says what a value must be. What else it holds describes the same to
// programs.
type RuleError struct {
	Must    string   // continues "must be"
	Pattern string   // regular expression for the whole value; "": none
	Longest int      // bytes; 0: any
	Words   []string // the only values; nil: others
}

func (e *RuleError) Error() string { return "must be " + e.Must }

// CheckRegion accepts a region such as eu-de. It becomes part of a host name.
func CheckRegion(s string) error { return region.check(s) }

var region = newRule(`[a-z]{2}-[a-z0-9]{2,20}`, 23, "a region such as eu-de")

// CheckInstance accepts the ID of a service instance. It becomes part of a host
// name.
func CheckInstance(s string) error { return instance.check(s) }

var instance = newRule(`[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?`, 63,
	"the ID (GUID) of a service instance: letters, digits and dashes, not a name or a CRN")

// CheckProject accepts the ID or the name of a Code Engine project, as the Code
// Engine API does.
func CheckProject(s string) error { return project.check(s) }

// A name has up to 128 characters, each of up to 4 bytes.
var project = newRule(`([^\x00-\x7F]|[a-zA-Z0-9\-._: ]){1,128}`, 4*128,
	"the ID or name of a Code Engine project: letters, digits, spaces and -._: , at most 128")

// objectName is a DNS subdomain.
//
// Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
const (
	objectName        = `[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*`
	longestObjectName = 253
)

// CheckSecret accepts the name of a Code Engine secret or a Kubernetes Secret.
func CheckSecret(s string) error { return secretName.check(s) }

var secretName = newRule(objectName, longestObjectName,
	"a secret's name: lower-case letters, digits, dashes and dots, at most 253, and each part between dots starts and ends with a letter or digit")

// CheckEntry accepts an entry of a Code Engine secret or of a Secrets Manager
// secret of type kv. Its companions have at most 253 characters.
func CheckEntry(s string) error {
	if err := checkSuffix(s); err != nil {
		return err
	}
	return entryName.check(s)
}

var entryName = newRule(`[-._A-Za-z0-9]+`, longestObjectName-len(suffixMetadata),
	"an entry of a secret: letters, digits and ._- , at most 244 (253 with what latchkey adds to it)")

// checkSuffix rejects the names of companions.
func checkSuffix(s string) error {
	for _, suffix := range []string{suffixID, suffixMetadata} {
		if strings.HasSuffix(s, suffix) {
			return fmt.Errorf("ends in %s, which is reserved for what latchkey writes beside an entry", suffix)
		}
	}
	return nil
}

// CheckSecretGroup accepts the name of a secret group of Secrets Manager.
func CheckSecretGroup(s string) error { return secretGroup.check(s) }

var secretGroup = newRule(`[A-Za-z0-9_]([A-Za-z0-9_ .-]*[A-Za-z0-9_.-])?`, 64,
	"the name of a secret group: letters, digits, spaces and _.- , at most 64")

// CheckManagedSecret accepts the name of a secret in Secrets Manager.
func CheckManagedSecret(s string) error { return managedSecret.check(s) }

var managedSecret = newRule(`[A-Za-z0-9][A-Za-z0-9.-]*[A-Za-z0-9]`, 256,
	"the name of a secret: letters, digits, dashes and dots, from 2 to 256, a letter or digit at both ends")

// CheckNamespace accepts a Kubernetes namespace.
func CheckNamespace(s string) error { return namespace.check(s) }

var namespace = newRule(`[a-z0-9]([-a-z0-9]*[a-z0-9])?`, 63,
	"a namespace: lower-case letters, digits and dashes, at most 63, a letter or digit at both ends")

// DockerConfig is the entry of a Kubernetes Secret from which images are pulled.
//
// Source: https://kubernetes.io/docs/concepts/configuration/secret/#docker-config-secrets
const DockerConfig = ".dockerconfigjson"

// CheckKubernetesEntry accepts an entry of a Kubernetes Secret. It becomes part
// of an annotation's name, which has stricter rules than a key of a Secret's
// data. Only DockerConfig may start with a dot.
func CheckKubernetesEntry(s string) error { return kubernetesEntry.check(s) }

var kubernetesEntry = newRule(`\.dockerconfigjson|[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?`, 63,
	"an entry of a Secret: letters, digits and ._- , at most 63, a letter or digit at both ends")

// CheckWorkload accepts a workload of a Kubernetes cluster by its kind and name.
func CheckWorkload(s string) error {
	kind, name, _ := strings.Cut(s, "/")
	if !slices.Contains([]string{"daemonset", "deployment", "statefulset"}, kind) || secretName.check(name) != nil {
		return errors.New("must be daemonset/NAME, deployment/NAME or statefulset/NAME")
	}
	return nil
}

// CheckVaultPath accepts a mount, a namespace or the path of a secret in Vault.
// A vault takes more, but the handling of a path that needs escaping differs by
// version.
func CheckVaultPath(s string) error { return vaultPath.check(s) }

const vaultPart = `[A-Za-z0-9_][A-Za-z0-9._-]*`

var vaultPath = newRule(vaultPart+`(/`+vaultPart+`)*`, 512,
	"a path: letters, digits and ._- , at most 512, in parts between single slashes, none of which starts with . or -")

// VaultPrefix is the start of the name of an entry's custom metadata in Vault.
const VaultPrefix = "latchkey."

// CheckVaultEntry accepts an entry of a secret in Vault. The name of custom
// metadata has at most 128 bytes.
//
// Source: https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2#create-update-metadata
func CheckVaultEntry(s string) error {
	if err := checkSuffix(s); err != nil {
		return err
	}
	return vaultEntry.check(s)
}

var vaultEntry = newRule(`[-._A-Za-z0-9]+`, 128-len(VaultPrefix), "an entry of a secret: letters, digits and ._- , at most 119")

// CheckFile accepts the path of a file store as far as its length goes. The
// store creates two more files whose names are up to 12 bytes longer.
func CheckFile(path string) error {
	const longestPart, longestPath, added = 255, 4095, len("..unfinished")
	base := filepath.Base(path)
	switch {
	case len(base) > longestPart-added:
		return fmt.Errorf("must end in a file name of at most %d bytes, not %d", longestPart-added, len(base))
	case len(path) > longestPath-added:
		return fmt.Errorf("must have at most %d bytes, not %d", longestPath-added, len(path))
	}
	for part := range strings.SplitSeq(path, "/") {
		if len(part) > longestPart {
			return fmt.Errorf("must have parts of at most %d bytes, not %d", longestPart, len(part))
		}
	}
	return nil
}
