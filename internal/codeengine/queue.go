package codeengine

import (
	"context"
	"maps"
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
