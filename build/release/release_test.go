package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func example(t *testing.T) (r release, program []byte) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if program, err = os.ReadFile(self); err != nil {
		t.Fatal(err)
	}
	return release{version: "v1.2.3", commit: strings.Repeat("a", 40), date: time.Unix(1_800_000_000, 0), out: t.TempDir(), told: io.Discard}, program
}

func untarred(t *testing.T, data []byte) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	in := tar.NewReader(bytes.NewReader(data))
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.ModTime.Unix() != 1_800_000_000 {
			t.Errorf("%s is of user %d at %s", h.Name, h.Uid, h.ModTime)
		}
		if files[h.Name], err = io.ReadAll(in); err != nil {
			t.Fatal(err)
		}
	}
}

func decoded[T any](t *testing.T, data []byte) (v T) {
	t.Helper()
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestTheImageHasTwoPlatformsTheirSBOMsAndNoShell(t *testing.T) {
	r, program := example(t)
	programs := map[string][]byte{"amd64": program, "arm64": append([]byte{}, program...)}
	packedLayout, err := r.image(programs)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := r.image(programs); err != nil || !bytes.Equal(packedLayout, again) {
		t.Errorf("the same input yields other bytes (%v)", err)
	}
	files := untarred(t, packedLayout)
	blob := func(d descriptor) []byte {
		t.Helper()
		data, ok := files["blobs/sha256/"+strings.TrimPrefix(d.Digest, "sha256:")]
		if !ok || d.Digest != "sha256:"+sum(data) || d.Size != len(data) {
			t.Fatalf("%+v names no blob of this size and digest", d)
		}
		return data
	}
	top := decoded[manifest](t, files["index.json"])
	index := decoded[manifest](t, blob(top.Manifests[0]))
	if len(index.Manifests) != 2 || len(top.Manifests) != 3 {
		t.Fatalf("%d platforms, %d entries", len(index.Manifests), len(top.Manifests))
	}
	for i, d := range index.Manifests {
		image := decoded[manifest](t, blob(d))
		config := decoded[imageConfig](t, blob(*image.Config))
		if config.Architecture != d.Platform.Architecture || config.Config.User != "65532:65532" || config.Config.Labels["org.opencontainers.image.version"] != "v1.2.3" {
			t.Errorf("%+v", config)
		}
		var names []string
		for j, l := range image.Layers {
			z, err := gzip.NewReader(bytes.NewReader(blob(l)))
			if err != nil {
				t.Fatal(err)
			}
			layer, err := io.ReadAll(z)
			if err != nil || config.RootFS.DiffIDs[j] != "sha256:"+sum(layer) {
				t.Errorf("layer %d is not the one of the config (%v)", j, err)
			}
			for name, data := range untarred(t, layer) {
				names = append(names, name)
				if name == "etc/ssl/certs/ca-certificates.crt" && !x509.NewCertPool().AppendCertsFromPEM(data) {
					t.Error("the image has no certificates")
				}
			}
		}
		if all := strings.Join(names, " "); strings.Contains(all, "sh ") || strings.Contains(all, "bin/") || !strings.Contains(all, "latchkey") {
			t.Errorf("the image has %s", all)
		}
		if about := decoded[manifest](t, blob(top.Manifests[i+1])); about.Subject.Digest != d.Digest || about.ArtifactType != typeSBOM {
			t.Errorf("%+v is no SBOM of %s", about, d.Digest)
		}
	}
}

func TestTheSBOMNamesTheProgramAndEachModule(t *testing.T) {
	r, program := example(t)
	data, err := r.componentsOf("latchkey", program)
	if err != nil {
		t.Fatal(err)
	}
	doc := decoded[struct {
		SerialNumber string
		Metadata     struct{ Component component }
		Components   []component
	}](t, data)
	if doc.Metadata.Component.Hashes[0].Content != sum(program) || len(doc.SerialNumber) != len("urn:uuid:")+36 {
		t.Errorf("%+v", doc)
	}
	var names []string
	for _, c := range doc.Components {
		names = append(names, c.Name)
	}
	if all := strings.Join(names, " "); !strings.Contains(all, "stdlib") || !strings.Contains(all, "golang.org/x/crypto/x509roots/fallback") {
		t.Errorf("the components are %s", all)
	}
}

func TestEachFileIsPrintedWithItsSizeAndDigestAsItIsMade(t *testing.T) {
	r, _ := example(t)
	var told bytes.Buffer
	r.told = &told
	if err := r.write("RELEASE_NOTES.md", []byte("notes\n")); err != nil {
		t.Fatal(err)
	}
	if want := sum([]byte("notes\n")) + "          6 bytes  RELEASE_NOTES.md\n"; told.String() != want {
		t.Errorf("it prints %q, want %q", told.String(), want)
	}
}

func TestTheNotesAreTheVersionsPartOfTheChangeLog(t *testing.T) {
	const log = "# Changelog\n\n## [Unreleased]\n\n" + operator + "\n\nNothing.\n\n## [1.2.3] - 2026-11-29\n\n" + operator + "\n\n- old\n\n## [1.2.2]\n\n- older\n"
	for version, want := range map[string]string{"v1.2.3": "- old\n", "v1.3.0": "Nothing.\n"} {
		want = "# latchkey " + version + "\n\n" + operator + "\n\n" + want
		if got, err := notesOf(log, version); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", version, got, err, want)
		}
	}
	if _, err := notesOf("# Changelog\n", "v1"); err == nil {
		t.Error("no changes are no error")
	}
	if _, err := notesOf(log, "v1.2.2"); err == nil {
		t.Error("changes that do not say what an operator must do are no error")
	}
}

