package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/latchkey-io/latchkey/internal/secret"
)

// Scheme is how a sender shows who it is.
type Scheme string

// The schemes, by the names that the config has for them.
const (
	GitHub           Scheme = "github"
	Jira             Scheme = "jira"
	StandardWebhooks Scheme = "standardWebhooks"
	Bearer           Scheme = "bearer"
	Header           Scheme = "header"
	Basic            Scheme = "basic"
)

// ErrRefused is all that a caller is told, and all that there is to tell: which
// part was wrong would help only somebody who guesses.
var ErrRefused = errors.New("no or wrong signature")

// Tolerance is how far the time of a Standard Webhooks signature may be from
// ours, either way.
const Tolerance = 5 * time.Minute

// Bounds of a secret. A shorter one can be guessed from a public URL; Standard
// Webhooks asks for 24 to 64 bytes, and senders are found with less.
const (
	minSecret = 16
	// MaxSecrets is how many secrets are valid at once: the new one and the old
	// one, while the sender changes over.
	MaxSecrets = 2
)

// Options say how callers of one hook are verified.
type Options struct {
	Scheme Scheme
	// Header is the name of the header of the scheme Header.
	Header string
	// User is the user of the scheme Basic; the secret is the password.
	User string
	// Secrets are one, or two while a secret is changed.
	Secrets []secret.Value
	// Now is the clock that Standard Webhooks' times are compared with; nil is
	// time.Now.
	Now func() time.Time
}

// Verifier tells the callers of one hook from everybody else. It is made of
// closures, so that printing one shows no secret.
type Verifier struct {
	claim  func(http.Header) (Claim, error)
	hidden []string // headers that prove something: nobody else gets to see them
}

// Claim is what a request's header says, before the body is known.
type Claim struct {
	// ID and Time are the sender's, where the scheme signs them.
	ID    string
	Time  time.Time
	holds func(body []byte) bool
}

// Holds reports whether body is what was signed. It is true for any body where
// the scheme signs none: the caller is known then, not the text.
func (c Claim) Holds(body []byte) bool { return c.holds != nil && c.holds(body) }

func anyBody([]byte) bool { return true }

// NewVerifier builds the verifier of one hook. A hook without a secret, or with
// one that is not fit, is an error that doesn't repeat it.
func NewVerifier(o Options) (*Verifier, error) {
	if n := len(o.Secrets); n == 0 || n > MaxSecrets {
		return nil, fmt.Errorf("a hook has one secret, or two while it is changed, not %d", n)
	}
	for i, s := range o.Secrets {
		if o.Scheme != StandardWebhooks && len(s.Expose()) < minSecret {
			return nil, fmt.Errorf("secret %d has %d characters; the least is %d", i+1, len(s.Expose()), minSecret)
		}
	}
	now := o.Now
	if now == nil {
		now = time.Now
	}
	switch o.Scheme {
	case GitHub:
		return signed("X-Hub-Signature-256", o.Secrets), nil
	case Jira:
		return signed("X-Hub-Signature", o.Secrets), nil
	case StandardWebhooks:
		return standard(o.Secrets, now)
	case Bearer:
		return shown("Authorization", func(given string) string {
			scheme, token, _ := strings.Cut(given, " ")
			if !strings.EqualFold(scheme, "bearer") {
				return ""
			}
			return token
		}, "", o.Secrets), nil
	case Header:
		if o.Header == "" {
			return nil, errors.New("the scheme header needs the name of one")
		}
		return shown(o.Header, func(given string) string { return given }, "", o.Secrets), nil
	case Basic:
		if o.User == "" || strings.Contains(o.User, ":") {
			return nil, errors.New("the scheme basic needs a user, without a colon")
		}
		return shown("Authorization", func(given string) string {
			scheme, encoded, _ := strings.Cut(given, " ")
			b, err := base64.StdEncoding.Strict().DecodeString(encoded)
			if err != nil || !strings.EqualFold(scheme, "basic") || strings.ContainsAny(encoded, "\r\n") {
				return ""
			}
			return string(b)
		}, o.User+":", o.Secrets), nil
	}
	return nil, fmt.Errorf("%q is no scheme", o.Scheme)
}

// Claim checks what the header alone can show. ErrRefused: whatever the body
// is, it is not from the hook's sender.
func (v *Verifier) Claim(h http.Header) (Claim, error) { return v.claim(h) }

// only returns the value of a header that is there exactly once. Readers differ
// on which of two counts, so two are none.
func only(h http.Header, name string) string {
	values := h.Values(name)
	if len(values) != 1 {
		return ""
	}
	return values[0]
}

