package cli

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
)

// claims is IAM with one service ID and one key.
type claims struct {
	id      port.ServiceID
	key     port.KeyRecord
	claimed []string
}

func (c *claims) Lookup(context.Context, string) (port.ServiceID, error) { return c.id, nil }

func (c *claims) Creators(context.Context, string) (map[string]string, error) {
	return map[string]string{"ApiKey-2": "IBMid-2", "ApiKey-1": ""}, nil
}

func (c *claims) ClaimServiceID(_ context.Context, id port.ServiceID) error {
	c.claimed = append(c.claimed, id.ID)
	return nil
}

func (c *claims) Get(context.Context, string) (port.KeyRecord, error) { return c.key, nil }

func (c *claims) ClaimKey(_ context.Context, rec port.KeyRecord) error {
	c.claimed = append(c.claimed, rec.ID)
	return nil
}

func TestAClaimIsMadeOnlyOfWhatCarriesTheOwnersMarker(t *testing.T) {
	ours := marker.Marker{Owner: "prod", Credential: "c"}
	for name, tc := range map[string]struct {
		iam   claims
		yes   bool
		id    string
		done  bool
		says  string
		fails string
	}{
		"a service ID with the owner's marker is claimed, and its creators are printed": {
			iam: claims{id: port.ServiceID{ID: "ServiceId-1", Marked: true, Marker: ours, Creator: "IBMid-1"}}, yes: true, id: "ServiceId-1", done: true,
			says: "made by      IBMid-1\ncredential   c\nkey          ApiKey-1 made by unknown (IAM has no record)\nkey          ApiKey-2 made by IBMid-2\n",
		},
		"parameters in a marker that another identity wrote cannot steer the terminal": {
			iam: claims{id: port.ServiceID{ID: "ServiceId-1", Marked: true, Marker: marker.Marker{Owner: "prod", Credential: "c", With: map[string]string{"a": "\x1b[2K"}}}},
			yes: true, id: "ServiceId-1", done: true, says: `with map[a:\u001b[2K]`,
		},
		"a claim without a terminal needs --yes": {
			iam: claims{id: port.ServiceID{ID: "ServiceId-1", Marked: true, Marker: ours}}, id: "ServiceId-1", fails: "--yes",
		},
		"a service ID that is ours is left alone": {
			iam: claims{id: port.ServiceID{ID: "ServiceId-1", Ours: true}}, yes: true, id: "ServiceId-1", says: "ServiceId-1 is latchkey's already",
		},
		"a service ID of another owner is refused": {
			iam: claims{id: port.ServiceID{ID: "ServiceId-1", Marked: true, Marker: marker.Marker{Owner: "test"}}}, yes: true, id: "ServiceId-1", fails: "does not carry the marker of owner prod",
		},
		"a key with the owner's marker is claimed": {
			iam: claims{key: port.KeyRecord{Key: protocol.Key{ID: "ApiKey-1"}, Forged: true, Creator: "IBMid-1"}}, yes: true, id: "ApiKey-1", done: true,
			says: "made by      IBMid-1\n",
		},
		"a key that is ours is left alone": {
			iam: claims{key: port.KeyRecord{Key: protocol.Key{ID: "ApiKey-1"}, Ours: true}}, yes: true, id: "ApiKey-1", says: "ApiKey-1 is latchkey's already",
		},
		"a key without the marker is refused": {
			iam: claims{key: port.KeyRecord{Key: protocol.Key{ID: "ApiKey-1"}}}, yes: true, id: "ApiKey-1", fails: "adopt it instead",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			err := Claim{IAM: &tc.iam, Owner: "prod", Yes: tc.yes}.Run(t.Context(), Streams{In: strings.NewReader(""), Out: &out}, tc.id)
			if (err != nil) != (tc.fails != "") || err != nil && !strings.Contains(err.Error(), tc.fails) {
				t.Errorf("error %v, want %q", err, tc.fails)
			}
			if done := len(tc.iam.claimed) > 0; done != tc.done || !strings.Contains(out.String(), tc.says) {
				t.Errorf("claimed %v, printed %q", tc.iam.claimed, out.String())
			}
		})
	}
}

func TestOnlyServiceIDsAndKeysCanBeClaimed(t *testing.T) {
	for id, fails := range map[string]bool{"ServiceId-1": false, "ApiKey-a-1": false, "iam-ServiceId-1": true, "ApiKey-": true, "": true} {
		if err := CheckClaim(id); (err != nil) != fails {
			t.Errorf("%q: %v", id, err)
		}
	}
}
