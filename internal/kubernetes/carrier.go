package kubernetes

import (
	"cmp"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/latchkey-io/latchkey/internal/upstream"
)

// carrier is the transport to a server. It stays while only the login changes: a cluster
// that answers each call with a 401 makes the client read its kubeconfig again and again,
// which must not open a connection each time.
type carrier struct {
	*http.Transport

	made    mark
	retired atomic.Bool
}

// mark is a hash of what a carrier is made of.
type mark [sha256.Size]byte

func (s *server) mark() mark {
	trust := cmp.Or(s.trust, &tls.Config{MinVersion: tls.VersionTLS12}) // without TLS the base tells
	return sha256.Sum256(fmt.Appendf(nil, "%q %q %t %q %q %v %t",
		s.base, trust.ServerName, trust.InsecureSkipVerify, s.authority, s.own, s.proxy, s.uncompressed))
}

func (s *server) carrier() *carrier {
	t := upstream.NewTransport(s.trust)
	t.DisableCompression = s.uncompressed
	// Without pings, calls would fail for minutes after a load balancer dropped the
	// connection, since HTTP/2 has only one.
	t.HTTP2 = &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second}
	if s.proxy != nil {
		t.Proxy = http.ProxyURL(s.proxy)
	}
	return &carrier{Transport: t, made: s.mark()}
}

// retire closes the connections of a carrier that is replaced. Those that carry a call are
// closed when it ends.
func (c *carrier) retire() {
	c.retired.Store(true)
	c.CloseIdleConnections()
}

// finishing is a transport over a carrier that closes its connections after the last call.
type finishing struct {
	next    http.RoundTripper // reads each answer completely
	carrier *carrier
}

// RoundTrip satisfies http.RoundTripper.
func (t finishing) RoundTrip(req *http.Request) (*http.Response, error) {
	defer func() {
		if t.carrier.retired.Load() {
			t.carrier.CloseIdleConnections()
		}
	}()
	return t.next.RoundTrip(req)
}

// CloseIdleConnections lets http.Client.CloseIdleConnections reach the carrier.
func (t finishing) CloseIdleConnections() { t.carrier.CloseIdleConnections() }