// signed verifies "sha256=" and the HMAC of the body in lower-case hex.
func signed(header string, secrets []secret.Value) *Verifier {
	const prefix = "sha256="
	return &Verifier{hidden: []string{header}, claim: func(h http.Header) (Claim, error) {
		given, ok := strings.CutPrefix(only(h, header), prefix)
		if !ok || len(given) != hex.EncodedLen(sha256.Size) || strings.ContainsFunc(given, func(r rune) bool {
			return (r < '0' || r > '9') && (r < 'a' || r > 'f')
		}) {
			return Claim{}, ErrRefused
		}
		return Claim{holds: func(body []byte) bool {
			found := 0
			for _, s := range secrets {
				mac := hmac.New(sha256.New, []byte(s.Expose()))
				_, _ = mac.Write(body)
				found |= subtle.ConstantTimeCompare([]byte(given), []byte(hex.EncodeToString(mac.Sum(nil))))
			}
			return found == 1
		}}, nil
	}}
}

// shown verifies a secret that is sent as it is. Digests are compared: the time
// that takes says nothing of the secret's length either.
func shown(header string, read func(string) string, prefix string, secrets []secret.Value) *Verifier {
	return &Verifier{hidden: []string{header}, claim: func(h http.Header) (Claim, error) {
		given := sha256.Sum256([]byte(read(only(h, header))))
		found := 0
		for _, s := range secrets {
			want := sha256.Sum256([]byte(prefix + s.Expose()))
			found |= subtle.ConstantTimeCompare(given[:], want[:])
		}
		if found != 1 {
			return Claim{}, ErrRefused
		}
		return Claim{holds: anyBody}, nil
	}}
}

// How much a Standard Webhooks header may say.
const (
	maxID         = 256
	maxSignatures = 16
)

// standard verifies Standard Webhooks v1. The library computes and compares;
// what it takes too easily is refused before: it reads +1700000000 and
// 01700000000 as the time 1700000000, ignores what follows a second comma, takes
// the empty secret, and has no clock but the machine's.
func standard(secrets []secret.Value, now func() time.Time) (*Verifier, error) {
	var holds []func(body []byte, h http.Header) bool
	for i, s := range secrets {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(s.Expose(), "whsec_"))
		if err != nil {
			return nil, fmt.Errorf("secret %d is not base64, which a secret of Standard Webhooks is (whsec_…)", i+1)
		}
		if len(key) < minSecret {
			return nil, fmt.Errorf("secret %d has %d bytes; the least is %d", i+1, len(key), minSecret)
		}
		wh, err := standardwebhooks.NewWebhookRaw(key)
		if err != nil {
			return nil, fmt.Errorf("secret %d can't be used", i+1)
		}
		holds = append(holds, func(body []byte, h http.Header) bool { return wh.VerifyIgnoringTimestamp(body, h) == nil })
	}
	hidden := []string{standardwebhooks.HeaderWebhookSignature}
	return &Verifier{hidden: hidden, claim: func(h http.Header) (Claim, error) {
		id, stamp, signatures := only(h, standardwebhooks.HeaderWebhookID), only(h, standardwebhooks.HeaderWebhookTimestamp), only(h, standardwebhooks.HeaderWebhookSignature)
		// The signed text is id.timestamp.body: an ID with a dot in it could
		// move the borders between the three.
		if id == "" || len(id) > maxID || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' || r == '.' }) {
			return Claim{}, ErrRefused
		}
		seconds, err := strconv.ParseInt(stamp, 10, 64)
		if err != nil || strconv.FormatInt(seconds, 10) != stamp {
			return Claim{}, ErrRefused
		}
		at := time.Unix(seconds, 0).UTC()
		if away := now().Sub(at); away > Tolerance || away < -Tolerance {
			return Claim{}, ErrRefused
		}
		if !wellFormed(signatures) {
			return Claim{}, ErrRefused
		}
		given := http.Header{}
		given.Set(standardwebhooks.HeaderWebhookID, id)
		given.Set(standardwebhooks.HeaderWebhookTimestamp, stamp)
		given.Set(standardwebhooks.HeaderWebhookSignature, signatures)
		return Claim{ID: id, Time: at, holds: func(body []byte) bool {
			found := false
			for _, hold := range holds {
				found = hold(body, given) || found
			}
			return found
		}}, nil
	}}, nil
}

// wellFormed wants signatures separated by single spaces, at least one of them
// of the version that is read here, and none of that version of another shape.
func wellFormed(signatures string) bool {
	list := strings.Split(signatures, " ")
	if len(list) > maxSignatures {
		return false
	}
	ours := 0
	for _, s := range list {
		version, value, _ := strings.Cut(s, ",")
		if version == "" {
			return false
		}
		if version != "v1" {
			continue
		}
		// The length, since decoding passes over line breaks.
		b, err := base64.StdEncoding.Strict().DecodeString(value)
		if err != nil || len(b) != sha256.Size || len(value) != base64.StdEncoding.EncodedLen(sha256.Size) {
			return false
		}
		ours++
	}
	return ours > 0
}
