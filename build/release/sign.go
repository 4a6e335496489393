package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/latchkey-io/latchkey/internal/signature"
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

// sign signs the checksums and the provenance. cosign verify-blob and openssl verify
// SHA256SUMS.sig; the provenance is in an envelope of DSSE.
func (r release) sign(statement, sums []byte) error {
	key, err := signature.ReadKey(context.Background(), r.key)
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

// signKeyless lets cosign sign the checksums, which cover the provenance. The bundle has a
// certificate and a time, so it is not the same each time:
//
//	cosign verify-blob --bundle SHA256SUMS.sigstore.json --certificate-identity … --certificate-oidc-issuer … SHA256SUMS
func (r release) signKeyless() error {
	cmd := exec.CommandContext(context.Background(), "cosign", "sign-blob", "--yes",
		"--bundle", filepath.Join(r.out, "SHA256SUMS.sigstore.json"), filepath.Join(r.out, "SHA256SUMS"))
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("signing with cosign: %w", err)
	}
	return nil
}

// signed returns a signature of the data.
func signed(key *ecdsa.PrivateKey, data []byte) (string, error) {
	sum := sha256.Sum256(data)
	return signature.Of(key, sum[:])
}
