package emulator

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

// KindLifecycle selects the resource lifecycle events of Event Notifications,
// for Code Engine projects that are created, restored or deleted.
const KindLifecycle = "lifecycle"

// Subscription sends events to a URL on loopback. Audit records are binary
// CloudEvents; the other kinds are notifications without ce- headers. Like
// Event Notifications, it retries an event that gets no 2xx within 10 s three
// times and then drops it. The waits between attempts, including a Retry-After
// in seconds, are a tenth of those of Event Notifications.
type Subscription struct {
	ID   string `json:"id"`
	URL  string `json:"url"`
	Kind string `json:"kind"` // KindLifecycle, KindAudit or KindSecrets
	// Duplicates is how many extra times each event is sent.
	Duplicates int `json:"duplicates,omitempty"`
	// Reorder swaps two events that arrive within 300 ms.
	Reorder bool `json:"reorder,omitempty"`
	// Sent counts accepted deliveries, Lost those that failed, and Dropped the
	// events that found the queue full.
	Sent    int `json:"sent"`
	Lost    int `json:"lost"`
	Dropped int `json:"dropped"`
}

const (
	mostSubscriptions = 20
	mostWaiting       = 1_000 // events per subscription
	mostDuplicates    = 10
	deliveryTimeout   = 10 * time.Second
	firstRetry        = 100 * time.Millisecond
	longestRetry      = 10 * time.Second
	deliveryAttempts  = 4
	reorderWindow     = 300 * time.Millisecond
)

// message is an event to deliver.
type message struct {
	of                        string // kind of subscription that receives it
	id, kind, source, subject string
	time                      time.Time
	data                      []byte
	untyped                   bool // without Content-Type
	bare                      bool // without ce- headers
	extensions                map[string]string
}

// hub delivers events. Its lock is taken while the cloud's is held, never the
// other way round.
type hub struct {
	mu     sync.Mutex // guards everything below
	subs   []*subscriber
	closed bool

	work   sync.WaitGroup
	client *http.Client
}

type subscriber struct {
	Subscription
	queue chan message
	ctx   context.Context //nolint:containedctx // cancels its deliveries, which belong to no call
	stop  context.CancelFunc
}

func newHub() *hub {
	return &hub{client: &http.Client{
		Timeout:   deliveryTimeout,
		Transport: &http.Transport{Proxy: nil, MaxIdleConnsPerHost: 2},
		// A redirect could leave loopback.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (n Subscription) check() error {
	u, err := url.Parse(n.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("url must be an http or https URL")
	}
	if !loopbackHost(u.Hostname()) {
		return fmt.Errorf("%w: %q cannot receive events", ErrNotLoopback, u.Hostname())
	}
	switch n.Kind {
	case KindLifecycle, KindAudit, KindSecrets:
	default:
		return errors.New("kind must be lifecycle, audit or secrets")
	}
	if n.Duplicates < 0 || n.Duplicates > mostDuplicates {
		return fmt.Errorf("duplicates must be from 0 to %d", mostDuplicates)
	}
	return nil
}

// Subscribe sends events from now until Unsubscribe or Close. The ID and
// counters of n are ignored.
func (s *Server) Subscribe(n Subscription) (Subscription, error) {
	if err := n.check(); err != nil {
		return Subscription{}, err
	}
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return Subscription{}, errors.New("the emulator is closed")
	case len(h.subs) >= mostSubscriptions:
		return Subscription{}, fmt.Errorf("there are %d subscriptions already", mostSubscriptions)
	}
	n.ID, n.Sent, n.Lost, n.Dropped = trace()[:12], 0, 0, 0
	sub := &subscriber{Subscription: n, queue: make(chan message, mostWaiting)}
	sub.ctx, sub.stop = context.WithCancel(context.Background())
	h.subs = append(h.subs, sub)
	h.work.Go(func() { h.deliver(sub) })
	return n, nil
}

// Subscriptions returns the current subscriptions with their counters.
func (s *Server) Subscriptions() []Subscription {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	out := []Subscription{}
	for _, sub := range s.hub.subs {
		out = append(out, sub.Subscription)
	}
	return out
}

// Unsubscribe ends all subscriptions. Queued events are dropped.
func (s *Server) Unsubscribe() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	for _, sub := range s.hub.subs {
		sub.stop()
	}
	s.hub.subs = nil
}

// close ends all deliveries and waits for them.
func (h *hub) close() {
	h.mu.Lock()
	h.closed = true
	for _, sub := range h.subs {
		sub.stop()
	}
	h.mu.Unlock()
	h.work.Wait()
	h.client.CloseIdleConnections()
}

// hasSubscriber reports whether there is a subscription to the kind.
func (h *hub) hasSubscriber(kind string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.ContainsFunc(h.subs, func(sub *subscriber) bool { return sub.Kind == kind })
}

