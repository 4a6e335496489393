package webhook_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-io/latchkey/internal/event"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/webhook"
)

// hook makes an event of type t whose data is the body.
func hook(t testing.TB, scheme webhook.Scheme) *webhook.Hook {
	return &webhook.Hook{Name: "h", Verifier: verifier(t, scheme, newSecret), Map: func(body any, _ map[string]string) (webhook.Parts, error) {
		return webhook.Parts{Type: "t", Data: body}, nil
	}}
}

func deliver(t testing.TB, h *webhook.Hook, head http.Header, body string) (event.Event, error) {
	t.Helper()
	c, err := h.Verifier.Claim(head)
	if err != nil || !c.Holds([]byte(body)) {
		t.Fatalf("not verified: %v", err)
	}
	e, _, err := h.Event(c, head, []byte(body))
	return e, err
}

func TestBodiesThatAreNotTaken(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for name, tc := range map[string]struct {
		body   string
		header []string
		want   error
	}{
		"as it should be":                    {`{"a":1}`, nil, nil},
		"with a charset":                     {`{"a":1}`, []string{"Content-Type", "application/json; charset=utf-8"}, nil},
		"JSON by another name":               {`{"a":1}`, []string{"Content-Type", "application/vnd.acme+json"}, nil},
		"identity is no encoding":            {`{"a":1}`, []string{"Content-Encoding", "identity"}, nil},
		"40 levels":                          {deep(40), nil, nil},
		"41 levels":                          {deep(41), nil, event.ErrMalformed},
		"a million levels":                   {strings.Repeat("[", 1_000_000), nil, event.ErrMalformed},
		"a hundred thousand values and more": {"[" + strings.Repeat("0,", 100_000) + "0]", nil, event.ErrMalformed},
		"compressed":                         {"\x1f\x8b\x08\x00", []string{"Content-Encoding", "gzip"}, event.ErrUnsupported},
		"compressed and said twice":          {"{}", []string{"Content-Encoding", "identity", "Content-Encoding", "br"}, event.ErrUnsupported},
		"a form":                             {"payload=%7B%7D", []string{"Content-Type", "application/x-www-form-urlencoded"}, event.ErrUnsupported},
		"two content types":                  {"{}", []string{"Content-Type", "application/json", "Content-Type", "text/plain"}, event.ErrUnsupported},
		"nothing":                            {"", nil, event.ErrMalformed},
		"cut short":                          {`{"a":`, nil, event.ErrMalformed},
		"two values":                         {`{} {}`, nil, event.ErrMalformed},
		"a name twice":                       {`{"a":1,"a":2}`, nil, event.ErrMalformed},
		"a name twice, written differently":  {`{"a":1,"\u0061":2}`, nil, event.ErrMalformed},
		"not UTF-8":                          {"{\"a\":\"\xff\"}", nil, event.ErrMalformed},
		"a number without an end":            {`{"a":1e999}`, nil, event.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			head := header(append([]string{"X-Hub-Signature-256", githubSignature(newSecret, tc.body)}, tc.header...)...)
			_, err := deliver(t, hook(t, webhook.GitHub), head, tc.body)
			if !errors.Is(err, tc.want) {
				t.Errorf("%v, want %v", err, tc.want)
			}
		})
	}
}

func TestNumbersKeepTheirValue(t *testing.T) {
	text := `{"id":9007199254740993,"half":0.5,"none":null,"yes":true,"list":[1,"a"]}`
	e, err := deliver(t, hook(t, webhook.GitHub), header("X-Hub-Signature-256", githubSignature(newSecret, text)), text)
	if err != nil {
		t.Fatal(err)
	}
	var got, want any
	d := json.NewDecoder(strings.NewReader(string(e.Data())))
	d.UseNumber()
	if err := d.Decode(&got); err != nil {
		t.Fatal(err)
	}
	d = json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestARepeatedDeliveryIsTheSameEvent(t *testing.T) {
	h := hook(t, webhook.GitHub)
	head := header("X-Hub-Signature-256", githubSignature(newSecret, body), "X-GitHub-Delivery", "1")
	first, err := deliver(t, h, head, body)
	if err != nil {
		t.Fatal(err)
	}
	head.Set("X-GitHub-Delivery", "2") // it is not signed
	again, err := deliver(t, h, head, body)
	if err != nil || again.ID() != first.ID() || first.Source() != "/hooks/h" || !first.Time().IsZero() {
		t.Errorf("%s and %s at %s, %v", first, again, first.Time(), err)
	}
	other := strings.ReplaceAll(body, "shop", "shed")
	if e, err := deliver(t, h, header("X-Hub-Signature-256", githubSignature(newSecret, other)), other); err != nil || e.ID() == first.ID() {
		t.Errorf("another body is event %s too, %v", e.ID(), err)
	}
	signed, err := deliver(t, hook(t, webhook.StandardWebhooks), standardHeader(newSecret, "msg_1", stamp, body), body)
	if err != nil || signed.ID() != "msg_1" || !signed.Time().Equal(at) {
		t.Errorf("Standard Webhooks signs ID and time: %s, %v", signed, err)
	}
}

func TestExpressionsSeeNothingThatProvesWhoCalls(t *testing.T) {
	for scheme, head := range map[webhook.Scheme]http.Header{
		webhook.GitHub:           header("X-Hub-Signature-256", githubSignature(newSecret, body)),
		webhook.StandardWebhooks: standardHeader(newSecret, "msg_1", stamp, body),
		webhook.Bearer:           header("Authorization", "Bearer "+newSecret),
		webhook.Header:           header("X-Latchkey-Token", newSecret),
		webhook.Basic:            header("Authorization", basic("snow:"+newSecret)),
	} {
		var seen map[string]string
		h := hook(t, scheme)
		h.Map = func(_ any, header map[string]string) (webhook.Parts, error) {
			seen = header
			return webhook.Parts{Type: "t"}, nil
		}
		head.Set("X-GitHub-Event", "repository")
		head.Set("Cookie", "canary")
		if _, err := deliver(t, h, head, body); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"x-github-event": "repository"}
		if scheme == webhook.StandardWebhooks {
			want["webhook-id"], want["webhook-timestamp"] = "msg_1", stamp
		}
		if diff := cmp.Diff(want, seen); diff != "" {
			t.Errorf("%s: %s", scheme, diff)
		}
	}
}

