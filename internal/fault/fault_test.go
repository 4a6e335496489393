package fault

import (
	"fmt"
	"testing"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/reason"
)

func TestAStepsErrorHasAReasonIfAPersonMustAct(t *testing.T) {
	join := protocol.Step{Action: protocol.GrantPolicy, Target: access.Membership("senders")}
	of := func(a protocol.Action) protocol.Step { return protocol.Step{Action: a} }
	for name, tc := range map[string]struct {
		step protocol.Step
		err  error
		want reason.Reason
	}{
		"an access group that does not exist":                        {join, port.ErrNotFound, reason.GroupDenied},
		"a policy that IAM denies":                                   {of(protocol.GrantPolicy), port.ErrDenied, reason.PolicyDenied},
		"a policy that IAM grants in part":                           {of(protocol.GrantPolicy), ErrWeaker, reason.PolicyWeaker},
		"a profile's policy that IAM refuses":                        {of(protocol.GrantProfile), port.ErrRefused, reason.PolicyRefused},
		"a proof that fails for as long as IAM may lag":              {of(protocol.Prove), port.ErrNotYet, reason.ProofDenied},
		"a key beyond IAM's limit":                                   {of(protocol.Mint), port.ErrQuota, reason.KeyCap},
		"a value that IAM has already":                               {of(protocol.Mint), port.ErrRefused, reason.ValueRefused},
		"a store that denies the write":                              {of(protocol.Publish), port.ErrDenied, reason.StoreDenied},
		"a store without room":                                       {of(protocol.Publish), port.ErrQuota, reason.StoreQuota},
		"an entry that may not be removed":                           {of(protocol.RemoveEntry), port.ErrRefused, reason.StoreRefused},
		"a store that denies a second look before a key ends":        {of(protocol.Retire), fmt.Errorf("%w: %w", ErrUnread, port.ErrDenied), reason.StoreDenied},
		"an entry of an adopted key that the store refuses":          {of(protocol.Adopt), fmt.Errorf("%w: %w", ErrUnadopted, port.ErrRefused), reason.StoreRefused},
		"IAM, and not the store, denies the clearing of a new key":   {of(protocol.Publish), fmt.Errorf("%w: %w", ErrUncleared, port.ErrDenied), reason.IdentityDenied},
		"IAM, and not the store, denies the deletion of a new key":   {of(protocol.Publish), fmt.Errorf("%w: %w", ErrWithdrawal, port.ErrDenied), reason.IdentityDenied},
		"anything else that IAM denies":                              {of(protocol.CreateIdentity), port.ErrDenied, reason.IdentityDenied},
		"an unclear answer has none, since the next run tries again": {of(protocol.Publish), port.ErrUnavailable, ""},
		"a policy that IAM does not show yet has none":               {of(protocol.GrantPolicy), port.ErrNotYet, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := OfStep(tc.step, fmt.Errorf("taking the step: %w", tc.err)); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestADenialIsALockOrAPermission(t *testing.T) {
	key, identity := protocol.Step{Action: protocol.Disable, Key: "ApiKey-1"}, protocol.Step{Action: protocol.Rename}
	for name, tc := range map[string]struct {
		step protocol.Step
		err  error
		want reason.Reason
	}{
		"a locked key":         {key, port.ErrLocked, reason.KeyLocked},
		"a locked service ID":  {identity, port.ErrLocked, reason.IdentityLocked},
		"a missing permission": {key, port.ErrDenied, reason.IdentityDenied},
	} {
		t.Run(name, func(t *testing.T) {
			if got := OfDenial(tc.step, tc.err); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}
