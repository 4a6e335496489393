package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
)

// provenance returns an in-toto statement about the files: which commit and which Go
// they are made of. The program that builds says so itself. No platform attests it.
//
// Source: https://slsa.dev/spec/v1.0/provenance
func (r release) provenance(files []digest) ([]byte, error) {
	subjects := []map[string]any{}
	for _, f := range files {
		subjects = append(subjects, map[string]any{"name": f.name, "digest": map[string]string{"sha256": f.sum}})
	}
	const source = "git+https://github.com/latchkey-io/latchkey"
	doc := map[string]any{
		"_type": "https://in-toto.io/Statement/v1", "subject": subjects, "predicateType": "https://slsa.dev/provenance/v1",
		"predicate": map[string]any{
			"buildDefinition": map[string]any{
				"buildType":            "https://github.com/latchkey-io/latchkey/tree/main/build/release",
				"externalParameters":   map[string]string{"source": source, "version": r.version},
				"internalParameters":   map[string]string{"go": goVersion()},
				"resolvedDependencies": []map[string]any{{"uri": source, "digest": map[string]string{"gitCommit": r.commit}}},
			},
			"runDetails": map[string]any{"builder": map[string]string{"id": "https://github.com/latchkey-io/latchkey/tree/main/build/release#self-stated"}},
		},
	}
	data, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding the provenance: %w", err)
	}
	return append(data, '\n'), nil
}

var errKey = errors.New("is not an ECDSA key in PKCS #8 or SEC 1 form")

// sign signs the checksums and the provenance. cosign verify-blob and openssl verify
// SHA256SUMS.sig; the provenance is in an envelope of DSSE.
func (r release) sign(statement, sums []byte) error {
	key, err := readKey(r.key)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return fmt.Errorf("encoding the public key: %w", err)
	}
	sig, err := signed(key, sums)
	if err != nil {
		return err
	}
	const payload = "application/vnd.in-toto+json"
	over := fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(payload), payload, len(statement), statement)
	about, err := signed(key, over)
	if err != nil {
		return err
	}
	id := sha256.Sum256(public)
	envelope, err := json.Marshal(map[string]any{
		"payloadType": payload, "payload": base64.StdEncoding.EncodeToString(statement),
		"signatures": []map[string]string{{"keyid": fmt.Sprintf("%x", id), "sig": about}},
	})
	if err != nil {
		return fmt.Errorf("encoding the envelope: %w", err)
	}
	return errors.Join(
		r.write("SHA256SUMS.sig", []byte(sig)),
		r.write("provenance.intoto.jsonl", append(envelope, '\n')),
		r.write("latchkey.pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})),
	)
}

// signed returns a signature in base64. It is deterministic (RFC 6979), so a signed
// release has the same bytes, too.
func signed(key *ecdsa.PrivateKey, data []byte) (string, error) {
	hash := sha256.Sum256(data)
	sig, err := key.Sign(nil, hash[:], crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("signing: %w", err)
	}
	return base64.StdEncoding.EncodeToString(sig), nil
}

func readKey(name string) (*ecdsa.PrivateKey, error) {
	data, err := os.ReadFile(name)
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
	return nil, fmt.Errorf("reading the key: %s %w", name, errKey)
}
