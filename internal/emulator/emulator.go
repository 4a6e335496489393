package emulator

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

// ErrNotLoopback means that an address is not on loopback. The control API has
// no authentication, so the emulator never serves a network.
var ErrNotLoopback = errors.New("the emulator listens on loopback only")

// Project is a seeded Code Engine project.
type Project struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Region string `json:"region"`
}

// Ready is what a client needs to connect. `latchkey emulator` prints it as one
// line of JSON.
type Ready struct {
	URL      string `json:"url"`
	APIKey   string `json:"apikey"`
	AdminKey string `json:"adminApikey"` // of the account's owner, who may do everything
	Account  string `json:"account"`
	Logs     string `json:"logs"` // GUID of the Cloud Logs instance
	// ChildAccount is below Account in the enterprise, for assignments of
	// templates.
	ChildAccount string    `json:"childAccount"`
	Projects     []Project `json:"projects"`
	// SecretsManager is the instance of Secrets Manager. Notifications is the
	// GUID of the instance of Event Notifications.
	SecretsManager cloud.SecretsInstance `json:"secretsManager"`
	Notifications  string                `json:"notifications"`
}

// Options configure a server. The zero value is usable.
type Options struct {
	// Listen is an address on loopback. The default is 127.0.0.1 with a free
	// port.
	Listen string
	// Now is the base of the emulated clock; nil means time.Now. Advance sets
	// the offset between the two.
	Now func() time.Time
	// Latency delays every emulated call.
	Latency time.Duration
	// Lag is the initial lag of keys, lists and policies.
	Lag time.Duration
	// ProjectDelay is the initial time that it takes to create a Code Engine
	// project.
	ProjectDelay time.Duration
	// Faults are active from the start.
	Faults []Fault
	// Switches replace the documented guesses; nil means the defaults.
	Switches *cloud.Switches
	// SeedCredentials is the number of service IDs to seed. Each has a key, a
	// policy, and the marker [latchkey v=1 owner=example credential=seed-N] in
	// its description. They count toward no limit of the account. At most
	// 100,000.
	SeedCredentials int
	// Seed determines all generated IDs and values; zero means a random seed.
	Seed [32]byte
	// Log receives one line per call; nil disables it.
	Log *slog.Logger
}

// Server is a running emulator.
type Server struct {
	cloud  *cloud.Cloud
	base   func() time.Time
	log    *slog.Logger
	url    string
	ready  Ready
	mux    *http.ServeMux
	http   *http.Server
	served chan struct{} // closed when the listener's loop has ended
	closed chan struct{} // closed first by Close
	once   sync.Once
	calls  sync.WaitGroup
	hub    *hub

	auditOffset atomic.Int64 // offset of the last audit record in its topic

	mu       sync.Mutex // guards everything below
	offset   time.Duration
	latency  time.Duration
	rates    rates
	faults   []*activeFault
	counters map[string]int
	events   []Event
}

const mostSeeded = 100_000

// UsualProjectDelay is a typical Options.ProjectDelay. IBM's Terraform provider
// first looks after 20 to 60 s.
const UsualProjectDelay = 20 * time.Second

// reportDelay is how long it takes to make an activity report. The SDK's own
// test first sees a 204 and polls for up to 30 s.
const reportDelay = 2 * time.Second

// Start serves a new seeded cloud until Close.
func Start(opts Options) (*Server, error) {
	address := opts.Listen
	if address == "" {
		address = "127.0.0.1:0"
	}
	if err := checkLoopback(address); err != nil {
		return nil, err
	}
	for _, f := range opts.Faults {
		if err := f.check(); err != nil {
			return nil, err
		}
	}
	if opts.Switches != nil {
		if err := opts.Switches.Check(); err != nil {
			return nil, err
		}
	}
	if opts.SeedCredentials < 0 || opts.SeedCredentials > mostSeeded {
		return nil, fmt.Errorf("seeding credentials: %d is not from 0 to %d", opts.SeedCredentials, mostSeeded)
	}
	s := &Server{
		base: opts.Now, log: opts.Log, latency: opts.Latency, counters: map[string]int{},
		hub: newHub(), served: make(chan struct{}), closed: make(chan struct{}),
	}
	if s.base == nil {
		s.base = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	seed := opts.Seed
	if seed == [32]byte{} {
		_, _ = rand.Read(seed[:]) // never fails
	}
	s.cloud = cloud.New(cloud.Options{
		Now: s.Now, Seed: seed, Switches: opts.Switches, OnProject: s.projectChanged, OnSecret: s.secretChanged, SeedCredentials: opts.SeedCredentials, AdminKey: true,
		Settings: cloud.Settings{KeyLag: opts.Lag, ListLag: opts.Lag, PolicyLag: opts.Lag, ProjectDelay: opts.ProjectDelay, ReportDelay: reportDelay},
	})
	for _, f := range opts.Faults {
		s.Inject(f)
	}
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	s.mux = s.newMux()
	s.url = "http://" + listener.Addr().String()
	s.ready = s.describe()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	s.http = &http.Server{
		Handler:           http.HandlerFunc(s.serve),
		Protocols:         protocols,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
		BaseContext:       func(net.Listener) context.Context { return context.Background() },
	}
	s.calls.Go(s.passTime)
	go func() {
		defer close(s.served)
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("serving", "error", err)
		}
	}()
	return s, nil
}

func checkLoopback(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("reading the address %q: %w", address, err)
	}
	if host == "localhost" {
		return nil
	}
	if ip, err := netip.ParseAddr(host); err != nil || !ip.IsLoopback() {
		return fmt.Errorf("%w: not on %q", ErrNotLoopback, address)
	}
	return nil
}

func (s *Server) describe() Ready {
	r := Ready{URL: s.url, APIKey: s.cloud.Minter().APIKey, AdminKey: s.cloud.AdminAPIKey(), Account: cloud.AccountID, Logs: cloud.LogsInstanceID, ChildAccount: cloud.ChildAccountID,
		SecretsManager: cloud.SecretsInstance{ID: cloud.SecretsInstanceID, Region: cloud.SecretsInstanceRegion}, Notifications: cloud.NotificationsInstanceID}
	for _, p := range s.cloud.State(false).Projects {
		r.Projects = append(r.Projects, Project{ID: p.ID, Name: p.Name, Region: p.Region})
	}
	return r
}

// Ready returns what a client needs to connect.
func (s *Server) Ready() Ready { return s.ready }

// URL returns the origin, such as http://127.0.0.1:40001.
func (s *Server) URL() string { return s.url }

// Cloud returns the state behind the server.
func (s *Server) Cloud() *cloud.Cloud { return s.cloud }

// State returns a copy of the whole state; see [cloud.Cloud.State].
func (s *Server) State(values bool) cloud.State { return s.cloud.State(values) }

// Lines returns the accepted log entries.
func (s *Server) Lines() []cloud.LogLine { return s.cloud.Lines() }

// Now returns the emulated time.
func (s *Server) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.base().Add(s.offset)
}

// Advance moves the emulated clock; a negative duration moves it back.
func (s *Server) Advance(d time.Duration) {
	s.mu.Lock()
	s.offset += d
	s.mu.Unlock()
	s.cloud.ExpireSecrets()
}

// Close ends all calls, including those that a fault holds, and waits until
// everything has stopped.
func (s *Server) Close() error {
	var err error
	s.once.Do(func() {
		close(s.closed)
		if err = s.http.Close(); err != nil {
			err = fmt.Errorf("closing the listener: %w", err)
		}
	})
	<-s.served
	s.calls.Wait()
	s.hub.close()
	return err
}
