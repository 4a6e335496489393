package webhook_test

import (
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/webhook"
)

const (
	oldSecret = "canary-the-old-secret-4f1d"
	newSecret = "canary-the-new-secret-9a07"
	body      = `{"action":"created","repository":{"name":"shop"}}`
)

var at = time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)

func clock() time.Time { return at }

func whsec(key string) string { return "whsec_" + base64.StdEncoding.EncodeToString([]byte(key)) }

func verifier(t testing.TB, scheme webhook.Scheme, secrets ...string) *webhook.Verifier {
	t.Helper()
	o := webhook.Options{Scheme: scheme, Now: clock}
	switch scheme {
	case webhook.Header:
		o.Header = "X-Latchkey-Token"
	case webhook.Basic:
		o.User = "snow"
	}
	for _, s := range secrets {
		if scheme == webhook.StandardWebhooks {
			s = whsec(s)
		}
		o.Secrets = append(o.Secrets, secret.New(s))
	}
	v, err := webhook.NewVerifier(o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func accepts(v *webhook.Verifier, h http.Header, body string) bool {
	c, err := v.Claim(h)
	return err == nil && c.Holds([]byte(body))
}

func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

func standardHeader(key, id, stamp, body string) http.Header {
	return header("webhook-id", id, "webhook-timestamp", stamp, "webhook-signature", standardSignature(key, id, stamp, body))
}

func svixHeader(key, id, stamp, body string) http.Header {
	return header("svix-id", id, "svix-timestamp", stamp, "svix-signature", standardSignature(key, id, stamp, body))
}

func both(a, b http.Header) http.Header {
	h := a.Clone()
	for name, values := range b {
		h[name] = values
	}
	return h
}

func basic(userPassword string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(userPassword))
}

const stamp = "1795514400" // at

func TestVerify(t *testing.T) {
	github, std := webhook.GitHub, webhook.StandardWebhooks
	good := githubSignature(newSecret, body)
	for name, tc := range map[string]struct {
		scheme webhook.Scheme
		header http.Header
		want   bool
	}{
		"GitHub: the documented signature":                         {github, header("X-Hub-Signature-256", good), true},
		"GitHub: by the old secret while it is changed":            {github, header("X-Hub-Signature-256", githubSignature(oldSecret, body)), true},
		"GitHub: by a third secret":                                {github, header("X-Hub-Signature-256", githubSignature("another-secret-0000", body)), false},
		"GitHub: no header":                                        {github, header(), false},
		"GitHub: Jira's header is no way round":                    {github, header("X-Hub-Signature", good), false},
		"GitHub: the legacy SHA-1":                                 {github, header("X-Hub-Signature-256", "sha1="+good[len("sha256="):len("sha256=")+40]), false},
		"GitHub: without its prefix":                               {github, header("X-Hub-Signature-256", good[len("sha256="):]), false},
		"GitHub: in capitals, which is another spelling":           {github, header("X-Hub-Signature-256", "sha256="+strings.ToUpper(good[len("sha256="):])), false},
		"GitHub: twice":                                            {github, header("X-Hub-Signature-256", good, "X-Hub-Signature-256", good), false},
		"GitHub: two in one header":                                {github, header("X-Hub-Signature-256", good+", "+good), false},
		"GitHub: cut short":                                        {github, header("X-Hub-Signature-256", good[:len(good)-2]), false},
		"GitHub: a bearer token that is the secret":                {github, header("Authorization", "Bearer "+newSecret), false},
		"Jira: the documented signature":                           {webhook.Jira, header("X-Hub-Signature", good), true},
		"Jira: GitHub's header is no way round":                    {webhook.Jira, header("X-Hub-Signature-256", good), false},
		"Standard Webhooks: the documented signature":              {std, standardHeader(newSecret, "msg_1", stamp, body), true},
		"Standard Webhooks: by the old secret":                     {std, standardHeader(oldSecret, "msg_1", stamp, body), true},
		"Standard Webhooks: five minutes old":                      {std, standardHeader(newSecret, "msg_1", "1795514100", body), true},
		"Standard Webhooks: five minutes and a second old":         {std, standardHeader(newSecret, "msg_1", "1795514099", body), false},
		"Standard Webhooks: five minutes ahead":                    {std, standardHeader(newSecret, "msg_1", "1795514700", body), true},
		"Standard Webhooks: five minutes and a second ahead":       {std, standardHeader(newSecret, "msg_1", "1795514701", body), false},
		"Standard Webhooks: a sign before the time":                {std, standardHeader(newSecret, "msg_1", "+"+stamp, body), false},
		"Standard Webhooks: a zero before the time":                {std, standardHeader(newSecret, "msg_1", "0"+stamp, body), false},
		"Standard Webhooks: no time":                               {std, standardHeader(newSecret, "msg_1", "", body), false},
		"Standard Webhooks: a dot in the ID could move the border": {std, standardHeader(newSecret, "msg.1", stamp, body), false},
		"Standard Webhooks: several signatures, one right":         {std, header("webhook-id", "m", "webhook-timestamp", stamp, "webhook-signature", "v1a,abc "+standardSignature("another-key-of-24-bytes!", "m", stamp, body)+" "+standardSignature(newSecret, "m", stamp, body)), true},
		"Standard Webhooks: a version that is not read here":       {std, header("webhook-id", "m", "webhook-timestamp", stamp, "webhook-signature", "v2"+standardSignature(newSecret, "m", stamp, body)[2:]), false},
		"Standard Webhooks: something behind the signature":        {std, header("webhook-id", "m", "webhook-timestamp", stamp, "webhook-signature", standardSignature(newSecret, "m", stamp, body)+",x"), false},
		"Standard Webhooks: too many signatures":                   {std, header("webhook-id", "m", "webhook-timestamp", stamp, "webhook-signature", standardSignature(newSecret, "m", stamp, body)+strings.Repeat(" v3,x", 16)), false},
		"Standard Webhooks: a space before the signature":          {std, header("webhook-id", "m", "webhook-timestamp", stamp, "webhook-signature", " "+standardSignature(newSecret, "m", stamp, body)), false},
		"Standard Webhooks: two IDs":                               {std, header("webhook-id", "m", "webhook-id", "m", "webhook-timestamp", stamp, "webhook-signature", standardSignature(newSecret, "m", stamp, body)), false},
		"Standard Webhooks: with the header names of Svix":         {std, svixHeader(newSecret, "msg_1", stamp, body), true},
		"Standard Webhooks: by another key, named as Svix does":    {std, svixHeader("another-key-of-24-bytes!", "msg_1", stamp, body), false},
		"Standard Webhooks: both sets of names":                    {std, both(standardHeader(newSecret, "msg_1", stamp, body), svixHeader(newSecret, "msg_1", stamp, body)), true},
		"Standard Webhooks: both sets, with two IDs":               {std, both(standardHeader(newSecret, "msg_1", stamp, body), svixHeader(newSecret, "msg_2", stamp, body)), false},
		"Standard Webhooks: both sets, one of them by another key": {std, both(standardHeader(newSecret, "msg_1", stamp, body), svixHeader("another-key-of-24-bytes!", "msg_1", stamp, body)), false},
		"Standard Webhooks: both sets, one without a signature":    {std, both(standardHeader(newSecret, "msg_1", stamp, body), header("svix-id", "msg_1", "svix-timestamp", stamp)), false},
		"Standard Webhooks: names of both sets mixed":              {std, header("svix-id", "m", "webhook-timestamp", stamp, "webhook-signature", standardSignature(newSecret, "m", stamp, body)), false},
		"Bearer: the token":                                        {webhook.Bearer, header("Authorization", "Bearer "+newSecret), true},
		"Bearer: the old token":                                    {webhook.Bearer, header("Authorization", "bearer "+oldSecret), true},
		"Bearer: none":                                             {webhook.Bearer, header("Authorization", "Bearer "), false},
		"Bearer: a part of it":                                     {webhook.Bearer, header("Authorization", "Bearer "+newSecret[:20]), false},
		"Bearer: by another scheme":                                {webhook.Bearer, header("Authorization", "Basic "+newSecret), false},
		"Bearer: twice":                                            {webhook.Bearer, header("Authorization", "Bearer "+newSecret, "Authorization", "Bearer "+newSecret), false},
		"Header: the secret":                                       {webhook.Header, header("X-Latchkey-Token", newSecret), true},
		"Header: another header":                                   {webhook.Header, header("X-Token", newSecret), false},
		"Header: empty":                                            {webhook.Header, header("X-Latchkey-Token", ""), false},
		"Basic: user and password":                                 {webhook.Basic, header("Authorization", basic("snow:"+newSecret)), true},
		"Basic: another user":                                      {webhook.Basic, header("Authorization", basic("rain:"+newSecret)), false},
		"Basic: no password":                                       {webhook.Basic, header("Authorization", basic("snow:")), false},
		"Basic: not base64":                                        {webhook.Basic, header("Authorization", "Basic snow:"+newSecret), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := accepts(verifier(t, tc.scheme, newSecret, oldSecret), tc.header, body); got != tc.want {
				t.Errorf("accepted: %v", got)
			}
		})
	}
}