func TestTheChangeLogSaysWhatAnOperatorMustDo(t *testing.T) {
	log, err := os.ReadFile("../../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, head := range regexp.MustCompile(`(?m)^## \[(.+?)\]`).FindAllStringSubmatch(string(log), -1) {
		if _, err := notesOf(string(log), "v"+head[1]); err != nil {
			t.Error(err)
		}
	}
}

func TestWhatIsSignedVerifiesAndTheSignatureIsTheSameEachTime(t *testing.T) {
	r, _ := example(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	r.key = filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(r.key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	var first string
	for range 2 {
		if err := r.sign([]byte("statement"), []byte("sums")); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(r.out, "SHA256SUMS.sig"))
		if err != nil {
			t.Fatal(err)
		}
		sig, err := base64.StdEncoding.DecodeString(string(text))
		hash := sha256.Sum256([]byte("sums"))
		if err != nil || !ecdsa.VerifyASN1(&key.PublicKey, hash[:], sig) {
			t.Errorf("the signature does not verify (%v)", err)
		}
		if first != "" && first != string(text) {
			t.Error("a second signature differs")
		}
		first = string(text)
	}
	if err := os.WriteFile(r.key, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.sign(nil, nil); err == nil {
		t.Error("a file without a key is no error")
	}
}

// No environment here has an identity that cosign can sign as, so a stand-in
// takes its place.
func TestKeylessSignaturesCoverTheChecksums(t *testing.T) {
	r, _ := example(t)
	r.keyless = true
	bin := t.TempDir()
	t.Setenv("PATH", bin)
	if err := r.write("SHA256SUMS", []byte("sums")); err != nil {
		t.Fatal(err)
	}
	if err := r.signKeyless(); err == nil || !strings.Contains(err.Error(), "cosign") {
		t.Errorf("without cosign: %v", err)
	}
	script := "#!/bin/sh\n[ \"$1 $2 $3\" = 'sign-blob --yes --bundle' ] || exit 1\nread -r sums <\"$5\"\necho \"signed $sums\" >\"$4\"\n"
	if err := os.WriteFile(filepath.Join(bin, "cosign"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := r.write("SHA256SUMS", []byte("sums\n")); err != nil {
		t.Fatal(err)
	}
	if err := r.signKeyless(); err != nil {
		t.Fatal(err)
	}
	if bundle, err := os.ReadFile(filepath.Join(r.out, "SHA256SUMS.sigstore.json")); err != nil || string(bundle) != "signed sums\n" {
		t.Errorf("the bundle is %q (%v)", bundle, err)
	}
}
