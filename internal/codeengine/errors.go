package codeengine

import (
	"context"

	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// permission is what every call of this package needs. Code Engine does not say
// which role was missing.
const permission = "the roles Viewer and Writer on codeengine"

// fault returns the error of a call, sorted by what the caller may do next. hidden
// are values that Code Engine may quote.
func fault(ctx context.Context, doing string, reply *upstream.Reply, err error, hidden ...secret.Value) error {
	return upstream.CodeEngine.Judge(ctx, doing, permission, reply, err, hidden...)
}
