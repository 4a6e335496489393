// Command release builds everything that a release of latchkey consists of, into one
// directory. The same commit and the same Go yield the same bytes.
//
//	go run ./build/release -version v1.2.3 -commit … -date 2026-11-29T02:00:00Z -out dist/release
//
// It needs Go and the sources only: no Docker daemon, no network beyond Go modules.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// A release is what is built, and from what.
type release struct {
	version, commit string
	date            time.Time // of the commit: the time of every file
	out             string    // directory
	key             string    // PEM file with the private key; "": no key signs
	keyless         bool      // cosign signs, as the identity that the environment has
	told            io.Writer // gets a line for each file as it is made
}

// targets are the platforms of the program. The last field says whether the production
// build is made for the image.
var targets = []struct {
	os, arch string
	image    bool
}{
	{"linux", "amd64", true},
	{"linux", "arm64", true},
	{"darwin", "amd64", false},
	{"darwin", "arm64", false},
}

func main() {
	log.SetFlags(0)
	r := release{told: os.Stdout}
	var date string
	flag.StringVar(&r.version, "version", "dev", "the version")
	flag.StringVar(&r.commit, "commit", "", "the commit's hash")
	flag.StringVar(&date, "date", "", "the commit's time, RFC 3339")
	flag.StringVar(&r.out, "out", "dist/release", "the directory to write")
	flag.StringVar(&r.key, "key", "", "a PEM file with the ECDSA key that signs")
	flag.BoolVar(&r.keyless, "keyless", false, "let cosign sign as the identity that the environment has, such as a workflow's")
	flag.Parse()
	var err error
	if r.date, err = time.Parse(time.RFC3339, date); err != nil {
		log.Fatalf("release: reading -date: %v", err)
	}
	if err := r.build(); err != nil {
		log.Fatalf("release: %v", err)
	}
}

// build makes all files. It compiles into a directory of its own, and replaces out.
func (r release) build() error {
	work, err := os.MkdirTemp("", "latchkey-release")
	if err != nil {
		return fmt.Errorf("making a directory: %w", err)
	}
	defer func() { _ = os.RemoveAll(work) }()
	if err := os.RemoveAll(r.out); err != nil {
		return fmt.Errorf("emptying %s: %w", r.out, err)
	}
	if err := os.MkdirAll(r.out, 0o755); err != nil {
		return fmt.Errorf("making %s: %w", r.out, err)
	}
	schema, err := schemaOf()
	if err != nil {
		return err
	}
	images := map[string][]byte{}
	for _, t := range targets {
		program, err := r.compile(work, t.os, t.arch, false)
		if err != nil {
			return err
		}
		name := fmt.Sprintf("latchkey_%s_%s_%s", r.version, t.os, t.arch)
		docs, err := read("LICENSE", "README.md", "CHANGELOG.md")
		if err != nil {
			return err
		}
		if err := r.write(name+".tar.gz", packed(r.date, append(docs, schema, file{"latchkey", 0o755, program}))); err != nil {
			return err
		}
		if err := r.sbom(name+".cdx.json", "latchkey", program); err != nil {
			return err
		}
		if t.image {
			if images[t.arch], err = r.compile(work, t.os, t.arch, true); err != nil {
				return err
			}
		}
	}
	if err := r.function(images["amd64"]); err != nil {
		return err
	}
	if err := r.deployment(schema); err != nil {
		return err
	}
	layout, err := r.image(images)
	if err != nil {
		return err
	}
	if err := r.write("latchkey_"+r.version+"_image.tar", layout); err != nil {
		return err
	}
	if err := r.notes(); err != nil {
		return err
	}
	return r.finish()
}

// compile returns a program. A production build has neither emulator nor demo.
func (r release) compile(work, goos, arch string, production bool) ([]byte, error) {
	at := filepath.Join(work, fmt.Sprintf("latchkey-%s-%s-%t", goos, arch, production))
	ld := fmt.Sprintf("-s -w -X main.version=%s -X main.commit=%s -X main.date=%s", r.version, r.commit, r.date.UTC().Format(time.RFC3339))
	args := []string{"build", "-trimpath", "-buildvcs=false", "-ldflags", ld, "-o", at}
	if production {
		args = append(args, "-tags", "production")
	}
	cmd := exec.CommandContext(context.Background(), "go", append(args, "./function/latchkey")...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goos, "GOARCH="+arch, "GOAMD64=v1", "GOARM64=v8.0", "GOFLAGS=", "GOEXPERIMENT=")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("compiling for %s/%s: %w", goos, arch, err)
	}
	data, err := os.ReadFile(at)
	if err != nil {
		return nil, fmt.Errorf("reading the program: %w", err)
	}
	return data, nil
}

// function writes the bundle that Code Engine gets.
func (r release) function(program []byte) error {
	files, err := read("function/main.js", "function/package.json")
	if err != nil {
		return err
	}
	for i := range files {
		files[i].name = filepath.Base(files[i].name)
	}
	name := "latchkey_" + r.version + "_function"
	if err := r.sbom(name+".cdx.json", "latchkey-function", program); err != nil {
		return err
	}
	return r.write(name+".tar.gz", packed(r.date, append(files, file{"latchkey", 0o755, program})))
}

