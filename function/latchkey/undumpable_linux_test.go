package main

import (
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/latchkey-io/latchkey/internal/secret"
)

const keyInEnvironment = "a-made-up-key"

// The test runs itself as a child, since the switch holds for a whole process.
func TestTheProcessForbidsDumpsAndGivesItsKeyToNoChild(t *testing.T) {
	const child = "LATCHKEY_TEST_CHILD"
	if os.Getenv(child) == "" {
		self := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.count=1")
		self.Env = append(os.Environ(), child+"=1", "IBMCLOUD_API_KEY="+keyInEnvironment, "SM_ACCESS_APIKEY="+keyInEnvironment)
		if out, err := self.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return
	}
	os.Args = []string{"latchkey", "version"}
	if code := execute(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	if dumpable, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_GET_DUMPABLE, 0, 0); errno != 0 || dumpable != 0 {
		t.Errorf("the process can be dumped: %d, %v", dumpable, errno)
	}
	for _, name := range []string{"IBMCLOUD_API_KEY", "SM_ACCESS_APIKEY"} {
		if os.Getenv(name) != "" {
			t.Errorf("%s is still in the environment", name)
		}
	}
}

func TestAKeyThatIsTakenFromTheEnvironmentIsStillRead(t *testing.T) {
	t.Setenv("IBMCLOUD_API_KEY", keyInEnvironment)
	t.Setenv("PORT", "8080")
	env := secret.TakeVariables("IBMCLOUD_API_KEY", "SM_ACCESS_APIKEY")
	if env("IBMCLOUD_API_KEY") != keyInEnvironment || env("PORT") != "8080" || env("SM_ACCESS_APIKEY") != "" {
		t.Errorf("read %q, %q and %q", env("IBMCLOUD_API_KEY"), env("PORT"), env("SM_ACCESS_APIKEY"))
	}
}
