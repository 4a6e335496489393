package cli

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/latchkey-io/latchkey/internal/condition"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/result"
	"github.com/latchkey-io/latchkey/internal/service"
)

// PrintAnswer prints an answer's body and turns its status into an exit code.
func PrintAnswer(std Streams, a service.Answer) error {
	if err := a.Print(std.Out); err != nil {
		return fmt.Errorf("printing the outcome: %w", err)
	}
	unfinished := func(o result.Outcome) bool { return o.Condition == condition.InProgress }
	switch {
	case errors.Is(a.Unknown, port.ErrLogin):
		return fmt.Errorf("running the job: %w", a.Unknown)
	case a.Status == http.StatusServiceUnavailable, slices.ContainsFunc(a.Outcomes, unfinished):
		return fmt.Errorf("running the job: %w: %s", ErrTryAgain, cause(a))
	}
	return nil
}

// cause says why a job is not finished. The answer that is printed has it all.
func cause(a service.Answer) string {
	if a.Unknown != nil {
		return a.Unknown.Error()
	}
	for _, o := range a.Outcomes {
		if o.Result == result.Failed || o.Condition == condition.InProgress || o.Condition == condition.Unknown {
			return o.Label() + ": " + cmp.Or(o.Error, o.Message)
		}
	}
	return a.Problem
}
