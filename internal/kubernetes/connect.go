package kubernetes

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/latchkey-io/latchkey/internal/userfile"
)

// server is how an API server is reached.
type server struct {
	base  string      // of its URLs
	trust *tls.Config // nil if it speaks no TLS
	// authority and own are what trust was made of: the certificate authority in PEM, and
	// the client's certificate with its chain.
	authority []byte
	own       [][]byte
	// proxy is nil for that of the environment.
	proxy        *url.URL
	uncompressed bool
	login        login
}

// server reads the files that the kubeconfig names. It reads none, and so sends no login,
// if the server speaks no TLS.
func (u *used) server(ctx context.Context) (*server, error) {
	at, err := u.cluster.address()
	if err != nil {
		return nil, err
	}
	s := &server{base: strings.TrimRight(at.String(), "/"), uncompressed: u.cluster.Uncompressed}
	if s.proxy, err = u.cluster.proxy(); err != nil || at.Scheme != "https" {
		return s, err
	}
	if err = u.secure(ctx, s); err != nil {
		return nil, err
	}
	s.login, err = u.login(ctx)
	return s, err
}

// secure sets whom the client trusts, and its certificate.
func (u *used) secure(ctx context.Context, s *server) (err error) {
	s.trust = &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: u.cluster.ServerName,
		InsecureSkipVerify: u.cluster.Insecure, //nolint:gosec // the kubeconfig asks for it
	}
	if s.authority, err = u.content(ctx, u.cluster.Authority, u.cluster.AuthorityFile); err != nil {
		return err
	}
	if s.authority != nil {
		s.trust.RootCAs = x509.NewCertPool()
		if !s.trust.RootCAs.AppendCertsFromPEM(s.authority) {
			return errors.New("certificate-authority of the kubeconfig has no certificate in PEM")
		}
	}
	if !u.user.hasCertificate() {
		return nil
	}
	own, err := u.certificate(ctx)
	if err != nil {
		return err
	}
	s.own = own.Certificate
	// Certificates would leave out one of an authority that the server does not name.
	s.trust.GetClientCertificate = (&identity{of: u, last: own}).certificate
	return nil
}

// identity is the client's certificate. Its files may be replaced at any time, so each
// handshake reads them again.
type identity struct {
	of *used

	mu   sync.Mutex
	last *tls.Certificate // guarded by mu
}

// certificate returns the certificate that the files have now, or the last one that
// matched its key: while files are replaced, they may be of two certificates.
func (i *identity) certificate(asked *tls.CertificateRequestInfo) (*tls.Certificate, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if now, err := i.of.certificate(asked.Context()); err == nil {
		i.last = now
	}
	return i.last, nil
}

// certificate returns the user's certificate.
func (u *used) certificate(ctx context.Context) (*tls.Certificate, error) {
	chain, err := u.content(ctx, u.user.Certificate, u.user.CertificateFile)
	if err != nil {
		return nil, err
	}
	key, err := u.content(ctx, u.user.Key, u.user.KeyFile)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil { // which may quote the files
		return nil, errors.New("client-certificate and client-key of the kubeconfig are no certificate in PEM with its key")
	}
	return &pair, nil
}

// content returns the data, or that of the file. It returns nil if there is neither.
func (u *used) content(ctx context.Context, data encoded, file string) ([]byte, error) {
	switch {
	case len(data) > 0:
		return data, nil
	case file == "":
		return nil, nil
	}
	return u.in.read(ctx, file)
}

// login is what a user shows with each call.
type login struct {
	username, password string
	token, tokenFile   string
	in                 folder // of tokenFile
}

func (u *used) login(ctx context.Context) (login, error) {
	l := login{username: u.user.Username, password: u.user.Password, token: u.user.Token, tokenFile: u.user.TokenFile, in: u.in}
	if l.tokenFile == "" || l.token != "" {
		return l, nil
	}
	var err error
	l.token, err = l.in.token(ctx, l.tokenFile)
	return l, err
}

// folder is one that files are read from.
type folder string

// read reads a file of the folder. A link that leads out of it is an error: whoever may
// write there must not send a file of latchkey's to a server.
func (f folder) read(ctx context.Context, name string) ([]byte, error) {
	path := filepath.Join(string(f), name)
	return userfile.ReadBy(ctx, path, func() ([]byte, error) {
		file, err := os.OpenInRoot(string(f), name)
		if cause := (*os.PathError)(nil); errors.As(err, &cause) { // which names no folder
			return nil, &os.PathError{Op: "open", Path: path, Err: cause.Err}
		} else if err != nil {
			return nil, err
		}
		defer file.Close()
		return io.ReadAll(file)
	})
}

func (f folder) token(ctx context.Context, name string) (string, error) {
	text, err := f.read(ctx, name)
	token := strings.TrimSpace(string(text))
	if err == nil && token == "" {
		err = fmt.Errorf("the token in %s is empty", filepath.Join(string(f), name))
	}
	return token, err
}

// transport returns a transport that logs in.
func (l login) transport(next http.RoundTripper) http.RoundTripper {
	if l.username == "" && l.token == "" {
		return next
	}
	return &loggedIn{next: next, login: l}
}

type loggedIn struct {
	next http.RoundTripper

	mu    sync.Mutex // guards login
	login login
}

// RoundTrip satisfies http.RoundTripper.
func (t *loggedIn) RoundTrip(req *http.Request) (*http.Response, error) {
	own := req.Clone(req.Context())
	if token := t.token(req.Context()); token != "" {
		own.Header.Set("Authorization", "Bearer "+token)
	} else {
		own.SetBasicAuth(t.login.username, t.login.password)
	}
	return t.next.RoundTrip(own)
}

// token returns the token that its file has now, or the last one.
func (t *loggedIn) token(ctx context.Context) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.login.tokenFile != "" {
		if token, err := t.login.in.token(ctx, t.login.tokenFile); err == nil {
			t.login.token = token
		}
	}
	return t.login.token
}

// CloseIdleConnections lets http.Client.CloseIdleConnections reach next.
func (t *loggedIn) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// serviceAccount is the folder in which a pod finds its service account.
const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount"

// inCluster returns the API server of the cluster that this process runs in, with the
// service account in the folder.
func inCluster(ctx context.Context, in folder, log *slog.Logger) (*server, error) {
	host, port := os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT")
	if host == "" || port == "" {
		return nil, errors.New("this is no pod of a cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set")
	}
	l := login{tokenFile: "token", in: in}
	var err error
	if l.token, err = in.token(ctx, l.tokenFile); err != nil {
		return nil, err
	}
	s := &server{base: "https://" + net.JoinHostPort(host, port), trust: &tls.Config{MinVersion: tls.VersionTLS12}, login: l}
	authority, err := in.read(ctx, "ca.crt")
	if roots := x509.NewCertPool(); err == nil && roots.AppendCertsFromPEM(authority) {
		s.trust.RootCAs, s.authority = roots, authority
	} else {
		log.Warn("the service account has no certificate authority; those of the system count", "folder", string(in))
	}
	return s, nil
}
