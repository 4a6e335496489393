package kubernetes

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strings"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// noDryRun reports whether the server refused a dry run because it was one.
func noDryRun(err error) bool { return upstream.Status(err) == http.StatusBadRequest }

// fault returns the error of a call to the API, sorted by what the caller may do next.
// needs is the permission that the call takes. hidden are values that the server may quote.
func (c *Client) fault(ctx context.Context, api upstream.Service, doing, needs string, reply *upstream.Reply, err error, hidden ...secret.Value) error {
	switch {
	case err == nil:
		return nil
	case reply == nil:
		if untrusted(err) {
			c.forget(api)
		}
		return upstream.NoAnswer(ctx, doing, err)
	case reply.Status == http.StatusUnauthorized:
		c.forget(api)
	}
	return upstream.Kubernetes.Fault(ctx, doing, "the permission "+needs, answer(reply), hidden...)
}

// untrusted reports whether one side of a TLS handshake does not trust the other one. A
// server may say so only after the handshake, as with TLS 1.3.
func untrusted(err error) bool {
	if certificate := (*tls.CertificateVerificationError)(nil); errors.As(err, &certificate) {
		return true
	}
	for network := (*net.OpError)(nil); errors.As(err, &network); err = network.Err {
		if network.Op == "remote error" || network.Op == "local error" { // an alert of TLS
			return true
		}
	}
	return false
}

// status is the object that Kubernetes answers a failed call with.
type status struct {
	Kind    string `json:"kind"`
	Status  string `json:"status"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
	Details struct {
		Causes []struct {
			Type string `json:"reason"`
		} `json:"causes"`
	} `json:"details"`
}

// answer reads a failed answer. One that is no Status comes from something else on the
// way, so it is not quoted.
func answer(reply *upstream.Reply) upstream.Answer {
	if reply.Status >= 200 && reply.Status < 300 {
		return upstream.Answer{Status: reply.Status, Message: "(the answer can't be read)"}
	}
	var s status
	if reply.Read(&s); s.Kind != "Status" || s.Status != "Failure" {
		return upstream.Answer{Status: reply.Status, Message: http.StatusText(reply.Status)}
	}
	a := upstream.Answer{Status: reply.Status, Code: s.Reason, Message: s.Message}
	if a.Status == http.StatusForbidden {
		a.Meaning = s.forbidden()
	}
	return a
}

// forbidden returns what a 403 means other than a missing permission, or nil.
func (s status) forbidden() error {
	if strings.Contains(s.Message, "exceeded quota") {
		return port.ErrQuota
	}
	for _, c := range s.Details.Causes {
		if c.Type == "NamespaceTerminating" { // the namespace is being deleted
			return port.ErrNotActive
		}
	}
	return nil
}
