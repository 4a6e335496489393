package main

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"time"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// Types of the OCI image specification 1.1, as far as the image needs them.
//
// Source: https://github.com/opencontainers/image-spec/blob/v1.1.0/manifest.md
type (
	descriptor struct {
		MediaType    string            `json:"mediaType"`
		ArtifactType string            `json:"artifactType,omitempty"`
		Digest       string            `json:"digest"`
		Size         int               `json:"size"`
		Platform     *platform         `json:"platform,omitempty"`
		Annotations  map[string]string `json:"annotations,omitempty"`
	}
	platform struct {
		Architecture string `json:"architecture"`
		OS           string `json:"os"`
	}
	manifest struct {
		SchemaVersion int               `json:"schemaVersion"`
		MediaType     string            `json:"mediaType"`
		ArtifactType  string            `json:"artifactType,omitempty"`
		Config        *descriptor       `json:"config,omitempty"`
		Layers        []descriptor      `json:"layers,omitempty"`
		Manifests     []descriptor      `json:"manifests,omitempty"`
		Subject       *descriptor       `json:"subject,omitempty"`
		Annotations   map[string]string `json:"annotations,omitempty"`
	}
	imageConfig struct {
		Created      time.Time   `json:"created"`
		Architecture string      `json:"architecture"`
		OS           string      `json:"os"`
		Config       runConfig   `json:"config"`
		RootFS       rootFS      `json:"rootfs"`
		History      []historyOf `json:"history"`
	}
	runConfig struct {
		User         string              `json:"User"`
		ExposedPorts map[string]struct{} `json:"ExposedPorts"`
		Env          []string            `json:"Env"`
		Entrypoint   []string            `json:"Entrypoint"`
		Cmd          []string            `json:"Cmd"`
		WorkingDir   string              `json:"WorkingDir"`
		Labels       map[string]string   `json:"Labels"`
	}
	rootFS struct {
		Type    string   `json:"type"`
		DiffIDs []string `json:"diff_ids"`
	}
	historyOf struct {
		Created   time.Time `json:"created"`
		CreatedBy string    `json:"created_by"`
	}
)

const (
	typeIndex    = "application/vnd.oci.image.index.v1+json"
	typeManifest = "application/vnd.oci.image.manifest.v1+json"
	typeConfig   = "application/vnd.oci.image.config.v1+json"
	typeLayer    = "application/vnd.oci.image.layer.v1.tar+gzip"
	typeEmpty    = "application/vnd.oci.empty.v1+json"
	typeSBOM     = "application/vnd.cyclonedx+json"

	// nonRoot is the user of the image, as in distroless images.
	nonRoot = "65532:65532"
)

// A layout collects the blobs of an OCI image layout.
type layout struct{ files []file }

func (l *layout) add(mediaType string, data []byte) descriptor {
	d := descriptor{MediaType: mediaType, Digest: "sha256:" + sum(data), Size: len(data)}
	name := "blobs/sha256/" + sum(data)
	for _, f := range l.files {
		if f.name == name {
			return d
		}
	}
	l.files = append(l.files, file{name, 0o644, data})
	return d
}

func (l *layout) addJSON(mediaType string, v any) (descriptor, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return descriptor{}, fmt.Errorf("encoding %s: %w", mediaType, err)
	}
	return l.add(mediaType, data), nil
}

// image returns an OCI image layout as a tar archive: an index with one image per
// platform, and the SBOM of each as a referrer. The image has the program, the
// certificates of public authorities, and two users. It has no shell.
func (r release) image(programs map[string][]byte) ([]byte, error) {
	var l layout
	labels := map[string]string{
		"org.opencontainers.image.title":         "latchkey",
		"org.opencontainers.image.description":   "Creates, rotates and revokes IBM Cloud service ID API keys",
		"org.opencontainers.image.licenses":      "Apache-2.0",
		"org.opencontainers.image.source":        "https://github.com/latchkey-io/latchkey",
		"org.opencontainers.image.version":       r.version,
		"org.opencontainers.image.revision":      r.commit,
		"org.opencontainers.image.created":       r.date.UTC().Format(time.RFC3339),
		"org.opencontainers.image.base.name":     "scratch",
		"org.opencontainers.image.documentation": "https://github.com/latchkey-io/latchkey/blob/main/deploy/README.md",
	}
	base := tarred(r.date, []file{
		{"etc/ssl/certs/ca-certificates.crt", 0o644, authorities()},
		{"etc/passwd", 0o644, []byte("root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n")},
		{"etc/group", 0o644, []byte("root:x:0:\nnonroot:x:65532:\n")},
	})
	index := manifest{SchemaVersion: 2, MediaType: typeIndex, Annotations: labels}
	var referrers []descriptor
	for _, t := range targets {
		program, ok := programs[t.arch]
		if !ok || !t.image {
			continue
		}
		own := tarred(r.date, []file{{"latchkey", 0o755, program}})
		config, err := l.addJSON(typeConfig, imageConfig{
			Created: r.date.UTC(), Architecture: t.arch, OS: t.os,
			Config: runConfig{
				User: nonRoot, ExposedPorts: map[string]struct{}{"8080/tcp": {}}, WorkingDir: "/",
				Env:        []string{"PATH=/", "PORT=8080", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"},
				Entrypoint: []string{"/latchkey"}, Cmd: []string{"serve"}, Labels: labels,
			},
			RootFS:  rootFS{"layers", []string{"sha256:" + sum(base), "sha256:" + sum(own)}},
			History: []historyOf{{r.date.UTC(), "certificates and users"}, {r.date.UTC(), "latchkey " + r.version}},
		})
		if err != nil {
			return nil, err
		}
		image := manifest{
			SchemaVersion: 2, MediaType: typeManifest, Config: &config, Annotations: labels,
			Layers: []descriptor{l.add(typeLayer, zipped(base)), l.add(typeLayer, zipped(own))},
		}
		d, err := l.addJSON(typeManifest, image)
		if err != nil {
			return nil, err
		}
		sbom, err := r.componentsOf("latchkey-image", program)
		if err != nil {
			return nil, err
		}
		empty := l.add(typeEmpty, []byte("{}"))
		referrer, err := l.addJSON(typeManifest, manifest{
			SchemaVersion: 2, MediaType: typeManifest, ArtifactType: typeSBOM, Config: &empty,
			Layers: []descriptor{l.add(typeSBOM, sbom)}, Subject: &descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size},
		})
		if err != nil {
			return nil, err
		}
		referrer.ArtifactType = typeSBOM
		referrers = append(referrers, referrer)
		d.Platform = &platform{t.arch, t.os}
		index.Manifests = append(index.Manifests, d)
	}
	image, err := l.addJSON(typeIndex, index)
	if err != nil {
		return nil, err
	}
	image.Annotations = map[string]string{"org.opencontainers.image.ref.name": r.version}
	top, err := json.Marshal(manifest{SchemaVersion: 2, MediaType: typeIndex, Manifests: append([]descriptor{image}, referrers...)})
	if err != nil {
		return nil, fmt.Errorf("encoding the layout's index: %w", err)
	}
	files := append(l.files, file{"index.json", 0o644, top}, file{"oci-layout", 0o644, []byte(`{"imageLayoutVersion":"1.0.0"}`)})
	return tarred(r.date, files), nil
}

// authorities returns the certificates of Mozilla's list, from a module of the Go
// project. Those with a constraint, which PEM cannot express, are left out.
func authorities() []byte {
	var b bytes.Buffer
	for c := range bundle.Roots() {
		if c.Constraint == nil {
			_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate}) // to memory
		}
	}
	return b.Bytes()
}
