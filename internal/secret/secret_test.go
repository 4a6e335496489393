package secret_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/internal/secret"
)

const canary = "canary-7f3e9d-hunter2"

type nested struct {
	Exported   secret.Value
	unexported secret.Value
	deeper     *struct{ v []secret.Value }
}

func holder() nested {
	v := secret.New(canary)
	return nested{Exported: v, unexported: v, deeper: &struct{ v []secret.Value }{v: []secret.Value{v}}}
}

func TestNoVerbPrintsAValueInAnyNesting(t *testing.T) {
	n := holder()
	forms := map[string]any{
		"the value itself": n.Exported, "a pointer to it": &n.Exported, "a struct": n, "a pointer to a struct": &n,
		"a slice": []secret.Value{n.Exported}, "a map": map[string]secret.Value{"k": n.Exported}, "an interface": any(n.unexported),
	}
	for name, form := range forms {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%p", "%T", "%t"} {
			if out := fmt.Sprintf(verb, form); strings.Contains(out, canary) || strings.Contains(out, fmt.Sprintf("%x", canary)) {
				t.Errorf("%s with %s prints the secret: %s", name, verb, out)
			}
		}
	}
}

func TestNoEncoderOrLoggerPrintsAValue(t *testing.T) {
	n := holder()
	var buf bytes.Buffer
	for _, h := range []slog.Handler{slog.NewJSONHandler(&buf, nil), slog.NewTextHandler(&buf, nil)} {
		slog.New(h).Info("m", "value", n.Exported, "struct", n, "group", slog.GroupValue(slog.Any("v", n.unexported)))
	}
	b, err := json.Marshal(n)
	if err != nil {
		t.Fatalf("marshalling a struct that holds a value: %v", err)
	}
	buf.Write(b)
	if strings.Contains(buf.String(), canary) {
		t.Errorf("the secret was printed: %s", buf.String())
	}
	if !strings.Contains(buf.String(), "[secret]") {
		t.Errorf("nothing stands in the secret's place: %s", buf.String())
	}
}

func TestRandomHasTheShapeOfIBMsKeys(t *testing.T) {
	a, err := secret.Random(nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := secret.Random(nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(a.Expose()); got != 44 {
		t.Errorf("length = %d, want 44", got)
	}
	if a.Equal(b) || a.Fingerprint() == b.Fingerprint() {
		t.Error("two draws gave the same value")
	}
	if !a.Equal(secret.New(a.Expose())) {
		t.Error("a value does not equal its copy")
	}
}

func TestRandomSaysWhenTheSourceIsDry(t *testing.T) {
	if _, err := secret.Random(bytes.NewReader([]byte{1, 2})); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("err = %v, want an error", err)
	}
}

func TestTheZeroValueIsEmpty(t *testing.T) {
	var v secret.Value
	if !v.Empty() || v.Expose() != "" || fmt.Sprint(v) != "[secret]" {
		t.Error("the zero value is not an empty secret")
	}
}

func TestNoOtherPackageCanCallOrWriteAValue(t *testing.T) {
	v := reflect.TypeFor[secret.Value]()
	if v.NumIn() != 1 {
		t.Fatalf("a Value takes %d arguments, want 1", v.NumIn())
	}
	// A constant, nil or a literal of another package is assignable neither to a
	// struct nor to one of its fields that is not exported.
	in := v.In(0)
	if in.Kind() != reflect.Struct || in.NumField() == 0 || in.Field(0).IsExported() || strings.ToLower(in.Name()) != in.Name() {
		t.Errorf("a Value's argument is %v, want a struct that only package secret can make", in)
	}
}