// schemaOf returns the JSON Schema of the config, which git does not have: the program
// prints it.
func schemaOf() (file, error) {
	out, err := exec.CommandContext(context.Background(), "go", "run", "./function/latchkey", "schema").Output()
	if err != nil {
		return file{}, fmt.Errorf("making the JSON Schema: %w", err)
	}
	return file{"deploy/latchkey.schema.json", 0o644, out}, nil
}

// deployment writes the scripts, manifests and examples that git has in deploy, with the
// JSON Schema that the examples name.
func (r release) deployment(schema file) error {
	out, err := exec.CommandContext(context.Background(), "git", "ls-files", "-z", "deploy").Output()
	if err != nil {
		return fmt.Errorf("listing deploy: %w", err)
	}
	files, err := read(strings.FieldsFunc(string(out), func(c rune) bool { return c == 0 })...)
	if err != nil {
		return err
	}
	return r.write("latchkey_"+r.version+"_deploy.tar.gz", packed(r.date, append(files, schema)))
}

// notes writes the release notes: the part of CHANGELOG.md for the version.
func (r release) notes() error {
	log, err := os.ReadFile("CHANGELOG.md")
	if err != nil {
		return fmt.Errorf("reading the changes: %w", err)
	}
	notes, err := notesOf(string(log), r.version)
	if err != nil {
		return err
	}
	return r.write("RELEASE_NOTES.md", []byte(notes))
}

// operator is the heading that every version's part of the change log begins with. What
// is below it may be "Nothing."
const operator = "### What an operator must do"

// notesOf returns a version's part of a change log. A version without a part of its own
// has the unreleased changes. A part that does not say what an operator must do is an
// error.
func notesOf(log, version string) (string, error) {
	for _, head := range []string{"## [" + strings.TrimPrefix(version, "v") + "]", "## [Unreleased]"} {
		_, rest, found := strings.Cut("\n"+log, "\n"+head)
		if !found {
			continue
		}
		rest, _, _ = strings.Cut(rest, "\n## ")
		_, body, _ := strings.Cut(rest, "\n")
		body = strings.TrimSpace(body)
		if !strings.HasPrefix(body, operator+"\n") {
			return "", fmt.Errorf("reading the changes of %s: CHANGELOG.md does not begin them with %q", version, operator)
		}
		return "# latchkey " + version + "\n\n" + body + "\n", nil
	}
	return "", fmt.Errorf("finding the changes of %s: CHANGELOG.md has no such part, and nothing unreleased", version)
}

// finish writes the provenance, the checksums and, with a key, the signatures.
func (r release) finish() error {
	subjects, err := r.digests()
	if err != nil {
		return err
	}
	statement, err := r.provenance(subjects)
	if err != nil {
		return err
	}
	if err := r.write("provenance.intoto.json", statement); err != nil {
		return err
	}
	if subjects, err = r.digests(); err != nil {
		return err
	}
	var sums strings.Builder
	for _, s := range subjects {
		fmt.Fprintf(&sums, "%s  %s\n", s.sum, s.name)
	}
	if err := r.write("SHA256SUMS", []byte(sums.String())); err != nil {
		return err
	}
	if r.key == "" && !r.keyless {
		log.Print("nothing is signed: neither a key nor -keyless was given")
	}
	if r.key != "" {
		if err := r.sign(statement, []byte(sums.String())); err != nil {
			return err
		}
	}
	if r.keyless {
		return r.signKeyless()
	}
	return nil
}

type digest struct{ name, sum string }

// digests returns the SHA-256 of each file in out, by name.
func (r release) digests() (all []digest, err error) {
	files, err := os.ReadDir(r.out)
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", r.out, err)
	}
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(r.out, f.Name()))
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", f.Name(), err)
		}
		all = append(all, digest{f.Name(), sum(data)})
	}
	slices.SortFunc(all, func(a, b digest) int { return strings.Compare(a.name, b.name) })
	return all, nil
}

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}

// write writes a file, and prints its digest, size and name.
func (r release) write(name string, data []byte) error {
	if err := os.WriteFile(filepath.Join(r.out, name), data, 0o644); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if _, err := fmt.Fprintf(r.told, "%s %10d bytes  %s\n", sum(data), len(data), name); err != nil {
		return fmt.Errorf("printing %s: %w", name, err)
	}
	return nil
}

// goVersion is the Go that compiles.
func goVersion() string {
	out, err := exec.CommandContext(context.Background(), "go", "env", "GOVERSION").Output()
	if err != nil {
		return runtime.Version()
	}
	return strings.TrimSpace(string(out))
}

// read returns files of the tree, as archives have them.
func read(names ...string) (files []file, err error) {
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		info, err := f.Stat()
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		data, err := io.ReadAll(f)
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		mode := int64(0o644)
		if info.Mode()&0o100 != 0 {
			mode = 0o755
		}
		files = append(files, file{filepath.ToSlash(name), mode, data})
	}
	return files, nil
}
