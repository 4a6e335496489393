package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"

	"github.com/latchkey-io/latchkey/internal/port"
)

// NoAnswer returns the error of a call without an answer. The failure of our
// own login keeps its meaning; everything else is ErrUnavailable.
func NoAnswer(ctx context.Context, doing string, err error) error {
	if own := loginFailure(err); own != nil {
		return fmt.Errorf("%s: %w", doing, own)
	}
	cause := ctx.Err()
	if cause == nil {
		cause = safeCause(err)
	}
	return fmt.Errorf("%s: %w: %w", doing, port.ErrUnavailable, cause)
}

// loginFailure returns the failure of our own login in err, or nil. A transport
// that logs in returns a LoginError or wraps one of the two sentinels.
func loginFailure(err error) error {
	if own := (*LoginError)(nil); errors.As(err, &own) {
		return own
	}
	if !errors.Is(err, port.ErrDenied) && !errors.Is(err, port.ErrUnavailable) {
		return nil
	}
	if sent := (*url.Error)(nil); errors.As(err, &sent) {
		return sent.Err
	}
	return err
}

var errUnsent = errors.New("the request was not sent or not answered")

// safeCause returns why a call has no answer. It keeps only causes that quote
// nothing that was sent or received.
func safeCause(err error) error {
	var (
		network     *net.OpError
		certificate *tls.CertificateVerificationError
		name        *net.DNSError
		bent        *BentError
	)
	switch {
	case errors.As(err, &bent):
		return bent
	case errors.Is(err, port.ErrNotTaken):
		return port.ErrNotTaken
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.Is(err, context.DeadlineExceeded): // includes the client's own timeout
		return context.DeadlineExceeded
	case errors.As(err, &network) && network.Op == "proxyconnect":
		return fmt.Errorf("the proxy can't be reached: %w", network.Err)
	case errors.As(err, &name):
		return name
	case errors.As(err, &network):
		return network
	case errors.As(err, &certificate):
		return certificate
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return io.ErrUnexpectedEOF
	}
	return errUnsent
}