func TestASignatureOfOneBodyHoldsForNoOther(t *testing.T) {
	for scheme, h := range map[webhook.Scheme]http.Header{
		webhook.GitHub:           header("X-Hub-Signature-256", githubSignature(newSecret, body)),
		webhook.Jira:             header("X-Hub-Signature", githubSignature(newSecret, body)),
		webhook.StandardWebhooks: standardHeader(newSecret, "msg_1", stamp, body),
	} {
		v := verifier(t, scheme, newSecret)
		for _, other := range []string{"", body + " ", body[1:], body + body, strings.ReplaceAll(body, "shop", "Shop")} {
			if accepts(v, h, other) {
				t.Errorf("%s holds for %q", scheme, other)
			}
		}
	}
}

func TestSecretsOfStandardWebhooksMayUseEitherAlphabet(t *testing.T) {
	key := "a key >>> of ??? 25 bytes" // its base64 has +, / and =
	for name, spelled := range map[string]string{
		"standard":                   "whsec_" + base64.StdEncoding.EncodeToString([]byte(key)),
		"without padding":            "whsec_" + base64.RawStdEncoding.EncodeToString([]byte(key)),
		"URL alphabet":               "whsec_" + base64.URLEncoding.EncodeToString([]byte(key)),
		"URL alphabet, not padded":   base64.RawURLEncoding.EncodeToString([]byte(key)),
		"standard, without a prefix": base64.StdEncoding.EncodeToString([]byte(key)),
	} {
		v, err := webhook.NewVerifier(webhook.Options{Scheme: webhook.StandardWebhooks, Secrets: []secret.Value{secret.New(spelled)}, Now: func() time.Time { return at }})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !accepts(v, standardHeader(key, "msg_1", stamp, body), body) {
			t.Errorf("%s: the signature is refused", name)
		}
	}
}

