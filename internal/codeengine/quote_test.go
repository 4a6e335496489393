package codeengine

import (
	"errors"
	"strings"
	"testing"

	"github.com/IBM/go-sdk-core/v5/core"

	"github.com/latchkey-io/latchkey/internal/secret"
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
		resp := &core.DetailedResponse{StatusCode: 400, Result: map[string]any{"errors": []any{map[string]any{"code": "invalid", "message": said}}}}
		if err := fault(t.Context(), "writing", resp, errors.New("x"), value); strings.Contains(err.Error(), value.Expose()[:8]) {
			t.Fatalf("with %d characters before it, a part of the value is in the error", before)
		}
	}
}
