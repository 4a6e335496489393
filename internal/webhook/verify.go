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
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/latchkey-io/latchkey/internal/secret"
)

// Scheme is a method of authentication.
type Scheme string

// The schemes, as the config spells them; see the package comment.
const (
	GitHub           Scheme = "github"           // HMAC-SHA256 of the body
	Jira             Scheme = "jira"             // HMAC-SHA256 of the body
	StandardWebhooks Scheme = "standardWebhooks" // HMAC-SHA256 of ID, time and body
	Bearer           Scheme = "bearer"           // a token in Authorization
	Header           Scheme = "header"           // a secret in Options.Header
	Basic            Scheme = "basic"            // Options.User and a password
)

// ErrRefused is the only error of Claim. It does not name the wrong part, which would
// help an attacker.
var ErrRefused = errors.New("not verified")

// Tolerance is how far the time of a Standard Webhooks signature may differ from
// the current time.
const Tolerance = 5 * time.Minute

// Bounds of secrets. A short secret can be guessed, since the URL is public. Standard
// Webhooks specifies 24 to 64 bytes, but some senders use fewer.
const (
	// MinSecret is the shortest secret of a sender, in characters.
	MinSecret = 16
	// MaxSecrets is how many secrets a hook has: one, or a new and an old one during
	// a change.
	MaxSecrets = 2
)

// Options configure a Verifier.
type Options struct {
	Scheme  Scheme
	Header  string           // the header's name, for the scheme Header
	User    string           // the user, for the scheme Basic; the secret is the password
	Secrets []secret.Value   // one, or two during a change; each is read at each request
	Now     func() time.Time // current time, for StandardWebhooks; default time.Now
}

// Verifier authenticates the callers of one hook. It consists of closures, so that
// printing one shows no secret.
type Verifier struct {
	claim  func(http.Header) (Claim, error)
	hidden []string // headers with credentials, hidden from expressions
}

// Claim is the result of checking a request's header.
type Claim struct {
	ID   string    // the signed ID; "": the scheme signs none
	Time time.Time // the signed time; zero: the scheme signs none
	// Signed is true if the scheme signs the body.
	Signed bool
	holds  func(body []byte) bool
}

// Holds reports whether the claim covers body. If the scheme does not sign the body,
// it is true for any body.
func (c Claim) Holds(body []byte) bool { return c.holds != nil && c.holds(body) }

func anyBody([]byte) bool { return true }

// NewVerifier returns a Verifier. It is an error if a secret is missing or unsuitable;
// the error does not repeat it.
func NewVerifier(o Options) (*Verifier, error) {
	if n := len(o.Secrets); n == 0 || n > MaxSecrets {
		return nil, fmt.Errorf("a hook has one secret, or two during a change, not %d", n)
	}
	for i, s := range o.Secrets {
		if err := CheckSecret(o.Scheme, s); err != nil {
			return nil, fmt.Errorf("secret %d %w", i+1, err)
		}
	}
	now := o.Now
	if now == nil {
		now = time.Now
	}
	switch o.Scheme {
	case GitHub:
		return newBodySignature("X-Hub-Signature-256", o.Secrets), nil
	case Jira:
		return newBodySignature("X-Hub-Signature", o.Secrets), nil
	case StandardWebhooks:
		return newStandardWebhooks(o.Secrets, now), nil
	case Bearer:
		return newSharedSecret("Authorization", func(given string) string {
			scheme, token, _ := strings.Cut(given, " ")
			if !strings.EqualFold(scheme, "bearer") {
				return ""
			}
			return token
		}, "", o.Secrets), nil
	case Header:
		if o.Header == "" {
			return nil, errors.New("the scheme header needs the name of a header")
		}
		return newSharedSecret(o.Header, func(given string) string { return given }, "", o.Secrets), nil
	case Basic:
		if o.User == "" || strings.Contains(o.User, ":") {
			return nil, errors.New("the scheme basic needs a user without a colon")
		}
		return newSharedSecret("Authorization", func(given string) string {
			scheme, encoded, _ := strings.Cut(given, " ")
			b, err := base64.StdEncoding.Strict().DecodeString(encoded)
			if err != nil || !strings.EqualFold(scheme, "basic") || strings.ContainsAny(encoded, "\r\n") {
				return ""
			}
			return string(b)
		}, o.User+":", o.Secrets), nil
	}
	return nil, fmt.Errorf("%q is not a scheme", o.Scheme)
}

// CheckSecret says what is wrong with a secret of a scheme, such as "has 5 characters".
// The error does not repeat it.
func CheckSecret(scheme Scheme, s secret.Value) error {
	if scheme == StandardWebhooks {
		_, err := standardWebhook(s)
		return err
	}
	if n := s.Len(); n < MinSecret {
		return fmt.Errorf("has %d characters; the minimum is %d", n, MinSecret)
	}
	text := s.Expose()
	if !utf8.ValidString(text) {
		return errors.New("is not UTF-8 text; an editor may have saved it as UTF-16")
	}
	// A file with two secrets and a text that was copied from a page have such characters.
	// Every request would be refused without a cause.
	if i := strings.IndexFunc(text, invisible); i >= 0 {
		r, _ := utf8.DecodeRuneInString(text[i:])
		return fmt.Errorf("has the character %U; a secret is one line of visible characters", r)
	}
	return nil
}

// invisible reports whether a character is a control or a format character.
func invisible(r rune) bool { return unicode.Is(unicode.C, r) }

