package kubernetes

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// kubeconfig has the members of a kubeconfig that matter here.
//
// Source: https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
type kubeconfig struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"`
	Current    string `yaml:"current-context"`
	Clusters   []item `yaml:"clusters"`
	Users      []item `yaml:"users"`
	Contexts   []item `yaml:"contexts"`
}

// item is a named item of one of the lists, and so has one of the other members.
type item struct {
	Name    string  `yaml:"name"`
	Cluster cluster `yaml:"cluster"`
	User    user    `yaml:"user"`
	Context struct {
		Cluster string `yaml:"cluster"`
		User    string `yaml:"user"`
	} `yaml:"context"`
}

type cluster struct {
	Server        string  `yaml:"server"`
	ServerName    string  `yaml:"tls-server-name"`
	Insecure      bool    `yaml:"insecure-skip-tls-verify"`
	AuthorityFile string  `yaml:"certificate-authority"`
	Authority     encoded `yaml:"certificate-authority-data"`
	Proxy         string  `yaml:"proxy-url"`
	Uncompressed  bool    `yaml:"disable-compression"`
}

type user struct {
	Token           string              `yaml:"token"`
	TokenFile       string              `yaml:"tokenFile"`
	CertificateFile string              `yaml:"client-certificate"`
	Certificate     encoded             `yaml:"client-certificate-data"`
	KeyFile         string              `yaml:"client-key"`
	Key             encoded             `yaml:"client-key-data"`
	Username        string              `yaml:"username"`
	Password        string              `yaml:"password"`
	As              string              `yaml:"as"`
	AsUID           string              `yaml:"as-uid"`
	AsGroups        []string            `yaml:"as-groups"`
	AsExtra         map[string][]string `yaml:"as-user-extra"`
	Exec            *struct{}           `yaml:"exec"`
	AuthProvider    *struct {
		Name string `yaml:"name"`
	} `yaml:"auth-provider"`
}

// encoded is data in base64.
type encoded []byte

// UnmarshalYAML satisfies yaml.Unmarshaler.
func (e *encoded) UnmarshalYAML(n *yaml.Node) error {
	var text string
	if err := n.Decode(&text); err != nil {
		return err
	}
	data, err := base64.StdEncoding.DecodeString(text)
	*e = data
	return err
}

// Check returns why latchkey can't use a context of a kubeconfig, or nil. It calls
// nothing. file is the kubeconfig's path, or empty.
func Check(text []byte, context, file string) error {
	_, err := usedOf(text, context, file)
	return err
}

// used is the part of a kubeconfig that a context uses.
type used struct {
	in      folder // of the files
	cluster cluster
	user    user
}

// usedOf returns the part of a kubeconfig that a context uses, with paths that begin at
// its folder. file is the kubeconfig's path; if empty, it may name no files.
func usedOf(text []byte, context, file string) (*used, error) {
	var known kubeconfig
	if err := yaml.Unmarshal(text, &known); err != nil || !known.valid() {
		// A YAML error may quote the text, which contains tokens.
		return nil, errors.New("the kubeconfig is not valid")
	}
	context = cmp.Or(context, known.Current)
	at := find(known.Contexts, context)
	if at == nil {
		return nil, fmt.Errorf("the kubeconfig has no context %q", context)
	}
	cluster, user := find(known.Clusters, at.Context.Cluster), find(known.Users, at.Context.User)
	switch {
	case cluster == nil:
		return nil, fmt.Errorf("the kubeconfig has no cluster %q, which its context %q needs", at.Context.Cluster, context)
	case user == nil:
		return nil, fmt.Errorf("the kubeconfig has no user %q, which its context %q needs", at.Context.User, context)
	}
	u := &used{cluster: cluster.Cluster, user: user.User}
	for _, err := range []error{u.user.check(user.Name), u.checkFiles(file), u.user.checkOne(user.Name), u.cluster.check(cluster.Name)} {
		if err != nil {
			return nil, err
		}
	}
	return u, u.resolve(file)
}

// valid reports whether the text was a kubeconfig whose names are unique.
func (k *kubeconfig) valid() bool {
	for _, list := range [][]item{k.Clusters, k.Users, k.Contexts} {
		names := map[string]bool{}
		for _, i := range list {
			if names[i.Name] {
				return false
			}
			names[i.Name] = true
		}
	}
	return (k.APIVersion == "" || k.APIVersion == "v1") && (k.Kind == "" || k.Kind == "Config")
}

// find returns the item with the name, or nil. An empty name is none.
func find(list []item, name string) *item {
	i := slices.IndexFunc(list, func(i item) bool { return i.Name == name })
	if i < 0 || name == "" {
		return nil
	}
	return &list[i]
}

func (u *user) hasCertificate() bool { return u.CertificateFile != "" || len(u.Certificate) > 0 }

// check rejects a user who has no login, or runs a program. Whoever may write a kubeconfig
// must not run a program with latchkey's identity.
func (u *user) check(name string) error {
	switch {
	case u.Exec != nil:
		return fmt.Errorf("the user %q of the kubeconfig has exec, which would run a program; use a token or a certificate", name)
	case u.AuthProvider != nil:
		return fmt.Errorf("the user %q of the kubeconfig has auth-provider %s, which latchkey does not support%s", name, u.AuthProvider.Name, instead(u.AuthProvider.Name))
	case u.Token+u.TokenFile+u.Username == "" && !u.hasCertificate():
		return fmt.Errorf("the user %q of the kubeconfig has no token and no certificate", name)
	}
	return nil
}

