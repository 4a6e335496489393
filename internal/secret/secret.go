// Package secret holds a key's value between its birth and the store that
// takes it.
//
// A Value is a closure: fmt, log/slog, encoding/json and reflection see a
// function, never the bytes, in whatever struct it is nested. A struct with a
// redacting String method would still print its bytes from inside an
// unexported field of another struct, because fmt cannot call methods there.
// Expose is the only way out, so a search for it lists every place that a
// value can leave by.
package secret

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
)

// Value is a secret string. The zero Value is empty and valid.
type Value func() string

// New wraps s. Give it the secret as early as possible and drop the string.
func New(s string) Value { return func() string { return s } }

// Expose returns the secret itself: call it only where the bytes leave for
// IAM or for a store.
func (v Value) Expose() string {
	if v == nil {
		return ""
	}
	return v()
}

// Empty reports whether there is no secret in v.
func (v Value) Empty() bool { return v.Expose() == "" }

// Equal compares two values in constant time.
func (v Value) Equal(w Value) bool {
	return subtle.ConstantTimeCompare([]byte(v.Expose()), []byte(w.Expose())) == 1
}

// Fingerprint is the first 12 hex digits of the SHA-256 of the value: enough
// to see that two places hold the same key, useless for finding the key, which
// has 264 random bits.
func (v Value) Fingerprint() string {
	sum := sha256.Sum256([]byte(v.Expose()))
	return hex.EncodeToString(sum[:6])
}

const redacted = "[secret]"

// Format satisfies fmt.Formatter for every verb.
func (v Value) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue satisfies slog.LogValuer.
func (v Value) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText keeps encoders from failing on a struct that carries a Value,
// and from printing it.
func (v Value) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// valueBytes is the entropy of a minted value: 33 bytes make 44 base64url
// characters, the shape of the keys that IBM mints itself.
const valueBytes = 33

// Random makes a new key's value from r, or from crypto/rand when r is nil.
func Random(r io.Reader) (Value, error) {
	if r == nil {
		r = rand.Reader
	}
	b := make([]byte, valueBytes)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, fmt.Errorf("drawing a key's value: %w", err)
	}
	return New(base64.RawURLEncoding.EncodeToString(b)), nil
}
