package start

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

func TestTheLimitOfTheHeapIsRestored(t *testing.T) {
	for name, tc := range map[string]struct {
		most time.Duration
		then func()
	}{
		"after the first collection": {time.Hour, runtime.GC},
		"after some time":            {time.Millisecond, func() {}},
	} {
		t.Run(name, func(t *testing.T) {
			const usual = 50 // as GOGC may say
			before := debug.SetGCPercent(usual)
			defer debug.SetGCPercent(before)
			restored := lift(tc.most)
			lifted := debug.SetGCPercent(enough)
			tc.then()
			<-restored
			if after := debug.SetGCPercent(usual); lifted != enough || after != usual {
				t.Errorf("%d %% at the start, and %d %% after it", lifted, after)
			}
		})
	}
}
