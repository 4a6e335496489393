package webhook_test

import (
	"crypto/sha256"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// This file is a second implementation of verification, written from the
// specifications. It shares only a hash function with the package.

// pads caches the two pads of RFC 2104 by key.
var pads sync.Map

func padsOf(key string) [2]string {
	if known, ok := pads.Load(key); ok {
		return known.([2]string)
	}
	block := key
	if len(block) > 64 {
		sum := sha256.Sum256([]byte(block))
		block = string(sum[:])
	}
	var inner, outer [64]byte
	copy(inner[:], block)
	copy(outer[:], block)
	for i := range 64 {
		inner[i] ^= 0x36
		outer[i] ^= 0x5c
	}
	made := [2]string{string(inner[:]), string(outer[:])}
	pads.Store(key, made)
	return made
}

// hmac256 is RFC 2104 with SHA-256.
func hmac256(key, text string) [32]byte {
	p := padsOf(key)
	first := sha256.Sum256([]byte(p[0] + text))
	return sha256.Sum256([]byte(p[1] + string(first[:])))
}

func githubSignature(secret, body string) string {
	sum := hmac256(secret, body)
	hex := make([]byte, 0, 71)
	hex = append(hex, "sha256="...)
	for _, b := range sum {
		hex = append(hex, "0123456789abcdef"[b>>4], "0123456789abcdef"[b&15])
	}
	return string(hex)
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// base64Of is RFC 4648 for 32 bytes.
func base64Of(b [32]byte) string {
	var out strings.Builder
	for i := 0; i < 30; i += 3 {
		n := int(b[i])<<16 | int(b[i+1])<<8 | int(b[i+2])
		for shift := 18; shift >= 0; shift -= 6 {
			out.WriteByte(alphabet[n>>shift&63])
		}
	}
	n := int(b[30])<<16 | int(b[31])<<8
	return out.String() + string(alphabet[n>>18&63]) + string(alphabet[n>>12&63]) + string(alphabet[n>>6&63]) + "="
}

// standardSignature takes the key as bytes: a secret is their base64.
func standardSignature(key, id, stamp, body string) string {
	return "v1," + base64Of(hmac256(key, id+"."+stamp+"."+body))
}

var (
	plainID    = regexp.MustCompile(`^[!-\-/-~]{1,256}$`) // printable, no dot
	plainStamp = regexp.MustCompile(`^(0|-?[1-9][0-9]{0,17})$`)
	plainV1    = regexp.MustCompile(`^v1,[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$`)
)

// secondSigned returns the wanted verdict on a GitHub or Jira request.
func secondSigned(h http.Header, name string, secrets []string, body string) bool {
	if len(h[name]) != 1 {
		return false
	}
	for _, s := range secrets {
		if h[name][0] == githubSignature(s, body) {
			return true
		}
	}
	return false
}

func secondStandard(h http.Header, keys []string, body string, now time.Time) bool {
	if len(h["Webhook-Id"]) != 1 || len(h["Webhook-Timestamp"]) != 1 || len(h["Webhook-Signature"]) != 1 {
		return false
	}
	id, stamp := h["Webhook-Id"][0], h["Webhook-Timestamp"][0]
	if !plainID.MatchString(id) || !plainStamp.MatchString(stamp) {
		return false
	}
	at, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || now.Unix()-at > 300 || at-now.Unix() > 300 {
		return false
	}
	list := strings.Split(h["Webhook-Signature"][0], " ")
	found := false
	var right []string
	for _, k := range keys {
		right = append(right, standardSignature(k, id, stamp, body))
	}
	for _, s := range list {
		if s == "" || s[0] == ',' || s == "v1" || strings.HasPrefix(s, "v1,") && !plainV1.MatchString(s) {
			return false
		}
		found = found || slices.Contains(right, s)
	}
	return found && len(list) <= 16
}
