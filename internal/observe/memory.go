package observe

import (
	"sync"
	"time"

	"github.com/latchkey-io/latchkey/internal/port"
)

// Memory is what a process remembers between runs. It saves calls and decides nothing:
// IAM is asked again whether it is still true. The zero value remembers nothing.
type Memory struct {
	mu     sync.Mutex
	known  map[string]knownID // by credential, to save finding the service ID by name
	prints map[string]string  // of the values of adopted keys, by key ID
}

// knownID is a service ID from an earlier run, and when it was remembered.
type knownID struct {
	port.ServiceID
	at time.Time
}

// recall returns the service ID of an earlier run. It expires after an hour,
// because IAM's list may have omitted a second service ID.
func (m *Memory) recall(credential string, now time.Time) (port.ServiceID, bool) {
	const lasts = time.Hour
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ok := m.known[credential]
	return k.ServiceID, ok && now.Sub(k.at).Abs() < lasts
}

// Remember stores a credential's service ID for later runs.
func (m *Memory) Remember(credential string, id port.ServiceID, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil {
		m.known = map[string]knownID{}
	}
	m.known[credential] = knownID{id, now}
}

// Forget lets the next run find the credential's service ID by its name.
func (m *Memory) Forget(credential string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.known, credential)
}

// print returns the print of an adopted key's value, or "".
func (m *Memory) print(keyID string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.prints[keyID]
}

func (m *Memory) setPrint(keyID, print string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.prints == nil {
		m.prints = map[string]string{}
	}
	m.prints[keyID] = print
}
