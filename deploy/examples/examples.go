// Package examples embeds the example configs, so that the demo needs no file.
package examples

import _ "embed"

// Emulator is emulator.yaml: it works on a fresh emulator.
//
//go:embed emulator.yaml
var Emulator string
