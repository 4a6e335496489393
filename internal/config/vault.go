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

// VaultStore is an entry of a secret in HashiCorp Vault or OpenBao, in a key
// value engine of version 2. Beside Entry latchkey writes the companions
// Entry+"_ID" and Entry+"_LATCHKEY".
type VaultStore struct {
	Address   string // https://vault.example.com:8200
	Namespace string // "": the root
	CAFile    string // "": what this system trusts
	Mount     string
	Path      string
	Entry     string
	Auth      VaultAuth
}

// VaultAuth is how latchkey logs in there: by a token in TokenEnv or TokenFile,
// or by one of the others.
type VaultAuth struct {
	TokenEnv, TokenFile string
	AppRole             *VaultAppRole
	JWT                 *VaultJWT // the methods kubernetes and jwt, which differ in their mount only
}

// VaultAppRole is a login by AppRole.
type VaultAppRole struct {
	Mount                     string
	RoleID                    string
	SecretIDEnv, SecretIDFile string
}

// VaultJWT is a login by a token that somebody else issued.
type VaultJWT struct {
	Mount               string
	Role                string
	TokenEnv, TokenFile string
}

// serviceAccountToken is where Kubernetes mounts the token of a pod.
const serviceAccountToken = "/var/run/secrets/kubernetes.io/serviceaccount/token"

type vaultTemplate struct {
	at                                value
	address, namespace, caFile, mount string
	path, entry                       *template
	auth                              VaultAuth
}

var checkVaultRole = form(`[A-Za-z0-9._-]{1,128}`, "a role: letters, digits and ._- , at most 128")

// checkVaultAddress wants TLS, except on loopback: keys go there.
func checkVaultAddress(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("must be the address of a vault, such as https://vault.example.com:8200")
	}
	host, err := netip.ParseAddr(u.Hostname())
	loopback := u.Hostname() == "localhost" || err == nil && host.IsLoopback()
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback) {
		return errors.New("must start with https://; plain http is for loopback only")
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
		field{"tokenEnv", false, func(v value) { a.TokenEnv = d.secretPlace(v, checkEnv) }},
		field{"tokenFile", false, func(v value) { a.TokenFile = d.secretPlace(v, checkSecretFile) }},
		field{"appRole", false, func(v value) {
			r := &VaultAppRole{Mount: "approle"}
			a.AppRole = r
			o := d.object(v,
				field{"mount", false, func(v value) { r.Mount = d.word(v, entry.CheckVaultPath) }},
				field{"roleID", true, func(v value) { r.RoleID = d.word(v, checkVaultRole) }},
				field{"secretIDEnv", false, func(v value) { r.SecretIDEnv = d.secretPlace(v, checkEnv) }},
				field{"secretIDFile", false, func(v value) { r.SecretIDFile = d.secretPlace(v, checkSecretFile) }},
			)
			d.exactlyOne(o, "secretIDEnv", "secretIDFile")
		}},
		field{"kubernetes", false, func(v value) { a.JWT = d.vaultJWT(v, "kubernetes", serviceAccountToken) }},
		field{"jwt", false, func(v value) { a.JWT = d.vaultJWT(v, "jwt", "") }},
	)
	d.exactlyOne(o, "tokenEnv", "tokenFile", "appRole", "kubernetes", "jwt")
	return a
}

// vaultJWT reads a login by token; without a place for it, it is in the file.
func (d *decoder) vaultJWT(v value, mount, file string) *VaultJWT {
	j := &VaultJWT{Mount: mount}
	o := d.object(v,
		field{"mount", false, func(v value) { j.Mount = d.word(v, entry.CheckVaultPath) }},
		field{"role", true, func(v value) { j.Role = d.word(v, checkVaultRole) }},
		field{"tokenEnv", false, func(v value) { j.TokenEnv = d.secretPlace(v, checkEnv) }},
		field{"tokenFile", false, func(v value) { j.TokenFile = d.secretPlace(v, checkSecretFile) }},
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

func (t *vaultTemplate) placeParts() []*template {
	return []*template{fixed(t.at, "vault "+t.address+" "+t.namespace+" "+t.mount), t.path, t.entry}
}

func (x *expansion) vault(t *vaultTemplate) *VaultStore {
	return &VaultStore{
		Address: t.address, Namespace: t.namespace, CAFile: t.caFile, Mount: t.mount,
		Path: x.path(t.path), Entry: x.text(t.entry), Auth: t.auth,
	}
}

func (v VaultStore) place() string {
	return fmt.Sprintf("the entry %q of the secret %q in the mount %q of the vault %s%s", v.Entry, v.Path, v.Mount, v.Address, strings.TrimSuffix(" "+v.Namespace, " "))
}
