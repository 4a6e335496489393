package service

import (
	"cmp"
	"context"
	"net/http"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/latchkey-io/latchkey/internal/event"
	"github.com/latchkey-io/latchkey/internal/result"
)

// batchWidth is how many events of a batch are handled at once.
const batchWidth = 8

// part is the answer to one event of a batch. The CloudEvents specification
// defines no answer to a batch; ours is a list in the order of the events.
type part struct {
	Event    string           `json:"event,omitempty"` // its ID, where it has one
	Status   int              `json:"status"`          // as the answer to the event alone
	Outcomes []result.Outcome `json:"outcomes,omitempty"`
	Detail   string           `json:"detail,omitempty"` // what is wrong
}

// batch answers each event of a batch by itself. The status is the worst of
// theirs, so a sender that does not read the parts repeats the batch if one event
// failed. The repetition changes nothing for the others.
func (s *Service) batch(ctx context.Context, header http.Header, body []byte, from caller) Answer {
	items, err := event.DecodeBatch(header, body)
	if err != nil {
		return refuse(err)
	}
	ctx, cancel := context.WithTimeout(ctx, s.answerWithin)
	defer cancel()
	answers := make([]Answer, len(items))
	var g errgroup.Group
	g.SetLimit(batchWidth)
	for i, item := range items {
		if item.Err != nil {
			answers[i] = refuse(item.Err)
			continue
		}
		g.Go(func() error {
			answers[i] = s.handle(ctx, item.Event, from)
			return nil
		})
	}
	_ = g.Wait() // each error is an answer
	return together(items, answers)
}

// together combines the answers of a batch.
func together(items []event.Item, answers []Answer) Answer {
	whole := Answer{Status: http.StatusNoContent, parts: make([]part, len(items))}
	for i, a := range answers {
		whole.parts[i] = part{Event: event.Clip(items[i].Event.ID()), Status: a.Status, Outcomes: a.Outcomes, Detail: a.Problem}
		whole.retry = max(whole.retry, a.retry)
		if severity(a.Status) > severity(whole.Status) {
			whole.Status = a.Status
		}
	}
	if whole.Status == http.StatusNoContent {
		whole.parts = nil
	}
	return whole
}

// severities lists the statuses from the best to the worst. Those that a
// repetition may resolve come last, since a sender repeats for no other status.
var severities = []int{
	http.StatusNoContent, http.StatusOK, http.StatusAccepted,
	http.StatusBadRequest, http.StatusUnsupportedMediaType, http.StatusRequestEntityTooLarge,
	http.StatusUnauthorized, http.StatusForbidden, http.StatusNotImplemented,
	http.StatusTooManyRequests, http.StatusServiceUnavailable,
}

func severity(status int) int {
	return cmp.Or(slices.Index(severities, status)+1, status)
}
