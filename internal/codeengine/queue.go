package codeengine

import (
	"context"
	"maps"
	"slices"
	"sync"
)

// appName is an app in a project of a region.
type appName struct{ region, project, app string }

// queue holds the restarts of one app. One at a time changes the app, and it makes
// the change for all that wait: their keys are published, so one revision reads
// them all.
type queue struct {
	turn chan struct{} // has room for the one whose turn it is

	mu      sync.Mutex
	waiting map[string]string // marks that restarts want, by name
}

// enter waits for a restart's turn.
func (c *Client) enter(ctx context.Context, app appName, mark, keyID string) (*queue, error) {
	c.mu.Lock()
	q := c.queues[app]
	if q == nil {
		q = &queue{turn: make(chan struct{}, 1), waiting: map[string]string{}}
		c.queues[app] = q
	}
	c.mu.Unlock()
	q.mu.Lock()
	q.waiting[mark] = keyID
	q.mu.Unlock()
	select {
	case q.turn <- struct{}{}:
		return q, nil
	case <-ctx.Done():
		q.drop(mark)
		return nil, ctx.Err()
	}
}

// leave lets the next restart change the app.
func (q *queue) leave(mark string) {
	q.drop(mark)
	<-q.turn
}

func (q *queue) drop(mark string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.waiting, mark)
}

// marks returns what the restarts that wait want on the app.
func (q *queue) marks() map[string]string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return maps.Clone(q.waiting)
}

// publication is a store that this process has written, and the key that it got.
type publication struct {
	store *Store
	keyID string
}

// wrote records what a store got.
func (c *Client) wrote(s *Store, keyID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.written[s.Name()] = publication{s, keyID}
}

// beside returns the marks of the other entries of the project that have the key and
// that the app reads: the revision that a restart makes reads them, too. Each entry is
// read again, since an app must get the key that it is marked with.
func (a *apps) beside(ctx context.Context, app *workload, keyID string) map[string]string {
	a.store.client.mu.Lock()
	all := slices.Collect(maps.Values(a.store.client.written))
	a.store.client.mu.Unlock()
	marks := map[string]string{}
	for _, p := range all {
		other := &apps{store: p.store}
		if p.keyID != keyID || p.store.Place() != a.store.Place() || other.marker() == a.marker() || !other.wanted(app) {
			continue
		}
		if snap, err := p.store.fetch(ctx, p.store.doing("reading")); err == nil {
			if e, err := p.store.entry(snap); err == nil && e.KeyID == keyID {
				marks[other.marker()] = keyID
			}
		}
	}
	return marks
}
