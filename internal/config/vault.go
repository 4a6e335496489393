package config

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/latchkey-io/latchkey/internal/entry"
)

// VaultStore is an entry of a secret in a version 2 key-value engine of HashiCorp
// Vault or OpenBao. latchkey also writes Entry+"_ID" and Entry+"_LATCHKEY".
type VaultStore struct {
	Address   string // such as https://vault.example.com:8200; http only on loopback
	Namespace string // "": the root namespace
	CAFile    string // certificates to trust; "": those of the system
	Mount     string // path of the key-value engine
	Path      string // the secret's path in the engine
	Entry     string // key in the secret's data
	Auth      VaultAuth
}

// VaultAuth configures the login: a token in TokenEnv or TokenFile, AppRole or
// JWT.
type VaultAuth struct {
	TokenEnv, TokenFile string // environment variable or file with a token
	AppRole             *VaultAppRole
	JWT                 *VaultJWT // the methods kubernetes and jwt, which differ only in defaults
}

// VaultAppRole is a login by AppRole.
type VaultAppRole struct {
	Mount                     string // default approle
	RoleID                    string
	SecretIDEnv, SecretIDFile string // environment variable or file with the secret ID
}

// VaultJWT is a login by a JWT of another issuer, such as Kubernetes.
type VaultJWT struct {
	Mount               string // default kubernetes or jwt, like the method
	Role                string
	TokenEnv, TokenFile string // environment variable or file with the JWT; default for kubernetes: the service account's token
}

// serviceAccountToken is the path at which Kubernetes mounts a pod's token.
const serviceAccountToken = "/var/run/secrets/kubernetes.io/serviceaccount/token"

type vaultTemplate struct {
	at                                value
	address, namespace, caFile, mount string
	path, entry                       *template
	auth                              VaultAuth
}

var checkVaultRole = form(`[A-Za-z0-9._-]{1,128}`, "a role: letters, digits and ._- , at most 128")

// checkVaultAddress requires TLS except on loopback, since keys are sent there.
func checkVaultAddress(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return &entry.RuleError{Must: "the address of a vault, such as https://vault.example.com:8200"}
	}
	host, err := netip.ParseAddr(u.Hostname())
	loopback := u.Hostname() == "localhost" || err == nil && host.IsLoopback()
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback) {
		return errors.New("must start with https://; http:// is only for loopback")
	}
	return nil
}

func (d *decoder) vault(v value) *vaultTemplate {
	t := &vaultTemplate{at: v}
	d.object(v,
		field{"address", true, func(v value) { t.address = d.word(v, checkVaultAddress) }},
		field{"namespace", false, func(v value) { t.namespace = d.word(v, entry.CheckVaultPath) }},
		field{"caFile", false, func(v value) { t.caFile = d.word(v, checkSecretFile) }},
		field{"mount", true, func(v value) { t.mount = d.word(v, entry.CheckVaultPath) }},
		field{"path", true, func(v value) { t.path = d.template(v, entry.CheckVaultPath) }},
		field{"entry", true, func(v value) { t.entry = d.template(v, entry.CheckVaultEntry) }},
		field{"auth", true, func(v value) { t.auth = d.vaultAuth(v) }},
	)
	return t
}

func (d *decoder) vaultAuth(v value) (a VaultAuth) {
	o := d.object(v,
		field{"tokenEnv", false, func(v value) { a.TokenEnv = d.secretSource(v, checkEnv).Env }},
		field{"tokenFile", false, func(v value) { a.TokenFile = d.secretSource(v, checkSecretFile).File }},
		field{"appRole", false, func(v value) {
			r := &VaultAppRole{Mount: "approle"}
			a.AppRole = r
			o := d.object(v,
				field{"mount", false, func(v value) { r.Mount = d.word(v, entry.CheckVaultPath) }},
				field{"roleID", true, func(v value) { r.RoleID = d.word(v, checkVaultRole) }},
				field{"secretIDEnv", false, func(v value) { r.SecretIDEnv = d.secretSource(v, checkEnv).Env }},
				field{"secretIDFile", false, func(v value) { r.SecretIDFile = d.secretSource(v, checkSecretFile).File }},
			)
			d.exactlyOne(o, "secretIDEnv", "secretIDFile")
		}},
		field{"kubernetes", false, func(v value) { a.JWT = d.vaultJWT(v, "kubernetes", serviceAccountToken) }},
		field{"jwt", false, func(v value) { a.JWT = d.vaultJWT(v, "jwt", "") }},
	)
	d.exactlyOne(o, "tokenEnv", "tokenFile", "appRole", "kubernetes", "jwt")
	return a
}

// vaultJWT reads a login by JWT. file is the default of TokenFile; "": none.
func (d *decoder) vaultJWT(v value, mount, file string) *VaultJWT {
	j := &VaultJWT{Mount: mount}
	o := d.object(v,
		field{"mount", false, func(v value) { j.Mount = d.word(v, entry.CheckVaultPath) }},
		field{"role", true, func(v value) { j.Role = d.word(v, checkVaultRole) }},
		field{"tokenEnv", false, func(v value) { j.TokenEnv = d.secretSource(v, checkEnv).Env }},
		field{"tokenFile", false, func(v value) { j.TokenFile = d.secretSource(v, checkSecretFile).File }},
	)
	_, env := o.keys["tokenEnv"]
	_, given := o.keys["tokenFile"]
	if file != "" && !env && !given {
		j.TokenFile = file
	} else if o.node.Kind == yaml.MappingNode {
		d.exactlyOne(o, "tokenEnv", "tokenFile")
	}
	return j
}

func (t *vaultTemplate) locationParts() []*template {
	return []*template{fixed(t.at, "vault "+t.address+" "+t.namespace+" "+t.mount), t.path, t.entry}
}

func (x *expansion) vault(t *vaultTemplate) *VaultStore {
	return &VaultStore{
		Address: t.address, Namespace: t.namespace, CAFile: t.caFile, Mount: t.mount,
		Path: x.path(t.path), Entry: x.text(t.entry), Auth: t.auth,
	}
}

func (v VaultStore) location() string {
	return fmt.Sprintf("the entry %q of the secret %q in the mount %q of the vault %s%s", v.Entry, v.Path, v.Mount, v.Address, strings.TrimSuffix(" "+v.Namespace, " "))
}
