package kubernetes

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/latchkey-io/latchkey/internal/upstream"
)

// server is how an API server is reached.
type server struct {
	base  string // of its URLs
	trust *tls.Config
	// proxy is nil for that of the environment.
	proxy        *url.URL
	uncompressed bool
	login        login
}

// server reads the files that the kubeconfig names. It reads none, and so sends no login,
// if the server speaks no TLS.
func (u *used) server() (*server, error) {
	at, err := u.cluster.address()
	if err != nil {
		return nil, err
	}
	s := &server{base: strings.TrimRight(at.String(), "/"), uncompressed: u.cluster.Uncompressed}
	if s.proxy, err = u.cluster.proxy(); err != nil || at.Scheme != "https" {
		return s, err
	}
	if s.trust, err = u.trust(); err != nil {
		return nil, err
	}
	s.login, err = u.user.login()
	return s, err
}

// trust returns whom the client trusts, and its certificate.
func (u *used) trust() (*tls.Config, error) {
	t := &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: u.cluster.ServerName,
		InsecureSkipVerify: u.cluster.Insecure, //nolint:gosec // the kubeconfig asks for it
	}
	authority, err := content(u.cluster.Authority, u.cluster.AuthorityFile)
	if err != nil {
		return nil, err
	}
	if authority != nil {
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(authority) {
			return nil, errors.New("certificate-authority of the kubeconfig has no certificate in PEM")
		}
	}
	own, err := u.user.certificate()
	if own != nil {
		// Certificates would leave out one of an authority that the server does not name.
		t.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return own, nil }
	}
	return t, err
}

// certificate returns the user's certificate, or nil.
func (u *user) certificate() (*tls.Certificate, error) {
	chain, err := content(u.Certificate, u.CertificateFile)
	if chain == nil {
		return nil, err
	}
	key, err := content(u.Key, u.KeyFile)
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
func content(data encoded, file string) ([]byte, error) {
	switch {
	case len(data) > 0:
		return data, nil
	case file == "":
		return nil, nil
	}
	return os.ReadFile(file)
}

// login is what a user shows with each call.
type login struct {
	username, password string
	token, tokenFile   string
}

func (u *user) login() (login, error) {
	l := login{username: u.Username, password: u.Password, token: u.Token, tokenFile: u.TokenFile}
	if l.tokenFile == "" || l.token != "" {
		return l, nil
	}
	var err error
	l.token, err = readToken(l.tokenFile)
	return l, err
}

func readToken(file string) (string, error) {
	text, err := os.ReadFile(file)
	token := strings.TrimSpace(string(text))
	if err == nil && token == "" {
		err = fmt.Errorf("the token in %s is empty", file)
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
	if token := t.token(); token != "" {
		own.Header.Set("Authorization", "Bearer "+token)
	} else {
		own.SetBasicAuth(t.login.username, t.login.password)
	}
	return t.next.RoundTrip(own)
}

// token returns the token that its file has now, or the last one.
func (t *loggedIn) token() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.login.tokenFile != "" {
		if token, err := readToken(t.login.tokenFile); err == nil {
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
func inCluster(folder string, log *slog.Logger) (*server, error) {
	host, port := os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT")
	if host == "" || port == "" {
		return nil, errors.New("this is no pod of a cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set")
	}
	file := filepath.Join(folder, "token")
	token, err := readToken(file)
	if err != nil {
		return nil, err
	}
	s := &server{
		base: "https://" + net.JoinHostPort(host, port), trust: &tls.Config{MinVersion: tls.VersionTLS12}, login: login{token: token, tokenFile: file},
	}
	authority, err := os.ReadFile(filepath.Join(folder, "ca.crt"))
	if roots := x509.NewCertPool(); err == nil && roots.AppendCertsFromPEM(authority) {
		s.trust.RootCAs = roots
	} else {
		log.Warn("the service account has no certificate authority; those of the system count", "folder", folder)
	}
	return s, nil
}

// carrier returns the transport to the server.
func (s *server) carrier() *http.Transport {
	t := upstream.NewTransport(s.trust)
	t.DisableCompression = s.uncompressed
	// Without pings, calls would fail for minutes after a load balancer dropped the
	// connection, since HTTP/2 has only one.
	t.HTTP2 = &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second}
	if s.proxy != nil {
		t.Proxy = http.ProxyURL(s.proxy)
	}
	return t
}