func TestWhatAHookMakesHasToBeALegalEvent(t *testing.T) {
	for name, parts := range map[string]webhook.Parts{
		"no type":                  {},
		"a type of two lines":      {Type: "a\nb"},
		"a time that is none":      {Type: "t", Time: "yesterday"},
		"a subject of two lines":   {Type: "t", Subject: "a\rb"},
		"data that JSON can't say": {Type: "t", Data: func() {}},
	} {
		t.Run(name, func(t *testing.T) {
			h := hook(t, webhook.GitHub)
			h.Map = func(any, map[string]string) (webhook.Parts, error) { return parts, nil }
			if _, err := deliver(t, h, header("X-Hub-Signature-256", githubSignature(newSecret, body)), body); !errors.Is(err, event.ErrMalformed) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestALeakedValueIsBesideTheEvent(t *testing.T) {
	h := hook(t, webhook.GitHub)
	h.Map = func(any, map[string]string) (webhook.Parts, error) {
		return webhook.Parts{Type: "t", Leaked: secret.New("canary-leaked")}, nil
	}
	head := header("X-Hub-Signature-256", githubSignature(newSecret, body))
	c, err := h.Verifier.Claim(head)
	if err != nil || !c.Holds([]byte(body)) {
		t.Fatal(err)
	}
	e, leaked, err := h.Event(c, head, []byte(body))
	if err != nil || leaked.Expose() != "canary-leaked" {
		t.Fatalf("%v", err)
	}
	if said := fmt.Sprintf("%v %+v %s", e, leaked, e.Data()); strings.Contains(said, "canary") {
		t.Error(said)
	}
}

// FuzzEvent checks that any verified body yields an event that survives a second
// decoding or an error with a status, and that the same body always yields the
// same event.
func FuzzEvent(f *testing.F) {
	f.Add(body, "application/json", "")
	f.Add(`{"a":[1,2.5,{"b":null}]}`, "", "identity")
	f.Add(strings.Repeat("[", 100), "text/plain", "gzip")
	f.Add(`{"notification_id":"x","ibmensourceid":"y","type":"dev.latchkey.revoke"}`, "application/json", "")
	f.Fuzz(func(t *testing.T, text, contentType, encoding string) {
		h := hook(t, webhook.GitHub)
		head := http.Header{"X-Hub-Signature-256": {githubSignature(newSecret, text)}}
		for name, v := range map[string]string{"Content-Type": contentType, "Content-Encoding": encoding} {
			if v != "" {
				head.Set(name, v)
			}
		}
		e, err := deliver(t, h, head, text)
		again, errAgain := deliver(t, h, head, text)
		if (err == nil) != (errAgain == nil) || e.ID() != again.ID() || string(e.Data()) != string(again.Data()) {
			t.Fatalf("%v %v, and then %v %v", e, err, again, errAgain)
		}
		if err != nil {
			if !errors.Is(err, event.ErrMalformed) && !errors.Is(err, event.ErrUnsupported) && !errors.Is(err, event.ErrTooLarge) {
				t.Errorf("an error without a status: %v", err)
			}
			return
		}
		if e.Type() != "t" || e.Source() != "/hooks/h" {
			t.Errorf("the body chose the event: %s", e)
		}
		var sent, made any
		if json.Unmarshal([]byte(text), &sent) != nil {
			t.Fatalf("taken: %q", text)
		}
		if sent == nil {
			return
		}
		if err := json.Unmarshal(e.Data(), &made); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(sent, made); diff != "" {
			t.Error(diff)
		}
	})
}
