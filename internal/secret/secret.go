// Package secret holds secret values so that they cannot be printed by accident.
//
// A Value is a closure. fmt, log/slog, encoding/json and reflection see a
// function, never the bytes, however deeply it is nested. A struct with a
// redacting String method would still print its bytes from an unexported field
// of another struct, because fmt cannot call methods there.
//
// Another package can neither call nor write such a closure, since its parameter
// has an unexported type. Expose is therefore the only way to get the secret,
// and a search for it finds every use.
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
type Value func(opener) string

// opener is what a Value is called with. Other packages can neither name it nor
// write a constant that is assignable to it.
type opener struct{ _ byte }

// New wraps s. Call it as early as possible, and do not keep the string.
func New(s string) Value { return func(opener) string { return s } }

// From returns a Value that calls read each time it is used, for a secret that
// can change.
func From(read func() string) Value { return func(opener) string { return read() } }

// Expose returns the secret. Call it only to send the secret to IAM or to a store.
func (v Value) Expose() string {
	if v == nil {
		return ""
	}
	return v(opener{})
}

// Empty reports whether v is the empty string.
func (v Value) Empty() bool { return v.Expose() == "" }

// Len returns the secret's number of bytes.
func (v Value) Len() int { return len(v.Expose()) }

// Equal reports whether two values are equal, in constant time.
func (v Value) Equal(w Value) bool {
	return subtle.ConstantTimeCompare([]byte(v.Expose()), []byte(w.Expose())) == 1
}

// Fingerprint returns the first 12 hex digits of the value's SHA-256. They show
// whether two stores hold the same key, and cannot reveal the key, which has 264
// random bits.
func (v Value) Fingerprint() string {
	sum := sha256.Sum256([]byte(v.Expose()))
	return hex.EncodeToString(sum[:6])
}

const redacted = "[secret]"

// Format implements fmt.Formatter. It redacts the value for every verb.
func (v Value) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue implements slog.LogValuer. It redacts the value.
func (v Value) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements encoding.TextMarshaler. It redacts the value, so that a
// struct with a Value can be encoded.
func (v Value) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// valueBytes is the entropy of a minted value: 33 bytes make 44 base64url
// characters, the shape of the keys that IBM mints itself.
const valueBytes = 33

// Random returns a new key's value, read from r, or from crypto/rand if r is nil.
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
