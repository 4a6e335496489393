package start

import (
	"runtime/debug"
	"testing"
)

func TestTheLimitOfTheHeapIsRestored(t *testing.T) {
	const usual = 50 // as GOGC may say
	before := debug.SetGCPercent(usual)
	defer debug.SetGCPercent(before)
	restore := lift()
	lifted := debug.SetGCPercent(enough)
	restore()
	if after := debug.SetGCPercent(usual); lifted != enough || after != usual {
		t.Errorf("%d %% at the start, and %d %% after it", lifted, after)
	}
}
