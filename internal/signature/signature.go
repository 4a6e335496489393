// Package signature signs what latchkey writes, so that a copy can be checked with
// openssl and the public key.
package signature

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/latchkey-io/latchkey/internal/userfile"
)

// ErrKey reports a file without a key that signs.
var ErrKey = errors.New("is not an ECDSA key in PKCS #8 or SEC 1 form")

// ReadKey reads a private key in PEM form, as openssl ecparam and openssl genpkey write
// it.
func ReadKey(ctx context.Context, name string) (*ecdsa.PrivateKey, error) {
	data, err := userfile.Read(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("reading the key: %w", err)
	}
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
			return key, nil
		}
		if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
			if key, ok := key.(*ecdsa.PrivateKey); ok {
				return key, nil
			}
		}
	}
	return nil, fmt.Errorf("reading the key: %s %w", name, ErrKey)
}

// Of returns the signature of a text in base64. sum is the SHA-256 of the text. The
// same text and key yield the same signature (RFC 6979).
func Of(key *ecdsa.PrivateKey, sum []byte) (string, error) {
	sig, err := key.Sign(nil, sum, crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("signing: %w", err)
	}
	return base64.StdEncoding.EncodeToString(sig), nil
}
