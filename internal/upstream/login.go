package upstream

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/latchkey-io/latchkey/internal/port"
)

// LoginError reports that latchkey's own login failed, whichever call needed
// it.
type LoginError struct{ Meaning, Cause error }

// Error satisfies error.
func (e *LoginError) Error() string {
	return fmt.Sprintf("logging in as ourselves: %v: %v", e.Meaning, e.Cause)
}

// Unwrap returns both the meaning and the cause.
func (e *LoginError) Unwrap() []error { return []error{e.Meaning, e.Cause} }

// Is reports that a denied login is port.ErrLogin.
func (e *LoginError) Is(target error) bool {
	return target == port.ErrLogin && errors.Is(e.Meaning, port.ErrDenied)
}

// SortLogin returns the error of a login that got no answer. A LoginError stays as it is;
// of any other error it keeps the cause if that quotes nothing that was sent.
func SortLogin(err error) *LoginError {
	if own := (*LoginError)(nil); errors.As(err, &own) {
		return own
	}
	return &LoginError{Meaning: port.ErrUnavailable, Cause: safeCause(err)}
}

// NoToken returns the error of a login that IAM answered with a status and an
// error code.
func NoToken(status int, code string) error {
	return errors.New(strings.TrimSpace(fmt.Sprintf("IAM issued no token: status %d %s", status, PlainCode(code))))
}

var codeForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_.-]{1,24}$`) })

// PlainCode returns code if it has the form of an error code, such as
// BXNIM0415E, and else "". The form is too short for a key.
func PlainCode(code string) string {
	if codeForm().MatchString(code) {
		return code
	}
	return ""
}
