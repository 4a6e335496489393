//go:build real

package vault_test

import (
	"testing"

	"github.com/latchkey-io/latchkey/internal/vault/vaulttest"
)

func TestRealVault(t *testing.T) {
	s := vaulttest.Real(t)
	t.Run("store", func(t *testing.T) { storeScenarios(t, s) })
	t.Run("logins", func(t *testing.T) { loginScenarios(t, s) })
}
