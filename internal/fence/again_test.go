package fence

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/port"
)

// Types, flags and error codes of frames: RFC 9113, sections 6 and 7.
const (
	frameData, frameHeaders, frameReset, frameSettings, frameGoAway = 0, 1, 3, 4, 7

	endStream, endHeaders, ack = 1, 4, 1

	protocolError, refusedStream = 1, 7
)

// streams is an HTTP/2 server that answers whole requests with frames. Go's own server
// can't refuse a stream.
type streams struct {
	answer func(c io.Writer, stream uint32)

	requests atomic.Int32
	next     atomic.Value // the protocol of later connections
}

func send(c io.Writer, kind, flags byte, stream uint32, payload []byte) {
	head := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind))
	head = binary.BigEndian.AppendUint32(append(head, flags), stream)
	_, _ = c.Write(append(head, payload...))
}

// serve serves one connection.
func (s *streams) serve(_ *http.Server, c *tls.Conn, _ http.Handler) {
	defer c.Close()
	const preface = 24
	if _, err := io.CopyN(io.Discard, c, preface); err != nil {
		return
	}
	send(c, frameSettings, 0, 0, nil)
	head := make([]byte, 9)
	for {
		if _, err := io.ReadFull(c, head); err != nil {
			return
		}
		size := int64(binary.BigEndian.Uint32(head) >> 8)
		if _, err := io.CopyN(io.Discard, c, size); err != nil {
			return
		}
		kind, flags, stream := head[3], head[4], binary.BigEndian.Uint32(head[5:])
		switch {
		case kind == frameSettings && flags&ack == 0:
			send(c, frameSettings, ack, 0, nil)
		case (kind == frameHeaders || kind == frameData) && flags&endStream != 0:
			s.requests.Add(1)
			s.answer(c, stream)
		}
	}
}

// start starts the server, and returns its URL and a transport to it. A connection after
// the first one may have another protocol.
func (s *streams) start(t *testing.T, later string) (url string, carrier *http.Transport) {
	t.Helper()
	s.next.Store("h2")
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { s.requests.Add(1) }))
	server.TLS = &tls.Config{NextProtos: []string{"h2"}, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		own := server.TLS.Clone()
		own.NextProtos = []string{s.next.Swap(later).(string)}
		return own, nil
	}}
	server.Config.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){"h2": s.serve}
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // the last connection may be closed before it is used
	server.StartTLS()
	trust := server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	trust.NextProtos = nil
	carrier = &http.Transport{TLSClientConfig: trust, ForceAttemptHTTP2: true}
	t.Cleanup(server.Close)
	t.Cleanup(carrier.CloseIdleConnections)
	return server.URL, carrier
}

func reset(code uint32) func(io.Writer, uint32) {
	return func(c io.Writer, stream uint32) {
		send(c, frameReset, 0, stream, binary.BigEndian.AppendUint32(nil, code))
	}
}

// goAway takes no stream at all.
func goAway(c io.Writer, _ uint32) { send(c, frameGoAway, 0, 0, make([]byte, 8)) }

func TestAWriteThatTheServerDoesNotTakeIsNotSentAgain(t *testing.T) {
	for name, answer := range map[string]func(io.Writer, uint32){
		"a stream that is refused": reset(refusedStream),
		"a stream with an error":   reset(protocolError),
		"a connection that ends":   goAway,
	} {
		for _, later := range []string{"h2", "http/1.1"} {
			for _, method := range []string{http.MethodPost, http.MethodDelete} {
				t.Run(name+", "+method+", then "+later, func(t *testing.T) {
					s := &streams{answer: answer}
					url, carrier := s.start(t, later)
					asked := 0
					ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
					defer cancel()
					var content io.Reader
					if method == http.MethodPost {
						content = strings.NewReader(`{"name":"a"}`)
					}
					req, err := http.NewRequestWithContext(WithCheck(ctx, func() error { asked++; return nil }), method, url, content)
					if err != nil {
						t.Fatal(err)
					}
					resp, err := Writes(carrier).RoundTrip(req)
					if err == nil {
						resp.Body.Close()
					}
					if !errors.Is(err, port.ErrNotTaken) || errors.Is(err, context.Canceled) || ctx.Err() != nil {
						t.Errorf("err = %v", err)
					}
					if got := s.requests.Load(); got != 1 || asked != 1 {
						t.Errorf("%d requests arrived, %d questions", got, asked)
					}
				})
			}
		}
	}
}

func TestAReadThatTheServerDoesNotTakeMayBeSentAgain(t *testing.T) {
	var refused atomic.Bool
	s := &streams{answer: func(c io.Writer, stream uint32) {
		if !refused.Swap(true) {
			reset(refusedStream)(c, stream)
			return
		}
		ok(c, stream)
	}}
	url, carrier := s.start(t, "h2")
	resp, err := (&http.Client{Transport: Writes(carrier)}).Get(url)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := s.requests.Load(); got != 2 {
		t.Errorf("%d requests", got)
	}
}

// ok answers with the status 200 and a body of two parts.
func ok(c io.Writer, stream uint32) {
	const status200 = 0x88 // RFC 7541, appendix A
	send(c, frameHeaders, endHeaders, stream, []byte{status200})
	send(c, frameData, 0, stream, bytes.Repeat([]byte("a"), 4000))
	send(c, frameData, endStream, stream, bytes.Repeat([]byte("b"), 4000))
}

func TestTheAnswerToAWriteCanBeReadLater(t *testing.T) {
	s := &streams{answer: ok}
	url, carrier := s.start(t, "h2")
	for range 2 { // the second one on the same connection
		resp, err := (&http.Client{Transport: Writes(carrier)}).Post(url, "", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		if err != nil || len(text) != 8000 {
			t.Errorf("%d bytes, %v", len(text), err)
		}
		resp.Body.Close()
	}
}

func TestAWriteEndsWithItsCaller(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := &streams{answer: func(io.Writer, uint32) { cancel() }}
	url, carrier := s.start(t, "h2")
	req, _ := http.NewRequestWithContext(ctx, http.MethodDelete, url, http.NoBody)
	resp, err := Writes(carrier).RoundTrip(req)
	if err == nil {
		resp.Body.Close()
	}
	if !errors.Is(err, context.Canceled) || errors.Is(err, port.ErrNotTaken) {
		t.Errorf("err = %v", err)
	}
}

// severable is a connection whose writes fail once it is severed.
type severable struct {
	net.Conn
	severed *atomic.Bool
}

func (c severable) Write(p []byte) (int, error) {
	if c.severed.Load() {
		return 0, io.ErrClosedPipe
	}
	return c.Conn.Write(p)
}

// Over HTTP/1 the headers are in a buffer when net/http finds that the connection is gone.
func TestAWriteMayTakeAnotherConnectionBeforeItIsSent(t *testing.T) {
	var arrived atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { arrived.Add(1) }))
	defer server.Close()
	var dialed []*atomic.Bool
	carrier := &http.Transport{DialContext: func(ctx context.Context, network, at string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, at)
		dialed = append(dialed, new(atomic.Bool))
		return severable{c, dialed[len(dialed)-1]}, err
	}}
	defer carrier.CloseIdleConnections()
	client := &http.Client{Transport: Writes(carrier)}
	for range 2 {
		resp, err := client.Post(server.URL, "", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		dialed[0].Store(true)
	}
	if len(dialed) != 2 || arrived.Load() != 2 {
		t.Errorf("%d requests arrived on %d connections", arrived.Load(), len(dialed))
	}
}