// Claim checks the header. The error is ErrRefused if the request is not from the
// hook's sender, whatever its body is.
func (v *Verifier) Claim(h http.Header) (Claim, error) { return v.claim(h) }

// singleValue returns the value of a header that occurs exactly once, and otherwise "".
// Readers differ on which of two values counts.
func singleValue(h http.Header, name string) string {
	values := h.Values(name)
	if len(values) != 1 {
		return ""
	}
	return values[0]
}

// newBodySignature returns a Verifier of "sha256=" followed by the HMAC of the body in
// lower-case hex.
func newBodySignature(header string, secrets []secret.Value) *Verifier {
	const prefix = "sha256="
	return &Verifier{hidden: []string{header}, claim: func(h http.Header) (Claim, error) {
		given, ok := strings.CutPrefix(singleValue(h, header), prefix)
		if !ok || len(given) != hex.EncodedLen(sha256.Size) || strings.ContainsFunc(given, func(r rune) bool {
			return (r < '0' || r > '9') && (r < 'a' || r > 'f')
		}) {
			return Claim{}, ErrRefused
		}
		return Claim{Signed: true, holds: func(body []byte) bool {
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

// newSharedSecret returns a Verifier of a secret that is sent in clear. It compares
// digests, so that the time does not depend on the secret's length.
func newSharedSecret(header string, read func(string) string, prefix string, secrets []secret.Value) *Verifier {
	return &Verifier{hidden: []string{header}, claim: func(h http.Header) (Claim, error) {
		given := sha256.Sum256([]byte(read(singleValue(h, header))))
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

// Bounds of a Standard Webhooks header: characters of the ID and number of
// signatures.
const (
	maxID         = 256
	maxSignatures = 16
)

// anyBase64 turns the URL alphabet into the standard one: makers of secrets use either,
// with or without padding.
var anyBase64 = strings.NewReplacer("-", "+", "_", "/")

// newStandardWebhooks returns a Verifier of Standard Webhooks v1. The library computes
// and compares the signature. The Verifier rejects what the library accepts too easily:
// the times +1700000000 and 01700000000, text after a second comma, and an empty
// secret. The library's clock cannot be set, so the Verifier also checks the time.
func newStandardWebhooks(secrets []secret.Value, now func() time.Time) *Verifier {
	hidden := []string{standardwebhooks.HeaderWebhookSignature, svixPrefix + "Signature"}
	return &Verifier{hidden: hidden, claim: func(h http.Header) (Claim, error) {
		id, stamp, signatures, err := webhookHeaders(h)
		if err != nil {
			return Claim{}, err
		}
		// The signed text is id.timestamp.body. A dot in the ID could shift the
		// boundaries.
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
		return Claim{ID: id, Time: at, Signed: true, holds: func(body []byte) bool {
			found := false
			for _, s := range secrets {
				wh, err := standardWebhook(s)
				found = (err == nil && wh.VerifyIgnoringTimestamp(body, given) == nil) || found
			}
			return found
		}}, nil
	}}
}

// standardWebhook returns the library's verifier of one secret.
func standardWebhook(s secret.Value) (*standardwebhooks.Webhook, error) {
	key, err := base64.RawStdEncoding.DecodeString(anyBase64.Replace(strings.TrimRight(strings.TrimPrefix(s.Expose(), "whsec_"), "=")))
	if err != nil {
		return nil, errors.New("is not base64, as Standard Webhooks requires (whsec_…)")
	}
	if len(key) < MinSecret {
		return nil, fmt.Errorf("has %d bytes; the minimum is %d", len(key), MinSecret)
	}
	wh, err := standardwebhooks.NewWebhookRaw(key)
	if err != nil {
		return nil, errors.New("cannot be used")
	}
	return wh, nil
}

// svixPrefix begins the names that senders on Svix give to the three headers.
// https://docs.svix.com/receiving/verifying-payloads/how-manual
const svixPrefix = "Svix-"

// webhookHeaders returns the signed ID, the time and the signatures, under the names of
// Standard Webhooks or of Svix. A request may have both sets if they are equal. Sets that
// differ are refused: readers differ on which one counts.
func webhookHeaders(h http.Header) (id, stamp, signatures string, err error) {
	names := []string{standardwebhooks.HeaderWebhookID, standardwebhooks.HeaderWebhookTimestamp, standardwebhooks.HeaderWebhookSignature}
	svix := []string{svixPrefix + "Id", svixPrefix + "Timestamp", svixPrefix + "Signature"}
	present := func(name string) bool { return len(h.Values(name)) > 0 }
	if slices.ContainsFunc(svix, present) {
		for i, name := range names {
			if slices.ContainsFunc(names, present) && !slices.Equal(h.Values(name), h.Values(svix[i])) {
				return "", "", "", ErrRefused
			}
		}
		names = svix
	}
	return singleValue(h, names[0]), singleValue(h, names[1]), singleValue(h, names[2]), nil
}

// wellFormed reports whether signatures are separated by single spaces, at least one
// is of version v1, and all of v1 have the right form.
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
		// The length is checked because decoding skips line breaks.
		b, err := base64.StdEncoding.Strict().DecodeString(value)
		if err != nil || len(b) != sha256.Size || len(value) != base64.StdEncoding.EncodedLen(sha256.Size) {
			return false
		}
		ours++
	}
	return ours > 0
}
