package rotation

import (
	"slices"

	"github.com/latchkey-io/latchkey/internal/protocol"
)

// Removable returns what Without can take away: rules, reasons to be blocked, and the end
// of the keys of a phase.
func Removable() (names []string) {
	for _, course := range [][]rule{standard, removing, adoption} {
		for _, r := range course {
			names = append(names, r.name)
		}
	}
	for _, b := range blocks {
		names = append(names, string(b.reason))
	}
	for phase := range ends {
		names = append(names, string(phase))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Without takes one of them away until restore is called.
func Without(name string) (restore func()) {
	was, wasBlocks := [][]rule{standard, removing, adoption}, blocks
	without := func(course []rule) []rule {
		return slices.DeleteFunc(slices.Clone(course), func(r rule) bool { return r.name == name })
	}
	standard, removing, adoption = without(standard), without(removing), without(adoption)
	blocks = slices.Clone(blocks)
	for i, b := range blocks {
		if string(b.reason) == name {
			blocks[i].holds = func(view, protocol.Trigger) bool { return false }
		}
	}
	end := ends[Phase(name)]
	if end != nil {
		ends[Phase(name)] = func(view, protocol.Key) []protocol.Step { return nil }
	}
	return func() {
		standard, removing, adoption, blocks = was[0], was[1], was[2], wasBlocks
		if end != nil {
			ends[Phase(name)] = end
		}
	}
}