func TestAVerifierIsNotBuiltWithoutAFitSecret(t *testing.T) {
	for name, o := range map[string]webhook.Options{
		"no secret":                         {Scheme: webhook.GitHub},
		"an empty secret":                   {Scheme: webhook.GitHub, Secrets: []secret.Value{secret.New("")}},
		"a nil secret":                      {Scheme: webhook.Bearer, Secrets: []secret.Value{nil}},
		"a short secret":                    {Scheme: webhook.GitHub, Secrets: []secret.Value{secret.New("canary-short-1")}},
		"three secrets":                     {Scheme: webhook.GitHub, Secrets: []secret.Value{secret.New(newSecret), secret.New(oldSecret), secret.New(newSecret)}},
		"a second secret that is empty":     {Scheme: webhook.GitHub, Secrets: []secret.Value{secret.New(newSecret), secret.New("")}},
		"Standard Webhooks, not base64":     {Scheme: webhook.StandardWebhooks, Secrets: []secret.Value{secret.New("whsec_canary!canary!canary!")}},
		"Standard Webhooks, only a prefix":  {Scheme: webhook.StandardWebhooks, Secrets: []secret.Value{secret.New("whsec_")}},
		"Standard Webhooks, a short secret": {Scheme: webhook.StandardWebhooks, Secrets: []secret.Value{secret.New(whsec("canary"))}},
		"a header without a name":           {Scheme: webhook.Header, Secrets: []secret.Value{secret.New(newSecret)}},
		"basic without a user":              {Scheme: webhook.Basic, Secrets: []secret.Value{secret.New(newSecret)}},
		"a scheme that there is not":        {Scheme: "sha1", Secrets: []secret.Value{secret.New(newSecret)}},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := webhook.NewVerifier(o)
			if v != nil || err == nil {
				t.Fatalf("built, %v", err)
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("the error tells the secret: %v", err)
			}
		})
	}
}

