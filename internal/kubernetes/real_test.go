//go:build real

package kubernetes_test

import (
	"testing"

	"github.com/latchkey-io/latchkey/internal/kubernetes/kubetest"
)

func TestRealKubernetes(t *testing.T) {
	c := kubetest.Real(t)
	t.Run("store", func(t *testing.T) { storeScenarios(t, c) })
	t.Run("consumers", func(t *testing.T) { consumerScenarios(t, c) })
}
