// Package examples embeds the example configs, so that the demo needs no file.
package examples

import "embed"

// Emulator is emulator.yaml: it works on a fresh emulator.
//
//go:embed emulator.yaml
var Emulator string

// HooksEmulator is hooks/emulator.yaml: emulator.yaml with hooks and a
// credential that they ask for. It works on a fresh emulator.
//
//go:embed hooks/emulator.yaml
var HooksEmulator string

// Hooks has what the systems of the hooks send, under hooks/.
//
//go:embed hooks/*.json
var Hooks embed.FS
