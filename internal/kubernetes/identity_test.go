package kubernetes_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/port"
)

// issuer is a certificate authority of clients.
type issuer struct {
	certificate *x509.Certificate
	key         ed25519.PrivateKey
}

func newIssuer(t *testing.T, name string) *issuer {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	own := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	raw, err := x509.CreateCertificate(rand.Reader, own, own, public, private)
	if err != nil {
		t.Fatal(err)
	}
	if own, err = x509.ParseCertificate(raw); err != nil {
		t.Fatal(err)
	}
	return &issuer{own, private}
}

// issue returns the certificate of a client and its key, in PEM.
func (i *issuer) issue(t *testing.T) (certificate, key string) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "latchkey"}, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, i.certificate, public, i.key)
	if err != nil {
		t.Fatal(err)
	}
	coded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: coded}))
}

func TestAReplacedClientCertificateIsReadAgain(t *testing.T) {
	for name, c := range map[string]struct {
		version uint16
		http2   bool
	}{
		"TLS 1.2": {tls.VersionTLS12, false}, "TLS 1.3": {tls.VersionTLS13, false},
		"TLS 1.2 and HTTP/2": {tls.VersionTLS12, true}, "TLS 1.3 and HTTP/2": {tls.VersionTLS13, true},
	} {
		t.Run(name, func(t *testing.T) {
			older, newer := newIssuer(t, "older"), newIssuer(t, "newer")
			d := &door{}
			d.Server = httptest.NewUnstartedServer(d)
			t.Cleanup(d.Close)
			d.EnableHTTP2 = c.http2
			d.Config.SetKeepAlivesEnabled(c.http2) // else each call has a handshake
			d.Config.ErrorLog = log.New(io.Discard, "", 0)
			d.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: c.version, MaxVersion: c.version}
			var only atomic.Pointer[issuer] // that the server trusts
			only.Store(newer)
			d.TLS.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
				own := d.TLS.Clone()
				own.ClientCAs = x509.NewCertPool()
				own.ClientCAs.AddCert(only.Load().certificate)
				return own, nil
			}
			d.StartTLS()

			in, write := folder(t, d)
			replace := func(i *issuer) (key string) {
				certificate, key := i.issue(t)
				write("own.pem", certificate)
				write("own-key.pem", key)
				return key
			}
			authority, _ := d.pair(t)
			text := configured(t, map[string]any{"server": d.URL, "certificate-authority-data": base64.StdEncoding.EncodeToString(authority)},
				map[string]any{"client-certificate": "own.pem", "client-key": "own-key.pem"})
			replace(older)
			s := storeOf(filepath.Join(in, "config"), func() []byte { return text })
			for range 2 {
				if _, err := s.Read(t.Context()); !errors.Is(err, port.ErrUnavailable) {
					t.Fatalf("the server took a certificate of another authority: %v", err)
				}
			}
			key := replace(newer)
			if _, err := s.Read(t.Context()); err != nil {
				t.Fatal(err)
			}
			if c.http2 {
				return
			}
			for range 2 {
				certificate, next := newer.issue(t)
				for _, step := range []func(){
					func() { write("own.pem", certificate) }, // with the key of the last one
					func() { write("own-key.pem", key[:40]) },
					func() { write("own-key.pem", next) },
				} {
					step()
					if _, err := s.Read(t.Context()); err != nil {
						t.Error(err)
					}
				}
				key = next
			}
			replace(older)
			only.Store(older)
			if _, err := s.Read(t.Context()); err != nil {
				t.Errorf("the first call with a new certificate: %v", err)
			}
			for _, name := range []string{"own.pem", "own-key.pem"} {
				if err := os.Remove(filepath.Join(in, name)); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := s.Read(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestFilesOfAKubeconfigMayBeLinks covers a folder as Kubernetes mounts it.
func TestFilesOfAKubeconfigMayBeLinks(t *testing.T) {
	d := newDoor(t, true)
	in, write := folder(t, d)
	outside := t.TempDir()
	certificate, key := d.pair(t)
	link := func(to, name string) {
		t.Helper()
		if err := os.Remove(filepath.Join(in, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		if err := os.Symlink(to, filepath.Join(in, name)); err != nil {
			t.Fatal(err)
		}
	}
	for at, text := range map[string][]byte{"token": []byte(canary), "pair.pem": certificate, "key.pem": key} {
		if err := os.WriteFile(filepath.Join(outside, at), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(in, "..2026_11_24"), 0o700); err != nil {
		t.Fatal(err)
	}
	link("..2026_11_24", "..data")
	write("..data/token", "linked")
	write("..data/pair.pem", string(certificate))
	write("..data/key.pem", string(key))
	read := func(cluster, user map[string]any) error {
		text := configured(t, with(map[string]any{"server": d.URL}, cluster), user)
		_, err := storeOf(filepath.Join(in, "config"), func() []byte { return text }).Read(t.Context())
		return err
	}
	authority := map[string]any{"certificate-authority": "pair.pem"}
	token, own := map[string]any{"tokenFile": "token"}, map[string]any{"client-certificate": "pair.pem", "client-key": filepath.Join(in, "key.pem")}
	for _, name := range []string{"token", "pair.pem", "key.pem"} {
		link("..data/"+name, name)
	}
	for _, user := range []map[string]any{token, own} {
		if err := read(authority, user); err != nil {
			t.Error(err)
		}
	}
	if err := read(authority, token); err != nil || d.last.Login != "Bearer linked" {
		t.Errorf("%v, %+v", err, d.last)
	}

	up, err := filepath.Rel(in, outside)
	if err != nil {
		t.Fatal(err)
	}
	link(outside, "sub")
	d.last = seen{}
	for _, to := range []string{outside, up, "sub", "..data/../" + up} {
		for _, name := range []string{"token", "pair.pem", "key.pem"} {
			link(to+"/"+name, name)
			cluster, user := authority, token
			if name == "key.pem" {
				user = own
			}
			says(t, read(cluster, user), port.ErrRefused, filepath.Join(in, name)+": path escapes")
			link("..data/"+name, name)
		}
		says(t, read(authority, map[string]any{"tokenFile": "sub/token"}), port.ErrRefused, "path escapes")
	}
	if d.last != (seen{}) {
		t.Errorf("the server was called: %+v", d.last)
	}
}
