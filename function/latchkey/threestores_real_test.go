//go:build real

package main

import (
	"testing"

	"github.com/latchkey-io/latchkey/internal/kubernetes/kubetest"
	"github.com/latchkey-io/latchkey/internal/vault/vaulttest"
)

func TestRealThreeStores(t *testing.T) { threeStores(t, kubetest.Real(t), vaulttest.Real(t)) }
