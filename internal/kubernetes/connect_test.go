package kubernetes_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/kubernetes"
	"github.com/latchkey-io/latchkey/internal/port"
)

// door is an API server that keeps how the last call came in.
type door struct {
	*httptest.Server

	mu   sync.Mutex
	last seen
}

type seen struct {
	Path, Login, Proto, Host, Name, Encoding string
	Certificate                              bool
}

// newDoor starts a server that speaks TLS, and HTTP/2, or neither.
func newDoor(t *testing.T, secure bool) *door {
	t.Helper()
	d := &door{}
	d.Server = httptest.NewUnstartedServer(d)
	t.Cleanup(d.Close)
	if !secure {
		d.Start()
		return d
	}
	d.EnableHTTP2 = true
	d.Config.ErrorLog = log.New(io.Discard, "", 0) // a client rejects the certificate
	d.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12}
	d.StartTLS()
	return d
}

// ServeHTTP answers with a Secret.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last = seen{Path: r.URL.Path, Login: r.Header.Get("Authorization"), Proto: r.Proto, Host: r.Host, Encoding: r.Header.Get("Accept-Encoding")}
	if r.TLS != nil {
		d.last.Name, d.last.Certificate = r.TLS.ServerName, len(r.TLS.PeerCertificates) > 0
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`{"kind":"Secret","metadata":{"name":"s","namespace":"ns","resourceVersion":"7"},"data":{"K":"dg=="}}`))
}

// pair returns the server's certificate and key, in PEM.
func (d *door) pair(t *testing.T) (certificate, key []byte) {
	t.Helper()
	private, err := x509.MarshalPKCS8PrivateKey(d.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: d.Certificate().Raw}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
}