func TestNothingOfAVerifierPrintsASecret(t *testing.T) {
	for _, scheme := range []webhook.Scheme{webhook.GitHub, webhook.Jira, webhook.StandardWebhooks, webhook.Bearer, webhook.Header, webhook.Basic} {
		v := verifier(t, scheme, newSecret)
		c, err := v.Claim(header("X-Hub-Signature-256", githubSignature(newSecret, body), "X-Hub-Signature", "x"))
		said := fmt.Sprintf("%v %+v %#v %v %+v %v", v, *v, *v, c, c, err)
		if strings.Contains(said, "canary") || strings.Contains(said, "99 97 110 97 114 121") {
			t.Errorf("%s prints its secret: %s", scheme, said)
		}
		if err != nil && !errors.Is(err, webhook.ErrRefused) {
			t.Errorf("%s: %v", scheme, err)
		}
	}
}

// mutate changes one to three parts of a request.
func mutate(r *rand.Rand, h http.Header, names []string, text string) (http.Header, string) {
	h = h.Clone()
	for range 1 + r.IntN(3) {
		name := names[r.IntN(len(names))]
		if r.IntN(2) == 0 {
			text = bend(r, text)
			continue
		}
		switch key := http.CanonicalHeaderKey(name); r.IntN(12) {
		case 0:
			h.Del(key)
		case 1:
			h.Add(key, h.Get(key))
		default:
			h.Set(key, bend(r, h.Get(key)))
		}
	}
	return h, text
}

func bend(r *rand.Rand, s string) string {
	b := []byte(s)
	i := r.IntN(len(b) + 1)
	switch {
	case len(b) == 0 || r.IntN(6) == 0:
		return string(b[:i]) + string(rune(r.IntN(128))) + string(b[i:])
	case i == len(b):
		return s[:r.IntN(len(s))]
	case r.IntN(6) == 0:
		return string(b[:i]) + string(b[i+1:])
	case r.IntN(6) == 0:
		b[i] ^= 0x20 // the other case of a letter
	case r.IntN(6) == 0:
		j := r.IntN(len(b))
		b[i], b[j] = b[j], b[i]
	default:
		b[i] ^= 1 << r.IntN(8)
	}
	return string(b)
}

var deliveries = flag.Int("deliveries", 100_000, "how many mutated deliveries are tried; make fuzz tries a million")

