package secretsmanager

import (
	"context"
	"fmt"

	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// deed describes a call: the step that an error names, and the permission and
// the roles that a denied call lacks.
type deed struct {
	doing, action, roles string
}

// send sends a request of a deed and decodes the answer. hidden are values that
// Secrets Manager may quote.
func send[T any](ctx context.Context, api upstream.Service, d deed, r upstream.Request, hidden ...secret.Value) (answer T, err error) {
	got, reply, err := upstream.Send[T](ctx, api, r)
	if err = d.judge(ctx, reply, err, hidden...); err == nil && got != nil {
		answer = *got
	}
	return answer, err
}

// do is send for a request whose answer is not needed.
func do(ctx context.Context, api upstream.Service, d deed, r upstream.Request, hidden ...secret.Value) error {
	reply, err := upstream.Do(ctx, api, r)
	return d.judge(ctx, reply, err, hidden...)
}

// judge returns the error of a call, sorted by what the caller may do next.
func (d deed) judge(ctx context.Context, reply *upstream.Reply, err error, hidden ...secret.Value) error {
	needs := fmt.Sprintf("the permission secrets-manager.%s (%s)", d.action, d.roles)
	return upstream.SecretsManager.Judge(ctx, d.doing, needs, reply, err, hidden...)
}

// secrets returns the path of the secrets, or of what is below them.
func secrets(ids ...string) []string { return upstream.Path("api/v2/secrets", ids...) }
