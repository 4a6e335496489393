package codeengine

import (
	"context"

	"github.com/IBM/go-sdk-core/v5/core"

	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// permission is what every call of this package needs. Code Engine does not say
// which role was missing.
const permission = "the roles Viewer and Writer on codeengine"

// fault returns the error of an SDK's call, sorted by what the caller may do
// next. hidden are values that Code Engine may quote.
func fault(ctx context.Context, doing string, resp *core.DetailedResponse, err error, hidden ...secret.Value) error {
	return upstream.CodeEngine.SDKFault(ctx, doing, permission, resp, err, hidden...)
}
