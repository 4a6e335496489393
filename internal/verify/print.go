package verify

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/userfile"
)

// Write writes the report to a file, which the emulator takes as switches.
func (r Report) Write(ctx context.Context, file string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the report: %w", err)
	}
	if err := userfile.Write(ctx, file, append(data, '\n')); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

// Print prints what each switch of the emulator has to be, and what was measured. file
// has the report.
func (r Report) Print(to io.Writer, file string) error {
	var out strings.Builder
	differ := 0
	for _, w := range cloud.SwitchList() {
		switch value, settled := r.Switches[w.Name]; {
		case !settled:
			fmt.Fprintf(&out, "%s: not settled: %s\n", w.Name, cmp.Or(r.Untried[w.Name], "nothing tries it"))
		case fmt.Sprint(value) == w.Guess:
			fmt.Fprintf(&out, "%s: %v, as guessed\n", w.Name, value)
		default:
			differ++
			fmt.Fprintf(&out, "%s: %v, not %s as guessed. It %s\n", w.Name, value, w.Guess, w.Meaning)
		}
	}
	for _, l := range r.Lags {
		unseen := ""
		if !l.Seen {
			unseen = ", and was not seen by then"
		}
		fmt.Fprintf(&out, "%s after %s%s\n", l.Of, l.Took.Round(10*time.Millisecond), unseen)
	}
	for _, l := range r.Limits {
		fmt.Fprintf(&out, "%s\n", l)
	}
	for _, right := range r.Rights {
		fmt.Fprintf(&out, "a key without the right for it: %s is answered %d\n", right.Tried, right.Status)
	}
	rights := "a key may do no more than its policy says"
	if slices.ContainsFunc(r.Rights, func(right Right) bool { return !right.Refused }) {
		rights = "a key may do more than its policy says"
	}
	fmt.Fprintf(&out, "%d switches settled, %d other than guessed; the report is in %s; %s\n", len(r.Switches), differ, file, rights)
	if _, err := io.WriteString(to, out.String()); err != nil {
		return fmt.Errorf("printing the report: %w", err)
	}
	return nil
}
