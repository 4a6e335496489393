package main

import (
	"cmp"
	"fmt"
	"runtime/debug"
)

// Set by the linker: -X main.version=v1.2.3 -X main.commit=… -X main.date=….
var version, commit, date string

// buildVersion is what the linker set, else what Go recorded of the build.
func buildVersion() string {
	v, c, d := version, commit, date
	if info, ok := debug.ReadBuildInfo(); ok {
		v = cmp.Or(v, info.Main.Version)
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				c = cmp.Or(c, s.Value)
			case "vcs.time":
				d = cmp.Or(d, s.Value)
			}
		}
	}
	return fmt.Sprintf("latchkey %s (commit %s, %s)", cmp.Or(v, "(devel)"), cmp.Or(c, "unknown"), cmp.Or(d, "date unknown"))
}
