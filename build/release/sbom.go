package main

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

// component is a component of CycloneDX 1.6.
//
// Source: https://cyclonedx.org/docs/1.6/json/
type component struct {
	Type    string    `json:"type"`
	Ref     string    `json:"bom-ref"`
	Name    string    `json:"name"`
	Version string    `json:"version,omitempty"`
	PURL    string    `json:"purl,omitempty"`
	Hashes  []hashOf  `json:"hashes,omitempty"`
	License []license `json:"licenses,omitempty"`
}

type hashOf struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

type license struct {
	License struct {
		ID string `json:"id"`
	} `json:"license"`
}

// componentsOf returns the SBOM of a program: the modules that Go recorded in it. The
// licences of other modules are not in it, since Go records none.
func (r release) componentsOf(name string, program []byte) ([]byte, error) {
	info, err := buildinfo.Read(bytes.NewReader(program))
	if err != nil {
		return nil, fmt.Errorf("reading the modules of %s: %w", name, err)
	}
	var apache license
	apache.License.ID = "Apache-2.0"
	self := component{
		Type: "application", Ref: "latchkey", Name: name, Version: r.version, PURL: "pkg:golang/github.com/latchkey-io/latchkey@" + r.version,
		Hashes: []hashOf{{"SHA-256", sum(program)}}, License: []license{apache},
	}
	parts := []component{goModule("stdlib", info.GoVersion)}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		parts = append(parts, goModule(m.Path, m.Version))
	}
	refs := []string{}
	for _, p := range parts {
		refs = append(refs, p.Ref)
	}
	slices.Sort(refs)
	doc := map[string]any{
		"$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json", "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
		"serialNumber": "urn:uuid:" + uuidOf(name+r.version+sum(program)),
		"metadata":     map[string]any{"timestamp": r.date.UTC().Format(time.RFC3339), "component": self},
		"components":   parts,
		"dependencies": []map[string]any{{"ref": self.Ref, "dependsOn": refs}},
	}
	data, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding the SBOM of %s: %w", name, err)
	}
	return append(data, '\n'), nil
}

func (r release) sbom(file, name string, program []byte) error {
	data, err := r.componentsOf(name, program)
	if err != nil {
		return err
	}
	return r.write(file, data)
}

// goModule returns a module as a component. The version of the standard library is that
// of Go, as vulnerability scanners look it up.
func goModule(module, version string) component {
	purl := "pkg:golang/" + module + "@" + version
	if module == "stdlib" {
		version = strings.TrimPrefix(version, "go")
		purl = "pkg:golang/stdlib@" + version
	}
	return component{Type: "library", Ref: path.Clean(purl), Name: module, Version: version, PURL: purl}
}

// uuidOf returns a UUID that depends on the text only.
func uuidOf(text string) string {
	s := []byte(sum([]byte(text))[:32])
	s[12], s[16] = '8', '8' // version 8: custom; variant 10
	return fmt.Sprintf("%s-%s-%s-%s-%s", s[:8], s[8:12], s[12:16], s[16:20], s[20:])
}
