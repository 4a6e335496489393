//go:build real

package emulator_test

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/internal/emulator"
)

// TestIBMsRealNodeSDK uses IBM's Node SDK with identity and policies: an answer
// that only the Go SDK accepts is a bug. `make test-real` installs it and names it by
// LATCHKEY_PLATFORM_SERVICES, its node_modules.
func TestIBMsRealNodeSDK(t *testing.T) {
	modules := os.Getenv("LATCHKEY_PLATFORM_SERVICES")
	if modules == "" {
		t.Fatal("LATCHKEY_PLATFORM_SERVICES does not name the SDK's node_modules: run make test-real")
	}
	for _, node := range strings.Fields(os.Getenv("LATCHKEY_NODES")) {
		s, err := emulator.Start(emulator.Options{})
		if err != nil {
			t.Fatal(err)
		}
		ready := s.Ready()
		c := exec.CommandContext(t.Context(), node, "testdata/platform-services.js")
		c.Env = append(os.Environ(), "NODE_PATH="+modules, "EMULATOR_URL="+ready.URL, "EMULATOR_APIKEY="+ready.APIKey, "EMULATOR_ADMIN="+ready.AdminKey,
			"EMULATOR_ACCOUNT="+ready.Account, "EMULATOR_CHILD="+ready.ChildAccount)
		var out bytes.Buffer
		c.Stdout, c.Stderr = &out, &out
		if err := c.Run(); err != nil {
			t.Errorf("%s: %v\n%s", node, err, out.String())
		}
		if n := strings.Count(out.String(), "ok: "); n < 10 {
			t.Errorf("%s: %d checks\n%s", node, n, out.String())
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
