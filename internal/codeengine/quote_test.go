package codeengine

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// A message is cut short. A value across the cut must not get through because only
// its first part is left.
func TestAValueAcrossTheCutOfAMessageIsLeftOut(t *testing.T) {
	value, err := secret.Random(nil)
	if err != nil {
		t.Fatal(err)
	}
	for before := 200; before < 320; before += 7 {
		said := strings.Repeat("x", before) + " data: " + value.Expose()
		api := upstream.Service{Base: "https://ce.example.com", HTTP: &http.Client{Transport: refusal(fmt.Sprintf(`{"errors":[{"code":"invalid","message":%q}]}`, said))}}
		reply, err := upstream.Do(t.Context(), api, upstream.Request{Method: http.MethodGet, Path: in("p")})
		if err = fault(t.Context(), "writing", reply, err, value); upstream.Status(err) != http.StatusBadRequest {
			t.Fatal(err)
		}
		if strings.Contains(err.Error(), value.Expose()[:8]) {
			t.Fatalf("with %d characters before it, a part of the value is in the error", before)
		}
	}
}

// refusal is a transport that answers every request with status 400 and a body.
type refusal string

func (r refusal) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusBadRequest, Body: io.NopCloser(strings.NewReader(string(r)))}, nil
}
