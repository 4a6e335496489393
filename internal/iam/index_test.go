package iam

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
)

var anyText = rapid.OneOf(
	rapid.String(),
	rapid.SampledFrom([]string{"", "c", "\x01", "\x02\x03", "Sends logs of c [latchkey v=1 owner=bench credential=c stores=a]", strings.Repeat("c", pieceSize+1)}),
)

// A text that was squeezed is the same again, whatever it has and whatever the name is.
func TestWhatManyTextsRepeatIsLeftOutAndComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text, head, name := anyText.Draw(t, "text"), marker.Head("bench"), anyText.Draw(t, "name")
		if got := expand(squeeze(text, head, name), head, name); got != text {
			t.Errorf("%q is %q again", text, got)
		}
	})
	text := "Sends logs of payments [latchkey v=1 owner=bench credential=payments stores=payments]"
	if n := len(squeeze(text, marker.Head("bench"), "payments")); n > 30 {
		t.Errorf("%d bytes are left of %d", n, len(text))
	}
}

// The index returns each item as it was added, in the order of the lists, for IDs and texts
// of any form.
func TestTheIndexReturnsWhatWasAdded(t *testing.T) {
	at := time.Date(2026, 11, 29, 18, 0, 0, 123, time.UTC)
	id := rapid.OneOf(rapid.Custom(func(t *rapid.T) string {
		var u uuid.UUID
		copy(u[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "uuid"))
		return u.String()
	}), rapid.SampledFrom([]string{"", "0", "A0485DF2-6E61-40B0-BDD3-E40C412317C7", "a0485df26e6140b0bdd3e40c412317c7aaaa", "a0485df2-6e61-40b0-bdd3-e40c41231-c7"}))
	rapid.Check(t, func(t *rapid.T) {
		x := &index{head: marker.Head("bench")}
		want := map[string]port.ServiceID{}
		names := map[string][]string{}
		var order []string
		for range rapid.IntRange(1, 8).Draw(t, "service IDs") {
			one := port.ServiceID{IAMID: rapid.SampledFrom([]string{serviceIDPrefix, iamPrefix, ""}).Draw(t, "prefix") + id.Draw(t, "id"), Name: rapid.SampledFrom([]string{"c", "d", "\x02", ""}).Draw(t, "name"), Creator: id.Draw(t, "creator"), Created: at, Locked: rapid.Bool().Draw(t, "locked"), Newer: rapid.Bool().Draw(t, "newer")}
			description := anyText.Draw(t, "description")
			x.addID(one, description, one.Name != "d")
			if _, again := want[one.IAMID]; again {
				continue
			}
			one.ID = strings.TrimPrefix(one.IAMID, iamPrefix)
			one.Marker, one.Text, one.Marked = marker.Parse(description)
			want[one.IAMID], order = one, append(order, one.IAMID)
			if one.Name != "d" {
				names[one.Name] = append(names[one.Name], one.IAMID)
			}
		}
		x.arrange()
		policies := policyIndex{x, map[string]uint32{}}
		granted, keys := map[string][]access.Policy{}, map[string][]port.KeyRecord{}
		for i := range rapid.IntRange(0, 8).Draw(t, "keys") {
			of := rapid.SampledFrom(order).Draw(t, "of")
			r := record{iamID: of, Key: protocol.Key{ID: fmt.Sprintf("%s%d", rapid.SampledFrom([]string{keyPrefix + "a0485df2-6e61-40b0-bdd3-e40c4123170", "k"}).Draw(t, "key"), i), Created: at, Expires: at.Add(time.Hour), Disabled: true, DisabledBy: "p"}, creator: "p"}
			if rapid.Bool().Draw(t, "leaked") {
				r.Leaked = at
			}
			if r.ours = rapid.Bool().Draw(t, "ours"); r.ours {
				r.name, r.description = marker.KeyName("c", at, "0a1b2c3d"), marker.Marker{Owner: "bench", Credential: "c"}.Describe("Sends logs of c")
				r.marker, _, _ = marker.Parse(r.description)
				r.Key = marker.Mark(r.Key, r.name, r.marker)
			}
			x.addKey(r)
			x.addKey(r) // of the next page
			keys[of] = append(keys[of], port.KeyRecord{Key: r.Key, Creator: r.creator, Ours: r.ours, Credential: r.marker.Credential})
			p := access.Policy{Service: rapid.SampledFrom([]string{"logs", "kms"}).Draw(t, "service"), Roles: []string{"Sender"}, ID: id.Draw(t, "policy"), Creator: "p", Ours: r.ours, Since: at}
			to, ok := x.find(of)
			if !ok {
				t.Fatalf("%q is not found", of)
			}
			policies.add(to, p)
			granted[of] = append(granted[of], p)
		}
		policies.arrange()
		for iamID, one := range want {
			to, ok := x.find(iamID)
			if !ok {
				t.Fatalf("%q is not found", iamID)
			}
			if diff := cmp.Diff(one, x.serviceID(to)); diff != "" {
				t.Errorf("service ID %q (-added +returned)\n%s", iamID, diff)
			}
			if diff := cmp.Diff(keys[iamID], x.keysOf(to)); diff != "" {
				t.Errorf("keys of %q (-added +returned)\n%s", iamID, diff)
			}
			if diff := cmp.Diff(granted[iamID], x.policiesOf(to)); diff != "" {
				t.Errorf("policies of %q (-added +returned)\n%s", iamID, diff)
			}
		}
		for _, name := range []string{"c", "d", "\x02", "", "e"} {
			var got []string
			for _, id := range x.findNamed(name) {
				got = append(got, id.IAMID)
			}
			if diff := cmp.Diff(names[name], got); diff != "" {
				t.Errorf("named %q (-added +returned)\n%s", name, diff)
			}
		}
		if _, ok := x.find("iam-absent"); ok {
			t.Error("what was not added is found")
		}
	})
}
