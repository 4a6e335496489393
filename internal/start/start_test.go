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

func TestAJobHasASmallerHeapAfterItsStart(t *testing.T) {
	const gogc = 70
	asked := func(<-chan struct{}) { Lean() }
	collected := func(restored <-chan struct{}) {
		runtime.GC()
		<-restored
	}
	for name, tc := range map[string]struct {
		set   string
		order []func(restored <-chan struct{})
		want  int
	}{
		"asked for at the start": {"", []func(<-chan struct{}){asked, collected}, lean},
		"asked for after it":     {"", []func(<-chan struct{}){collected, asked}, lean},
		"GOGC has the last word": {"70", []func(<-chan struct{}){asked, collected}, gogc},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("GOGC", tc.set)
			before := debug.SetGCPercent(gogc)
			defer debug.SetGCPercent(before)
			restored := lift(time.Hour)
			for _, f := range tc.order {
				f(restored)
			}
			if got := debug.SetGCPercent(gogc); got != tc.want {
				t.Errorf("%d %%, want %d", got, tc.want)
			}
		})
	}
}
