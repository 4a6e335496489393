package service

import (
	"bytes"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/latchkey-io/latchkey/internal/evidence"
)

// Bounds of what is remembered of logins. Anyone can send audit events.
const (
	mostOwners      = 500
	mostLogins      = 32 // of each owner
	mostClients     = 3  // named in one note
	loginsPerSecond = 50
	loginsBurst     = 200
)

// Logins remembers which clients logged in with keys of service IDs, as far as audit
// events told this process. It decides nothing: it adds words to a note. Build it with
// NewLogins.
type Logins struct {
	limit *rate.Limiter
	mu    sync.Mutex
	of    map[string][]evidence.Record // by IAM ID, oldest first
}

// NewLogins returns an empty memory.
func NewLogins() *Logins {
	return &Logins{limit: rate.NewLimiter(loginsPerSecond, loginsBurst), of: map[string][]evidence.Record{}}
}

// read takes the logins from the data of an event. It leaves out what exceeds its rate.
func (l *Logins) read(data []byte, now time.Time) {
	if l == nil || !bytes.Contains(data, []byte(".serviceid-apikey.login")) || !l.limit.AllowN(now, 1) {
		return
	}
	records, _ := evidence.ReadAudit(bytes.NewReader(data)) // what can't be read tells nothing
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range records {
		if r.Owner != "" && r.Client != "" {
			l.add(r)
		}
	}
}

func (l *Logins) add(r evidence.Record) {
	all, known := l.of[r.Owner]
	if !known && len(l.of) >= mostOwners {
		l.forget()
	}
	again := func(had evidence.Record) bool { return had.Client == r.Client && had.At.Equal(r.At) }
	if slices.ContainsFunc(all, again) {
		return
	}
	all = append(all, r)
	l.of[r.Owner] = slices.Clone(all[max(0, len(all)-mostLogins):])
}

// forget drops the service ID whose last login arrived for the oldest time.
func (l *Logins) forget() {
	oldest, at := "", time.Time{}
	for owner, all := range l.of {
		if last := all[len(all)-1].At; oldest == "" || last.Before(at) {
			oldest, at = owner, last
		}
	}
	delete(l.of, oldest)
}

// By returns which clients logged in with a key of a service ID at a time. IAM tells the
// time of a use in minutes.
func (l *Logins) By(iamID string, at time.Time) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var clients []string
	for _, r := range l.of[iamID] {
		if r.At.Sub(at).Abs() <= time.Minute && !slices.Contains(clients, r.Client) {
			clients = append(clients, r.Client)
		}
	}
	return strings.Join(clients[:min(len(clients), mostClients)], " or ")
}
