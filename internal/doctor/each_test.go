package doctor

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestChecksRunAtOnceAndPrintInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 100
		var out bytes.Buffer
		d := &examination{out: &out}
		var running, most atomic.Int32
		began := time.Now()
		d.each(t.Context(), n, func(d *examination, i int) {
			most.Store(max(most.Load(), running.Add(1)))
			time.Sleep(time.Duration(n-i) * time.Second) // virtual; the first ends last
			running.Add(-1)
			d.pass("%d", i)
		})
		var want strings.Builder
		for i := range n {
			fmt.Fprintf(&want, "ok    %d\n", i)
		}
		if out.String() != want.String() || d.tally.OK != n {
			t.Errorf("%d checks:\n%s", d.tally.OK, out.String())
		}
		if most.Load() != width || time.Since(began) > 5*n*time.Second/2 {
			t.Errorf("%d at once in %s", most.Load(), time.Since(began))
		}
	})
}

func TestNoCheckBeginsAfterTheContextHasEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var begun atomic.Int32
	d := &examination{out: &bytes.Buffer{}}
	d.each(ctx, 10*width, func(*examination, int) {
		begun.Add(1)
		cancel()
		<-ctx.Done()
	})
	if n := begun.Load(); n > width {
		t.Errorf("%d checks began", n)
	}
}
