package webhook_test

import (
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/webhook"
)

// With such a secret every caller would be refused without a cause.
func TestASecretThatIsNotOneLineOfTextIsRefused(t *testing.T) {
	const token = "events-0123456789abcdef"
	for name, tc := range map[string]struct{ text, says string }{
		"plain ASCII":                            {token, ""},
		"letters of another language":            {token + "é", ""},
		"blanks and quotes":                      {`"` + token + ` x"`, ""},
		"too few characters":                     {"events-01234567", "has 15 characters; the minimum is 16"},
		"two lines":                              {token + "\n" + token, "U+000A"},
		"a NUL behind it":                        {token + "\x00", "U+0000"},
		"a byte order mark within":               {token + "\ufeff" + token, "U+FEFF"},
		"a blank without width":                  {"\u200b" + token, "U+200B"},
		"UTF-16, as Windows editors may save it": {"\xff\xfe" + strings.Join(strings.Split(token, ""), "\x00") + "\x00", "is not UTF-8 text"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, scheme := range []webhook.Scheme{webhook.Bearer, webhook.GitHub} {
				err := webhook.CheckSecret(scheme, secret.New(tc.text))
				if (err == nil) != (tc.says == "") || err != nil && !strings.Contains(err.Error(), tc.says) {
					t.Errorf("scheme %s: %v, want %q", scheme, err, tc.says)
				}
				if err != nil && strings.Contains(err.Error(), "0123") {
					t.Errorf("scheme %s: the error has the secret: %v", scheme, err)
				}
			}
		})
	}
}
