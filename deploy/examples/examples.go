// Package examples embeds the example configs for the demo and the tests.
package examples

import "embed"

// Emulator is emulator.yaml. It works on a fresh emulator.
//
//go:embed emulator.yaml
var Emulator string

// Access is access.yaml: policies of four services that are as narrow as IAM can
// write them. It works on a fresh emulator.
//
//go:embed access.yaml
var Access string

// HooksEmulator is hooks/emulator.yaml: emulator.yaml with hooks and the
// credential that they provision. It works on a fresh emulator.
//
//go:embed hooks/emulator.yaml
var HooksEmulator string

// Hooks holds the payloads that the systems send, under hooks/.
//
//go:embed hooks/*.json
var Hooks embed.FS