// No mutated delivery is accepted, and the second implementation agrees on each.
func TestMutatedDeliveriesAreRefused(t *testing.T) {
	const shares = 4
	total := *deliveries
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	var refused atomic.Int64
	var wait sync.WaitGroup
	for share := range shares {
		wait.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(share)))
			github, jira, std := verifier(t, webhook.GitHub, newSecret, oldSecret), verifier(t, webhook.Jira, newSecret, oldSecret), verifier(t, webhook.StandardWebhooks, newSecret, oldSecret)
			both := []string{newSecret, oldSecret}
			for i := range total / shares {
				text := body[:r.IntN(len(body)+1)]
				if text == "" {
					text = "{}"
				}
				key := both[r.IntN(2)]
				var accepted, second, same bool
				switch i % 3 {
				case 0, 1:
					v, name := github, "X-Hub-Signature-256"
					if i%3 == 1 {
						v, name = jira, "X-Hub-Signature"
					}
					h := header(name, githubSignature(key, text))
					mh, mt := mutate(r, h, []string{name}, text)
					same = len(mh[name]) == 1 && mh.Get(name) == h.Get(name) && mt == text
					accepted, second = accepts(v, mh, mt), secondSigned(mh, name, both, mt)
				case 2:
					h := standardHeader(key, "msg_1", stamp, text)
					mh, mt := mutate(r, h, []string{"webhook-id", "webhook-timestamp", "webhook-signature"}, text)
					accepted, second = accepts(std, mh, mt), secondStandard(mh, both, mt, at)
					same = mt == text && unchanged(h, mh)
					if !same && mt == text && slices.Contains(strings.Split(mh.Get("webhook-signature"), " "), h.Get("webhook-signature")) {
						mh.Set("webhook-signature", h.Get("webhook-signature")) // it became one of a list: still there
						same = unchanged(h, mh)
					}
				}
				if accepted != second {
					t.Errorf("share %d, call %d: accepted %v, and the second implementation says %v", share, i, accepted, second)
					return
				}
				if same {
					continue // a change undid another
				}
				if accepted {
					t.Errorf("share %d, call %d: accepted", share, i)
					return
				}
				refused.Add(1)
			}
		})
	}
	wait.Wait()
	if n := refused.Load(); !t.Failed() && n < int64(total)*95/100 {
		t.Errorf("only %d calls were mutated", n)
	}
	t.Logf("%d mutated calls refused", refused.Load())
}

func unchanged(a, b http.Header) bool {
	for name := range a {
		if len(b[name]) != 1 || b[name][0] != a[name][0] {
			return false
		}
	}
	return true
}

// FuzzVerify checks that both implementations agree on any request.
func FuzzVerify(f *testing.F) {
	f.Add(githubSignature(newSecret, body), "", "", body, uint8(0))
	f.Add(githubSignature(oldSecret, "{}"), "", "", "{}", uint8(1))
	f.Add(standardSignature(newSecret, "msg_1", stamp, body), "msg_1", stamp, body, uint8(2))
	f.Add("v1a,x "+standardSignature(newSecret, "m", stamp, body), "m", stamp, body, uint8(2))
	f.Add(standardSignature(newSecret, "a.1", stamp, body), "a.1", stamp, body, uint8(2))
	f.Fuzz(func(t *testing.T, signature, id, stamp, text string, scheme uint8) {
		both := []string{newSecret, oldSecret}
		switch scheme % 3 {
		case 0:
			h := http.Header{"X-Hub-Signature-256": {signature}}
			if a, b := accepts(verifier(t, webhook.GitHub, both...), h, text), secondSigned(h, "X-Hub-Signature-256", both, text); a != b {
				t.Errorf("accepted %v, the second says %v", a, b)
			}
		case 1:
			h := http.Header{"X-Hub-Signature": {signature}}
			if a, b := accepts(verifier(t, webhook.Jira, both...), h, text), secondSigned(h, "X-Hub-Signature", both, text); a != b {
				t.Errorf("accepted %v, the second says %v", a, b)
			}
		case 2:
			h := http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {stamp}, "Webhook-Signature": {signature}}
			if a, b := accepts(verifier(t, webhook.StandardWebhooks, both...), h, text), secondStandard(h, both, text, at); a != b {
				t.Errorf("accepted %v, the second says %v", a, b)
			}
		}
	})
}
