package doctor

import (
	"cmp"
	"context"
	"strings"

	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/webhook"
)

// Secret is a secret that the config takes from a variable or a file.
type Secret struct {
	At    string // in the config, such as events.auth.bearerEnv
	Where string // the variable or the file
	// For says what needs it.
	For string
	// Missing is why it can't be read here, or nil. Another machine may have it.
	Missing error
	// Wrong is why it is of no use, or nil.
	Wrong error
}

// ReadSecrets reads every secret of a config, and says which forms need it. env looks
// variables up.
func ReadSecrets(ctx context.Context, env func(string) string, sources []secret.Source) (read []Secret) {
	for _, s := range sources {
		at := Secret{At: s.At, Where: cmp.Or(s.Env, s.File)}
		switch part, _, _ := strings.Cut(s.At, "["); {
		case part == "credentials":
			at.For = "without it the credential is blocked"
		case s.Sender == "":
			at.For = "without it serve, the function and every job do not start"
		default:
			at.For = "without it serve, the function and a job with an event do not start"
		}
		v, err := secret.Read(ctx, env, s.Env, s.File)
		switch {
		case err != nil:
			at.Missing = err
		case s.Sender != "":
			at.Wrong = webhook.CheckSecret(webhook.Bearer, v)
		}
		read = append(read, at)
	}
	return read
}

// readable checks the secrets of every form, which need not run here.
func (d *examination) readable() {
	for _, s := range d.Secrets {
		switch {
		case s.Missing != nil:
			d.unsure("set it where that runs", "secret %s: %v here; %s", s.At, s.Missing, s.For)
		case s.Wrong != nil:
			d.fail("replace it", "secret %s: %s %v; %s", s.At, s.Where, s.Wrong, s.For)
		default:
			d.pass("secret %s: %s is set", s.At, s.Where)
		}
	}
}
