//go:build real

package emulator_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

// nodeModules returns the directory that `make test-real` installs the SDK in.
func nodeModules(t *testing.T) string {
	t.Helper()
	modules := os.Getenv("LATCHKEY_PLATFORM_SERVICES")
	if modules == "" {
		t.Fatal("LATCHKEY_PLATFORM_SERVICES does not name the SDK's node_modules: run make test-real")
	}
	return modules
}

// TestIBMsRealNodeSDK uses IBM's Node SDK with identity and policies: an answer
// that only the Go SDK accepts is a bug.
func TestIBMsRealNodeSDK(t *testing.T) {
	modules := nodeModules(t)
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

// TestIBMsRealNodeExamples runs the examples that come with the SDK. They expect
// the layout of its repository, and a helper that is not in the package.
func TestIBMsRealNodeExamples(t *testing.T) {
	modules, root := nodeModules(t), t.TempDir()
	sdk := filepath.Join(modules, "@ibm-cloud", "platform-services")
	write := func(name string, content []byte) {
		t.Helper()
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(sdk, filepath.Join(root, "dist")); err != nil {
		t.Fatal(err)
	}
	write("package.json", []byte("{}"))
	write("test/resources/auth-helper.js", []byte("exports.prepareTests = () => describe;\n"))
	for _, name := range []string{"examples/iam-identity.v1.test.js", "examples/iam-policy-management.v1.test.js"} {
		content, err := os.ReadFile(filepath.Join(sdk, name))
		if err != nil {
			t.Fatal(err)
		}
		write(name, content)
	}
	for _, node := range strings.Fields(os.Getenv("LATCHKEY_NODES")) {
		s, err := emulator.Start(emulator.Options{})
		if err != nil {
			t.Fatal(err)
		}
		write("credentials.env", exampleCredentials(s))
		result := filepath.Join(root, "result.json")
		c := exec.CommandContext(t.Context(), node, filepath.Join(modules, "jest", "bin", "jest.js"),
			"--runInBand", "--silent", "--json", "--outputFile", result)
		c.Dir = root
		c.Env = append(os.Environ(), "NODE_PATH="+modules, "IBM_CREDENTIALS_FILE="+filepath.Join(root, "credentials.env"))
		out, err := c.CombinedOutput()
		var tests struct {
			Passed int `json:"numPassedTests"`
			Failed int `json:"numFailedTests"`
		}
		if b, readErr := os.ReadFile(result); readErr != nil || json.Unmarshal(b, &tests) != nil {
			t.Fatalf("%s: %v, %v\n%s", node, err, readErr, out)
		}
		if err != nil || tests.Failed > 0 || tests.Passed < 100 {
			t.Errorf("%s: %d passed, %d failed, %v\n%s", node, tests.Passed, tests.Failed, err, out)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// exampleCredentials returns the settings that the examples read.
func exampleCredentials(s *emulator.Server) []byte {
	var out bytes.Buffer
	ready := s.Ready()
	set := func(service string, pairs ...string) {
		for i := 0; i < len(pairs); i += 2 {
			out.WriteString(service + "_" + pairs[i] + "=" + pairs[i+1] + "\n")
		}
	}
	for _, service := range []string{"IAM_IDENTITY", "IAM_POLICY_MANAGEMENT"} {
		set(service, "URL", ready.URL, "AUTHTYPE", "iam", "AUTH_TYPE", "iam", "AUTH_URL", ready.URL, "APIKEY", ready.AdminKey)
	}
	set("IAM_IDENTITY", "ACCOUNT_ID", ready.Account, "IAM_ID", cloud.OwnerIAMID,
		"ENTERPRISE_ACCOUNT_ID", ready.Account, "ENTERPRISE_SUBACCOUNT_ID", ready.ChildAccount,
		"IAM_ID_FOR_PREFERENCES", s.State(false).Profiles[0].IAMID)
	set("IAM_POLICY_MANAGEMENT", "TEST_ACCOUNT_ID", ready.Account, "TEST_TARGET_ACCOUNT_ID", ready.ChildAccount,
		"TEST_TARGET_ENTERPRISE_ACCOUNT_ID", ready.ChildAccount)
	return out.Bytes()
}
