package kubernetes

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// noDryRun reports whether the server refused a dry run because it was one.
func noDryRun(err error) bool { return upstream.Status(err) == http.StatusBadRequest }

// fault returns a client's error, sorted by what the caller may do next. needs
// is the permission that the call takes. hidden are values that the server may
// quote.
func (c *Client) fault(ctx context.Context, doing, needs string, err error, hidden ...secret.Value) error {
	if err == nil {
		return nil
	}
	var answered apierrors.APIStatus
	if !errors.As(err, &answered) {
		if certificate := (*tls.CertificateVerificationError)(nil); errors.As(err, &certificate) {
			c.forget()
		}
		return upstream.NoAnswer(ctx, doing, err)
	}
	status := answered.Status()
	if status.Code == http.StatusUnauthorized {
		c.forget()
	}
	return upstream.Kubernetes.Fault(ctx, doing, "the permission "+needs, upstream.Answer{
		Status: int(status.Code), Code: string(status.Reason), Message: status.Message, Meaning: forbidden(status),
	}, hidden...)
}

// forbidden returns what a 403 means other than a missing permission, or nil.
func forbidden(s metav1.Status) error {
	switch {
	case s.Code != http.StatusForbidden:
		return nil
	case strings.Contains(s.Message, "exceeded quota"):
		return port.ErrQuota
	case terminating(s):
		return port.ErrNotActive
	}
	return nil
}

// terminating reports whether the namespace is being deleted.
func terminating(s metav1.Status) bool {
	if s.Details == nil {
		return false
	}
	for _, c := range s.Details.Causes {
		if c.Type == "NamespaceTerminating" {
			return true
		}
	}
	return false
}
