package doctor

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/latchkey-io/latchkey/internal/port"
)

type keyTable map[string]string

func (k keyTable) Get(_ context.Context, id string) (port.KeyRecord, error) {
	switch of := k[id]; of {
	case "":
		return port.KeyRecord{}, port.ErrNotFound
	case "denied":
		return port.KeyRecord{}, port.ErrDenied
	default:
		return port.KeyRecord{IAMID: of}, nil
	}
}

func TestEntriesOfOurOwnLoginAreFound(t *testing.T) {
	keys := keyTable{"ApiKey-own": "iam-ServiceId-own", "ApiKey-other": "iam-ServiceId-other", "ApiKey-denied": "denied"}
	for name, tc := range map[string]struct {
		self  string
		entry Fixed
		found bool
		fails error
	}{
		"our service ID":           {"iam-ServiceId-own", Fixed{ServiceID: "ServiceId-own"}, true, nil},
		"another service ID":       {"iam-ServiceId-own", Fixed{ServiceID: "ServiceId-other"}, false, nil},
		"our key":                  {"iam-ServiceId-own", Fixed{AdoptKey: "ApiKey-own"}, true, nil},
		"our key, of another":      {"iam-ServiceId-own", Fixed{ServiceID: "ServiceId-other", AdoptKey: "ApiKey-own"}, true, nil},
		"another's key":            {"iam-ServiceId-own", Fixed{AdoptKey: "ApiKey-other"}, false, nil},
		"a key that is gone":       {"iam-ServiceId-own", Fixed{AdoptKey: "ApiKey-gone"}, false, nil},
		"a key that can't be read": {"iam-ServiceId-own", Fixed{AdoptKey: "ApiKey-denied"}, false, port.ErrDenied},
		"a profile has no key":     {"iam-Profile-own", Fixed{AdoptKey: "ApiKey-denied"}, false, nil},
		"neither":                  {"iam-ServiceId-own", Fixed{}, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			tc.entry.Credential = "c"
			var found []string
			err := OwnLogins(t.Context(), keys, tc.self, []Fixed{tc.entry}, func(credential, serviceID string) { found = append(found, credential, serviceID) })
			if !errors.Is(err, tc.fails) {
				t.Errorf("error %v, want %v", err, tc.fails)
			}
			if want := []string{"c", "ServiceId-own"}; tc.found != slices.Equal(found, want) || !tc.found && found != nil {
				t.Errorf("found %v", found)
			}
		})
	}
}
