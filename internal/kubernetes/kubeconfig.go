package kubernetes

import (
	"errors"
	"fmt"
	"path/filepath"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Check returns why latchkey can't use a context of a kubeconfig, or nil. It calls
// nothing. file is the kubeconfig's path, or empty.
func Check(text []byte, context, file string) error {
	_, err := usedOf(text, context, file)
	return err
}

// usedOf returns the part of a kubeconfig that a context uses.
func usedOf(text []byte, context, file string) (*clientcmdapi.Config, error) {
	known, err := clientcmd.Load(text)
	if err != nil {
		// A YAML error may quote the text, which contains tokens.
		return nil, errors.New("the kubeconfig is not valid")
	}
	if context != "" {
		known.CurrentContext = context
	}
	if err := clientcmdapi.MinifyConfig(known); err != nil {
		return nil, fmt.Errorf("the kubeconfig has no context %q", known.CurrentContext)
	}
	return known, checkKubeconfig(known, file)
}

// checkKubeconfig rejects a kubeconfig that has no login, runs a program or reads a file
// outside its folder, and resolves the paths that it keeps. Whoever may write a kubeconfig
// must not run a program with latchkey's identity, or send a file of its to a server.
// known holds only what the context uses. file is the kubeconfig's path; if empty,
// it may name no files.
func checkKubeconfig(known *clientcmdapi.Config, file string) error {
	for _, cluster := range known.Clusters {
		cluster.LocationOfOrigin = file
	}
	for name, user := range known.AuthInfos {
		user.LocationOfOrigin = file
		switch {
		case user.Exec != nil:
			return fmt.Errorf("the user %q of the kubeconfig has exec, which would run a program; use a token or a certificate", name)
		case user.AuthProvider != nil:
			return fmt.Errorf("the user %q of the kubeconfig has auth-provider %s, which latchkey does not support%s", name, user.AuthProvider.Name, instead(user.AuthProvider.Name))
		case user.Token+user.TokenFile+user.ClientCertificate+user.Username == "" && len(user.ClientCertificateData) == 0:
			return fmt.Errorf("the user %q of the kubeconfig has no token and no certificate", name)
		}
	}
	for field, path := range filesOf(known) {
		if path == "" {
			continue
		}
		if file == "" {
			return fmt.Errorf("%s of the kubeconfig names a file; a kubeconfig from a variable must contain the data", field)
		}
		if !inFolder(filepath.Dir(file), path) {
			return fmt.Errorf("%s of the kubeconfig names a file outside its folder; put the file beside the kubeconfig", field)
		}
	}
	if file == "" {
		return nil
	}
	if err := clientcmd.ResolveLocalPaths(known); err != nil {
		return errors.New("the paths in the kubeconfig can't be resolved")
	}
	return nil
}

// instead names what to use in the place of an auth-provider. A kubeconfig of IBM
// Cloud Kubernetes Service logs a user in by oidc, with tokens that expire in days.
func instead(provider string) string {
	if provider == "oidc" {
		return ": it logs in a user of IBM Cloud; use a kubeconfig with the token of a service account, or one of `ibmcloud ks cluster config --admin`, which has a certificate"
	}
	return "; use a token or a certificate"
}

// filesOf returns the file references by field. The config has one cluster and one
// user at most.
func filesOf(known *clientcmdapi.Config) map[string]string {
	files := map[string]string{}
	for _, cluster := range known.Clusters {
		files["certificate-authority"] = cluster.CertificateAuthority
	}
	for _, user := range known.AuthInfos {
		files["client-certificate"], files["client-key"], files["tokenFile"] = user.ClientCertificate, user.ClientKey, user.TokenFile
	}
	return files
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
