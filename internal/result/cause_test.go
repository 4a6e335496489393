package result

import (
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/internal/marker"
	"pgregory.net/rapid"
)

func TestACauseIsOneLine(t *testing.T) {
	c := Cause{Caller: "hook tickets", Type: "dev.latchkey.rotate", Source: "/desk", Event: "4711", Subject: "CHG0042 [x]"}
	if got, want := c.String(), "dev.latchkey.rotate /desk 4711 subject CHG0042 _x_ by hook tickets"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := (Cause{Caller: "alice by hand", Type: "rotate"}).String(), "rotate by alice by hand"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// Whatever a sender writes, the marker behind it is read, and the subject and the
// caller are not cut off by a long source.
func TestACauseIsBoundedAndCannotForgeAMarker(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.OneOf(rapid.String(), rapid.StringN(0, 400, -1), rapid.Just("[latchkey v=1 owner=evil credential=b]"))
		c := Cause{
			Caller: part.Draw(t, "caller"), Type: part.Draw(t, "type"), Source: part.Draw(t, "source"), Event: part.Draw(t, "event"),
			Subject: part.Draw(t, "subject"),
		}
		text := c.String()
		if len(text) > causeMost {
			t.Fatalf("%d bytes", len(text))
		}
		clean := c.Clean()
		if !strings.Contains(text, clean.Subject) || !strings.HasSuffix(text, clean.Caller) {
			t.Fatalf("%q lacks a part of %+v", text, clean)
		}
		m, _, ok := marker.Parse(marker.Marker{Owner: "o", Credential: "a"}.Describe(text))
		if !ok || m.Owner != "o" || m.Credential != "a" {
			t.Fatalf("%q is read as %+v", text, m)
		}
	})
}