// publish never waits: the cloud is locked.
func (h *hub) publish(m message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, sub := range h.subs {
		if sub.Kind != m.of {
			continue
		}
		select {
		case sub.queue <- m:
		default:
			sub.Dropped++
		}
	}
}

func (h *hub) deliver(sub *subscriber) {
	for {
		var batch []message
		select {
		case <-sub.ctx.Done():
			return
		case m := <-sub.queue:
			batch = append(batch, m)
		}
		if sub.Reorder {
			t := time.NewTimer(reorderWindow)
			select {
			case m := <-sub.queue:
				batch = append(batch, m)
			case <-t.C:
			case <-sub.ctx.Done():
			}
			t.Stop()
			slices.Reverse(batch)
		}
		for _, m := range batch {
			for range 1 + sub.Duplicates {
				accepted := h.try(sub, m)
				if sub.ctx.Err() != nil {
					return
				}
				h.mu.Lock()
				if accepted {
					sub.Sent++
				} else {
					sub.Lost++
				}
				h.mu.Unlock()
			}
		}
	}
}

func (h *hub) try(sub *subscriber, m message) bool {
	var asked time.Duration
	for attempt := range deliveryAttempts {
		if attempt > 0 {
			t := time.NewTimer(max(firstRetry<<(attempt-1), asked))
			select {
			case <-t.C:
			case <-sub.ctx.Done():
				t.Stop()
				return false
			}
		}
		accepted, retryAfter := h.post(sub, m)
		if accepted {
			return true
		}
		asked = retryAfter
	}
	return false
}

func (h *hub) post(sub *subscriber, m message) (accepted bool, retryAfter time.Duration) {
	r, err := http.NewRequestWithContext(sub.ctx, http.MethodPost, sub.URL, bytes.NewReader(m.data))
	if err != nil {
		return false, 0
	}
	if !m.bare {
		for k, v := range map[string]string{
			"Ce-Specversion": "1.0", "Ce-Id": m.id, "Ce-Source": m.source, "Ce-Type": m.kind,
			"Ce-Time": m.time.UTC().Format(time.RFC3339Nano),
		} {
			r.Header.Set(k, v)
		}
	}
	for k, v := range m.extensions {
		r.Header.Set("Ce-"+k, v)
	}
	if m.subject != "" {
		r.Header.Set("Ce-Subject", m.subject)
	}
	if !m.untyped {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := h.client.Do(r)
	if err != nil {
		return false, 0
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 1<<20))            // to reuse the connection
	seconds, _ := strconv.ParseUint(answer.Header.Get("Retry-After"), 10, 16) // 0 if absent
	return answer.StatusCode/100 == 2, min(time.Duration(seconds)*time.Second/10, longestRetry)
}

func eventID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// lifecycleSource is the source of lifecycle events: it is the account's, not a
// project.
const lifecycleSource = "crn:v1:bluemix:public:resource-controller:global:a/" + cloud.AccountID + ":::"

// projectChanged publishes a lifecycle event. Its data has the documented form.
// Guessed: "codeengine" in its action and CRN, and the type, source and severity
// of the envelope.
func (s *Server) projectChanged(change cloud.ProjectChange) {
	p, at := change.Project, change.At
	state, code := "active", 201
	if change.Action == cloud.ProjectDeleted {
		state, code = "removed", 204
	}
	data := map[string]any{
		"account_id": p.AccountID, "event_id": eventID(), "event_type": "resource-controller.instance." + change.Action,
		"timestamp": at.UTC().Format(time.RFC3339),
		"context": map[string]any{
			"subject_id": change.Actor, "subject_name": change.Actor,
			"activity": map[string]any{
				"action": "codeengine.instance." + change.Action, "outcome": "success", "reason_reasonCode": code,
				"message": "Code Engine: " + change.Action + " instance " + p.Name, "target_name": p.Name,
			},
		},
		"event_properties": map[string]any{
			"crn": p.CRN, "guid": p.ID, "name": p.Name, "region_id": p.Region, "resource_group_id": p.ResourceGroupID,
			"resource_id": "codeengine", "state": state, "type": "service_instance",
			"last_operation": map[string]any{"type": change.Action, "state": "succeeded",
				"description": "Completed " + change.Action + " instance operation"},
			"created_at": p.CreatedAt.UTC().Format(time.RFC3339Nano), "created_by": change.Actor,
			"updated_at": at.UTC().Format(time.RFC3339Nano),
		},
	}
	text := "Code Engine: " + change.Action + " instance " + p.Name
	s.notify(KindLifecycle, notification{kind: "com.ibm.cloud.resource-controller.instance:" + change.Action, source: lifecycleSource,
		time: at, severity: "low", short: text, long: text, data: data})
	if change.ByHand && s.hub.hasSubscriber(KindAudit) {
		s.projectByHand(change)
	}
}
