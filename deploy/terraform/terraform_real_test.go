//go:build real

package terraform_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestRealTerraform runs terraform's own checks and the tests of the module, with a
// stand-in for IBM's provider that has its documented schemas (testdata/provider).
func TestRealTerraform(t *testing.T) {
	provider := os.Getenv("LATCHKEY_TERRAFORM_PROVIDER")
	if provider == "" {
		t.Fatal("LATCHKEY_TERRAFORM_PROVIDER is not set: run make test-real")
	}
	program, err := exec.LookPath("terraform")
	if err != nil {
		t.Skip("terraform is not installed, so the module is not checked. It is in no package of Debian and can't be built from Go's module proxy: https://developer.hashicorp.com/terraform/install")
	}
	dir := t.TempDir()
	rc := filepath.Join(dir, "terraformrc")
	text := fmt.Sprintf("provider_installation {\n  dev_overrides { \"IBM-Cloud/ibm\" = %q }\n  direct {}\n}\n", filepath.Dir(provider))
	if err := os.WriteFile(rc, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"version"}, "Terraform v"},
		{[]string{"fmt", "-check", "-recursive"}, ""},
		{[]string{"validate", "-no-color"}, "The configuration is valid"},
		{[]string{"test", "-no-color"}, "0 failed"},
	} {
		cmd := exec.CommandContext(t.Context(), program, tc.args...)
		cmd.Env = append(os.Environ(), "TF_CLI_CONFIG_FILE="+rc, "TF_DATA_DIR="+filepath.Join(dir, "data"), "CHECKPOINT_DISABLE=1")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), tc.want) {
			t.Errorf("terraform %s: %v\n%s", strings.Join(tc.args, " "), err, out)
		}
		if tc.args[0] == "version" {
			t.Logf("%s", out)
		}
	}
}
