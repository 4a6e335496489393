package secretsmanager

import (
	"context"
	"fmt"

	"github.com/IBM/go-sdk-core/v5/core"

	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// deed describes a call: the step that an error names, and the permission and
// the roles that a denied call lacks.
type deed struct {
	doing, action, roles string
}

// fault returns the error of an SDK's call, sorted by what the caller may do
// next. hidden are values that Secrets Manager may quote.
func (d deed) fault(ctx context.Context, resp *core.DetailedResponse, err error, hidden ...secret.Value) error {
	needs := fmt.Sprintf("the permission secrets-manager.%s (%s)", d.action, d.roles)
	return upstream.SecretsManager.SDKFault(ctx, d.doing, needs, resp, err, hidden...)
}