// configured returns a kubeconfig for the fields of its only cluster and user.
func configured(t *testing.T, cluster, user map[string]any) []byte {
	t.Helper()
	text, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": "c", "preferences": map[string]any{},
		"clusters": []any{map[string]any{"name": "c", "cluster": cluster}}, "users": []any{map[string]any{"name": "u", "user": user}},
		"contexts": []any{map[string]any{"name": "c", "context": map[string]any{"cluster": "c", "user": "u", "namespace": "default"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func with(fields map[string]any, more map[string]any) map[string]any {
	all := maps.Clone(fields)
	for name, value := range more {
		if all[name] = value; value == nil {
			delete(all, name)
		}
	}
	return all
}

func storeOf(file string, text func() []byte) *kubernetes.Store {
	return kubernetes.New(kubernetes.Config{File: file, Kubeconfig: func(context.Context) ([]byte, error) { return text(), nil }}).
		Store(kubernetes.StoreConfig{Namespace: "ns", Secret: "s", Entry: "K"})
}

// folder has the files that a kubeconfig may name.
func folder(t *testing.T, d *door) (path string, write func(name, text string)) {
	t.Helper()
	path = t.TempDir()
	write = func(name, text string) {
		if err := os.WriteFile(filepath.Join(path, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	certificate, key := d.pair(t)
	write("pair.pem", string(certificate))
	write("key.pem", string(key))
	write("token", " from-file\n")
	write("empty", "\n")
	write("config", "the text of this file is not read here")
	return path, write
}

func TestAKubeconfigSaysHowToConnect(t *testing.T) {
	d, plain := newDoor(t, true), newDoor(t, false)
	in, _ := folder(t, d)
	certificate, key := d.pair(t)
	chain, private := base64.StdEncoding.EncodeToString(certificate), base64.StdEncoding.EncodeToString(key)
	cluster, token := map[string]any{"server": d.URL, "certificate-authority-data": chain}, map[string]any{"token": "own"}
	const path = "/api/v1/namespaces/ns/secrets/s"
	usual := seen{Path: path, Login: "Bearer own", Proto: "HTTP/2.0", Host: d.Listener.Addr().String(), Encoding: "gzip"}
	but := func(change func(*seen)) seen {
		s := usual
		change(&s)
		return s
	}
	bare := seen{Path: path, Proto: "HTTP/1.1", Host: plain.Listener.Addr().String(), Encoding: "gzip"}
	for name, c := range map[string]struct {
		cluster, user map[string]any // beside those above
		plain         bool           // the server speaks no TLS
		want          seen
	}{
		"a token":                         {want: usual},
		"a token in a file":               {user: map[string]any{"token": nil, "tokenFile": "token"}, want: but(func(s *seen) { s.Login = "Bearer from-file" })},
		"a file has precedence":           {user: map[string]any{"tokenFile": in + "/token"}, want: but(func(s *seen) { s.Login = "Bearer from-file" })},
		"the token of an absent file":     {user: map[string]any{"tokenFile": "absent"}, want: usual},
		"the token of an empty file":      {user: map[string]any{"tokenFile": "empty"}, want: usual},
		"a password":                      {user: map[string]any{"token": nil, "username": "me", "password": "pass"}, want: but(func(s *seen) { s.Login = "Basic bWU6cGFzcw==" })},
		"an authority in a file":          {cluster: map[string]any{"certificate-authority-data": nil, "certificate-authority": "pair.pem"}, want: usual},
		"an authority with a folder":      {cluster: map[string]any{"certificate-authority-data": nil, "certificate-authority": in + "/pair.pem"}, want: usual},
		"any authority":                   {cluster: map[string]any{"certificate-authority-data": nil, "insecure-skip-tls-verify": true}, want: usual},
		"another name in the certificate": {cluster: map[string]any{"tls-server-name": "example.com"}, want: but(func(s *seen) { s.Name = "example.com" })},
		"no compression":                  {cluster: map[string]any{"disable-compression": true}, want: but(func(s *seen) { s.Encoding = "" })},
		"a path, a query and a fragment":  {cluster: map[string]any{"server": d.URL + "/k8s/east/?a=b#c"}, want: but(func(s *seen) { s.Path = "/k8s/east" + path })},
		"a certificate": {
			user: map[string]any{"token": nil, "client-certificate-data": chain, "client-key-data": private},
			want: but(func(s *seen) { s.Login, s.Certificate = "", true }),
		},
		"a certificate in files": {
			user: map[string]any{"token": nil, "client-certificate": "pair.pem", "client-key": "key.pem"},
			want: but(func(s *seen) { s.Login, s.Certificate = "", true }),
		},
		"a certificate with its key in a file": {
			user: map[string]any{"client-certificate-data": chain, "client-key": "key.pem"},
			want: but(func(s *seen) { s.Certificate = true }),
		},
		"without TLS no login is sent":                  {plain: true, user: map[string]any{"client-certificate-data": chain, "client-key-data": private}, want: bare},
		"without a scheme it is http":                   {plain: true, cluster: map[string]any{"server": plain.Listener.Addr().String() + "/"}, want: bare},
		"a proxy":                                       {plain: true, cluster: map[string]any{"server": "http://kube.example", "proxy-url": plain.URL}, want: seen{Path: path, Proto: "HTTP/1.1", Host: "kube.example", Encoding: "gzip"}},
		"an authority in several lines":                 {cluster: map[string]any{"certificate-authority-data": chain[:40] + "\n" + chain[40:]}, want: usual},
		"empty data beside a file":                      {cluster: map[string]any{"certificate-authority-data": "", "certificate-authority": "pair.pem"}, want: usual},
		"what latchkey does not know":                   {cluster: map[string]any{"extensions": []any{map[string]any{"name": "x", "extension": 7}}}, want: usual},
		"an exec, a provider and acting as someone: no": {user: map[string]any{"exec": json.RawMessage("null"), "auth-provider": json.RawMessage("null"), "as": "", "as-groups": []string{}}, want: usual},
	} {
		t.Run(name, func(t *testing.T) {
			at, first := d, with(cluster, c.cluster)
			if c.plain {
				at, first = plain, with(map[string]any{"server": plain.URL}, c.cluster)
			}
			text := configured(t, first, with(token, c.user))
			if err := kubernetes.Check(text, "", filepath.Join(in, "config")); err != nil {
				t.Fatal(err)
			}
			if _, err := storeOf(filepath.Join(in, "config"), func() []byte { return text }).Read(t.Context()); err != nil {
				t.Fatal(err)
			}
			at.mu.Lock()
			defer at.mu.Unlock()
			if at.last != c.want {
				t.Errorf("seen %+v\nwant %+v", at.last, c.want)
			}
		})
	}
}

func TestAKubeconfigInYAMLIsRead(t *testing.T) {
	d := newDoor(t, true)
	certificate, _ := d.pair(t)
	text := "clusters:\n- cluster: {server: '" + d.URL + "', certificate-authority-data: " + base64.StdEncoding.EncodeToString(certificate) + "}\n  name: one\n" +
		"- {name: two, cluster: {server: ''}}\ncontexts:\n- context:\n    cluster: one\n    user: me\n  name: &mine a/b\ncurrent-context: *mine\n" +
		"users:\n- name: me\n  user:\n    token: >-\n      own\n"
	for named, want := range map[string]error{"": nil, "a/b": nil, "b": port.ErrRefused} {
		s := kubernetes.New(kubernetes.Config{Context: named, Kubeconfig: func(context.Context) ([]byte, error) { return []byte(text), nil }}).
			Store(kubernetes.StoreConfig{Namespace: "ns", Secret: "s", Entry: "K"})
		if _, err := s.Read(t.Context()); want != nil {
			says(t, err, want, `no context "b"`)
		} else if err != nil || d.last.Login != "Bearer own" {
			t.Errorf("context %q: %v, %+v", named, err, d.last)
		}
	}
}

func TestAKubeconfigThatCantWorkIsRefused(t *testing.T) {
	d := newDoor(t, true)
	in, write := folder(t, d)
	file := filepath.Join(in, "config")
	certificate, key := d.pair(t)
	chain, private := base64.StdEncoding.EncodeToString(certificate), base64.StdEncoding.EncodeToString(key)
	write("noise.pem", canary)
	cluster, user := map[string]any{"server": d.URL}, map[string]any{"token": canary}
	whole := func(cluster1, user1 map[string]any) string {
		return string(configured(t, with(cluster, cluster1), with(user, user1)))
	}
	for name, c := range map[string]struct {
		text  string
		says  string
		later bool // what is wrong is in a file
	}{
		"no current context":         {strings.Replace(whole(nil, nil), `"current-context":"c"`, `"current-context":""`, 1), `no context ""`, false},
		"no such context":            {strings.Replace(whole(nil, nil), `"current-context":"c"`, `"current-context":"d"`, 1), `no context "d"`, false},
		"no text":                    {"", `no context ""`, false},
		"no such cluster":            {strings.Replace(whole(nil, nil), `"cluster":"c"`, `"cluster":"d"`, 1), `no cluster "d"`, false},
		"no such user":               {strings.Replace(whole(nil, nil), `"user":"u"`, `"user":"v"`, 1), `no user "v"`, false},
		"a context without cluster":  {strings.Replace(whole(nil, nil), `"cluster":"c",`, ``, 1), `no cluster ""`, false},
		"a context without user":     {strings.Replace(whole(nil, nil), `,"user":"u"`, ``, 1), `no user ""`, false},
		"two clusters of one name":   {strings.Replace(whole(nil, nil), `"clusters":[`, `"clusters":[{"name":"c"},`, 1), "not valid", false},
		"two users of one name":      {strings.Replace(whole(nil, nil), `"users":[`, `"users":[{"name":"u"},`, 1), "not valid", false},
		"another version":            {strings.Replace(whole(nil, nil), `"apiVersion":"v1"`, `"apiVersion":"v2"`, 1), "not valid", false},
		"another kind":               {strings.Replace(whole(nil, nil), `"kind":"Config"`, `"kind":"Secret"`, 1), "not valid", false},
		"a list":                     {`["` + canary + `"]`, "not valid", false},
		"YAML that breaks off":       {"users: [{name: u, user: {token: " + canary, "not valid", false},
		"a token that is a map":      {"users:\n- user:\n    token: {" + canary + ": x}", "not valid", false},
		"a token that is no list":    {"users: " + canary, "not valid", false},
		"data that is no base64":     {whole(nil, map[string]any{"client-certificate-data": canary}), "not valid", false},
		"no server":                  {whole(map[string]any{"server": ""}, nil), "no server", false},
		"a server that is no URL":    {whole(map[string]any{"server": "https://" + canary + ":x"}, nil), "no URL", false},
		"a server with a path only":  {whole(map[string]any{"server": "kube.example/" + canary}, nil), "no URL", false},
		"a login in the URL":         {whole(map[string]any{"server": strings.Replace(d.URL, "//", "//me:"+canary+"@", 1)}, nil), "has a login in its URL", false},
		"such a login without TLS":   {whole(map[string]any{"server": "http://me:" + canary + "@kube.example"}, nil), "has a login in its URL", false},
		"and without a scheme":       {whole(map[string]any{"server": "me:" + canary + "@kube.example"}, nil), "has a login in its URL", false},
		"a token in the URL":         {whole(map[string]any{"server": "http://" + canary + "@kube.example"}, nil), "has a login in its URL", false},
		"a proxy that is no URL":     {whole(map[string]any{"proxy-url": "http://me:" + canary + "@[x"}, nil), "proxy-url", false},
		"a proxy of another kind":    {whole(map[string]any{"proxy-url": "ftp://me:" + canary + "@x"}, nil), "proxy-url", false},
		"an authority twice":         {whole(map[string]any{"certificate-authority": "pair.pem", "certificate-authority-data": chain}, nil), "both as a file", false},
		"an authority or none":       {whole(map[string]any{"insecure-skip-tls-verify": true, "certificate-authority-data": chain}, nil), "insecure-skip-tls-verify", false},
		"a token and a password":     {whole(nil, map[string]any{"username": "me", "password": canary}), "a token and a password", false},
		"acting as someone":          {whole(nil, map[string]any{"as": "someone"}), "acts as another", false},
		"acting by ID":               {whole(nil, map[string]any{"as-uid": "1"}), "acts as another", false},
		"acting in a group":          {whole(nil, map[string]any{"as-groups": []string{"system:masters"}}), "acts as another", false},
		"acting with more":           {whole(nil, map[string]any{"as-user-extra": map[string]any{"scopes": []string{"view"}}}), "acts as another", false},
		"a certificate without key":  {whole(nil, map[string]any{"client-certificate-data": chain}), "without client-key", false},
		"a certificate twice":        {whole(nil, map[string]any{"client-certificate-data": chain, "client-certificate": "pair.pem", "client-key-data": private}), "remove one", false},
		"a key twice":                {whole(nil, map[string]any{"client-certificate-data": chain, "client-key": "key.pem", "client-key-data": private}), "remove one", false},
		"an authority that is none":  {whole(map[string]any{"certificate-authority": "noise.pem"}, nil), "no certificate in PEM", true},
		"an absent authority":        {whole(map[string]any{"certificate-authority": "absent"}, nil), "absent", true},
		"an absent certificate":      {whole(nil, map[string]any{"client-certificate": "absent", "client-key": "key.pem"}), "absent", true},
		"an absent key":              {whole(nil, map[string]any{"client-certificate": "pair.pem", "client-key": "absent"}), "absent", true},
		"a key that is none":         {whole(nil, map[string]any{"client-certificate": "pair.pem", "client-key": "noise.pem"}), "client-key", true},
		"a certificate that is none": {whole(nil, map[string]any{"client-certificate": "noise.pem", "client-key": "key.pem"}), "client-certificate", true},
		"an absent token":            {whole(nil, map[string]any{"token": nil, "tokenFile": "absent"}), "absent", true},
		"an empty token":             {whole(nil, map[string]any{"token": nil, "tokenFile": "empty"}), "empty", true},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := storeOf(file, func() []byte { return []byte(c.text) }).Read(t.Context())
			says(t, err, port.ErrRefused, "connecting to cluster in-cluster", c.says)
			if err := kubernetes.Check([]byte(c.text), "", file); (err == nil) != c.later {
				t.Errorf("checking it: %v", err)
			}
		})
	}
	if d.last != (seen{}) {
		t.Errorf("the server was called: %+v", d.last)
	}
}

func TestFilesOfAKubeconfigAreReadAgain(t *testing.T) {
	d := newDoor(t, true)
	in, write := folder(t, d)
	certificate, _ := d.pair(t)
	text := configured(t, map[string]any{"server": d.URL, "certificate-authority": "pair.pem"}, map[string]any{"tokenFile": "token"})
	s := storeOf(filepath.Join(in, "config"), func() []byte { return text })
	read := func(want string) {
		t.Helper()
		if _, err := s.Read(t.Context()); err != nil || d.last.Login != want {
			t.Errorf("%v, %q, want %q", err, d.last.Login, want)
		}
	}
	read("Bearer from-file")
	write("token", "new\n")
	read("Bearer new")
	write("token", "")
	read("Bearer new")
	if err := os.Remove(filepath.Join(in, "token")); err != nil {
		t.Fatal(err)
	}
	read("Bearer new")

	write("token", "third")
	write("pair.pem", foreign(t))
	s = storeOf(filepath.Join(in, "config"), func() []byte { return text })
	for range 2 {
		_, err := s.Read(t.Context())
		says(t, err, port.ErrUnavailable, "x509")
	}
	write("pair.pem", string(certificate))
	read("Bearer third")
}

// foreign returns a certificate that signed no other one.
func foreign(t *testing.T) string {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	own := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	raw, err := x509.CreateCertificate(rand.Reader, own, own, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}))
}

// TestARedirectIsNotFollowed: it would send the token to another server.
func TestARedirectIsNotFollowed(t *testing.T) {
	d := newDoor(t, true)
	from := httptest.NewTLSServer(http.RedirectHandler(d.URL, http.StatusTemporaryRedirect))
	t.Cleanup(from.Close)
	text := configured(t, map[string]any{"server": from.URL, "insecure-skip-tls-verify": true}, map[string]any{"token": "own"})
	_, err := storeOf("", func() []byte { return text }).Read(t.Context())
	says(t, err, port.ErrUnavailable, "status 307")
	if d.last != (seen{}) {
		t.Errorf("the other server was called: %+v", d.last)
	}
}