// checkOne rejects a user whose login is not one.
func (u *user) checkOne(name string) error {
	certificate := u.hasCertificate()
	switch {
	case u.As+u.AsUID != "" || len(u.AsGroups)+len(u.AsExtra) > 0:
		return fmt.Errorf("the user %q of the kubeconfig acts as another user, which latchkey does not support; use the login of that user", name)
	case u.Token+u.TokenFile != "" && u.Username+u.Password != "":
		return fmt.Errorf("the user %q of the kubeconfig has a token and a password; remove one of them", name)
	case certificate && u.KeyFile == "" && len(u.Key) == 0:
		return fmt.Errorf("the user %q of the kubeconfig has a certificate without client-key", name)
	case certificate && (both(u.CertificateFile, u.Certificate) || both(u.KeyFile, u.Key)):
		return fmt.Errorf("the user %q of the kubeconfig has a certificate or a key both as a file and as data; remove one of them", name)
	}
	return nil
}

// check rejects a cluster that can't be reached, or whose certificate is both trusted and
// not looked at.
func (c *cluster) check(name string) error {
	authority := c.AuthorityFile != "" || len(c.Authority) > 0
	switch {
	case c.Server == "":
		return fmt.Errorf("the cluster %q of the kubeconfig has no server", name)
	case both(c.AuthorityFile, c.Authority):
		return fmt.Errorf("the cluster %q of the kubeconfig has certificate-authority both as a file and as data; remove one of them", name)
	case authority && c.Insecure:
		return fmt.Errorf("the cluster %q of the kubeconfig has both certificate-authority and insecure-skip-tls-verify; remove one of them", name)
	}
	switch at, err := c.address(); { // neither may be quoted
	case err != nil:
		return fmt.Errorf("the server of the cluster %q of the kubeconfig is no URL", name)
	case at.User != nil: // it would be sent without TLS, too
		return fmt.Errorf("the server of the cluster %q of the kubeconfig has a login in its URL; put it into the user", name)
	}
	if _, err := c.proxy(); err != nil {
		return fmt.Errorf("proxy-url of the cluster %q of the kubeconfig is no URL with http, https or socks5", name)
	}
	return nil
}

func both(file string, data encoded) bool { return file != "" && len(data) > 0 }

var errURL = errors.New("the URL is not valid")

// address returns the URL of the server. Without a scheme it is http, as for kubectl.
func (c *cluster) address() (*url.URL, error) {
	at, err := url.Parse(c.Server)
	if err != nil || at.Scheme == "" || at.Host == "" {
		if at, err = url.Parse("http://" + c.Server); err != nil || strings.Trim(at.Path, "/") != "" {
			return nil, errURL
		}
	}
	at.RawQuery, at.Fragment = "", ""
	return at, nil
}

// proxy returns the URL of the proxy, or nil for that of the environment.
func (c *cluster) proxy() (*url.URL, error) {
	if c.Proxy == "" {
		return nil, nil //nolint:nilnil // see above
	}
	at, err := url.Parse(c.Proxy)
	if err != nil || !slices.Contains([]string{"http", "https", "socks5"}, at.Scheme) {
		return nil, errURL
	}
	return at, nil
}

// instead names what to use in the place of an auth-provider. A kubeconfig of IBM
// Cloud Kubernetes Service logs a user in by oidc, with tokens that expire in days.
func instead(provider string) string {
	if provider == "oidc" {
		return ": it logs in a user of IBM Cloud; use a kubeconfig with the token of a service account, or one of `ibmcloud ks cluster config --admin`, which has a certificate"
	}
	return "; use a token or a certificate"
}

// files returns the paths in the kubeconfig by field.
func (u *used) files() map[string]*string {
	return map[string]*string{
		"certificate-authority": &u.cluster.AuthorityFile,
		"client-certificate":    &u.user.CertificateFile,
		"client-key":            &u.user.KeyFile,
		"tokenFile":             &u.user.TokenFile,
	}
}

// checkFiles rejects a path outside of the kubeconfig's folder. Whoever may write a
// kubeconfig must not send a file of latchkey's to a server.
func (u *used) checkFiles(file string) error {
	for field, path := range u.files() {
		switch {
		case *path == "":
		case file == "":
			return fmt.Errorf("%s of the kubeconfig names a file; a kubeconfig from a variable must contain the data", field)
		case !inFolder(filepath.Dir(file), *path):
			return fmt.Errorf("%s of the kubeconfig names a file outside its folder; put the file beside the kubeconfig", field)
		}
	}
	return nil
}

// resolve makes the paths begin at the kubeconfig's folder.
func (u *used) resolve(file string) error {
	in, err := filepath.Abs(filepath.Dir(file))
	for _, path := range u.files() {
		if err == nil && filepath.IsAbs(*path) {
			*path, err = filepath.Rel(in, *path)
		}
	}
	if u.in = folder(in); err != nil {
		return errors.New("the paths in the kubeconfig can't be resolved")
	}
	return nil
}

// inFolder reports whether the path, which may be relative to the folder, is in it.
func inFolder(folder, path string) bool {
	if !filepath.IsAbs(path) {
		return filepath.IsLocal(path)
	}
	folder, err := filepath.Abs(folder)
	if err != nil {
		return false
	}
	inside, err := filepath.Rel(folder, path)
	return err == nil && filepath.IsLocal(inside)
}
