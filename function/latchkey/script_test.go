package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/latchkey-io/latchkey/deploy/examples"
	"github.com/latchkey-io/latchkey/internal/emulator"
)

// The program's own binary takes the scripts' commands: testscript runs this
// test binary under the name latchkey.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"latchkey": func() {
			os.Exit(execute())
		},
	})
}

// Each script has an emulator of its own. $EMULATOR is its URL, $APIKEY a key for
// it, $TEAM_A a project; emulator.yaml is a config. advance moves its clock.
func TestScripts(t *testing.T) {
	const server = "server"
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			s, err := emulator.Start(emulator.Options{})
			if err != nil {
				return err
			}
			env.Defer(func() { _ = s.Close() })
			ready := s.Ready()
			env.Values[server] = s
			env.Setenv("EMULATOR", ready.URL)
			env.Setenv("APIKEY", ready.APIKey)
			for _, p := range ready.Projects {
				if p.Name == "team-a" {
					env.Setenv("TEAM_A", p.ID)
				}
			}
			return os.WriteFile(filepath.Join(env.Cd, "emulator.yaml"), []byte(examples.Emulator), 0o600)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			// for-full runs latchkey with a full disk as stdout. It says so in one line.
			"for-full": func(ts *testscript.TestScript, _ bool, args []string) {
				const full = `latchkey "$@" 2>&1 >/dev/full | { read -r line; ! read -r more && case "$line" in *"no space left"*) ;; *) exit 1;; esac; }`
				ts.Check(ts.Exec("sh", append([]string{"-c", `latchkey "$@" >/dev/full; test $? = 1 && ` + full, "sh"}, args...)...))
			},
			"advance": func(ts *testscript.TestScript, _ bool, args []string) {
				d, err := time.ParseDuration(args[0])
				ts.Check(err)
				ts.Value(server).(*emulator.Server).Advance(d)
			},
		},
	})
}
