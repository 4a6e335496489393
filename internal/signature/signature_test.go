package signature

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestWhichKeysSign(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := x509.MarshalPKCS8PrivateKey(other)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, bytes []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes})
	}
	for name, tc := range map[string]struct {
		text []byte
		want error
	}{
		"a key in SEC 1 form":                  {block("EC PRIVATE KEY", sec1), nil},
		"a key in PKCS #8 form":                {block("PRIVATE KEY", pkcs8), nil},
		"a key behind parameters of its curve": {append(block("EC PARAMETERS", []byte{6, 0}), block("EC PRIVATE KEY", sec1)...), nil},
		"an RSA key does not":                  {block("PRIVATE KEY", foreign), ErrKey},
		"a text that is no key does not":       {[]byte("secret"), ErrKey},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "key.pem")
			if err := os.WriteFile(file, tc.text, 0o600); err != nil {
				t.Fatal(err)
			}
			read, err := ReadKey(t.Context(), file)
			if !errors.Is(err, tc.want) || tc.want == nil && !key.Equal(read) {
				t.Errorf("read %t, %v", read != nil, err)
			}
		})
	}
	if _, err := ReadKey(t.Context(), "none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that does not exist: %v", err)
	}
}

func TestASignatureHoldsForItsTextOnly(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sum, other := sha256.Sum256([]byte("a report")), sha256.Sum256([]byte("a report, altered"))
	first, err := Of(key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	sig, err := base64.StdEncoding.DecodeString(first)
	if err != nil || !ecdsa.VerifyASN1(&key.PublicKey, sum[:], sig) || ecdsa.VerifyASN1(&key.PublicKey, other[:], sig) {
		t.Errorf("%v: %s", err, first)
	}
	if again, err := Of(key, sum[:]); err != nil || again != first {
		t.Errorf("%v: another signature of the same text", err)
	}
}
