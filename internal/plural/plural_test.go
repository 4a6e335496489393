package plural

import "testing"

func TestOnlyOneIsSingular(t *testing.T) {
	for _, tc := range []struct {
		n          int
		noun, want string
	}{
		{0, "key", "0 keys"}, {1, "key", "1 key"}, {2, "key", "2 keys"},
		{1, "policy", "1 policy"}, {3, "policy", "3 policies"}, {2, "access group", "2 access groups"},
	} {
		if got := Count(tc.n, tc.noun); got != tc.want {
			t.Errorf("%d %s: %q, want %q", tc.n, tc.noun, got, tc.want)
		}
	}
}
