package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

func TestEmulatorHelpNamesEverySwitch(t *testing.T) {
	var out bytes.Buffer
	if code := run(t.Context(), []string{"emulator", "--help"}, func(string) string { return "" }, nil, &out, io.Discard); code != 0 {
		t.Fatalf("exit %d: %s", code, out.String())
	}
	help := strings.Join(strings.Fields(out.String()), " ")
	for _, w := range cloud.SwitchList() {
		if want := w.Name + " (" + w.Guess + ") " + w.Meaning + "."; !strings.Contains(help, want) {
			t.Errorf("--help lacks %q:\n%s", want, out.String())
		}
	}
	for _, k := range emulator.FaultKinds() {
		if want := k.Name + " " + k.Meaning + "."; !strings.Contains(help, want) {
			t.Errorf("--help lacks %q:\n%s", want, out.String())
		}
	}
	for _, flag := range []string{"--switch=NAME=VALUE", "--seed-credentials=N", "--latency", "--lag", "--faults=FILE"} {
		if !strings.Contains(help, flag) {
			t.Errorf("--help lacks %s:\n%s", flag, out.String())
		}
	}
}

func TestEmulatorTakesSwitchesAndSeedsFromTheCommandLine(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	r, w := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"emulator", "--switch", "staleIdentityStatus=412", "--switch", `logsSuccessBody={"a":1,"b=c":2}`,
			"--seed-credentials", "3"}, func(string) string { return "" }, nil, w, io.Discard)
		_ = w.Close()
	}()
	var ready emulator.Ready
	if err := json.NewDecoder(r).Decode(&ready); err != nil {
		t.Fatal(err)
	}
	var settings emulator.Settings
	var state cloud.State
	for path, into := range map[string]any{"settings": &settings, "state": &state} {
		answer, err := http.Get(ready.URL + "/emulator/" + path)
		if err != nil {
			t.Fatal(err)
		}
		err = json.NewDecoder(answer.Body).Decode(into)
		_ = answer.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
	}
	if s := settings.Switches; s.StaleIdentityStatus != 412 || s.LogsSuccessBody != `{"a":1,"b=c":2}` || s.LockedStatus != 409 {
		t.Errorf("switches %+v", s)
	}
	if n := len(state.ServiceIDs); n != 4 { // and the minter
		t.Errorf("%d service IDs", n)
	}
	stop()
	if code := <-ended; code != 0 {
		t.Errorf("exit %d", code)
	}
}

func TestEmulatorRefusesASwitchThatIsNotThere(t *testing.T) {
	for arg, want := range map[string]string{
		"nothing=1":       `there is no switch "nothing"`,
		"lockedStatus":    "is not NAME=VALUE",
		"lockedStatus=99": "99 is not the status of a refusal",
	} {
		var stderr bytes.Buffer
		code := run(t.Context(), []string{"emulator", "--switch", arg}, func(string) string { return "" }, nil, io.Discard, &stderr)
		if code != cli.ExitError || !strings.Contains(stderr.String(), want) {
			t.Errorf("--switch %s: exit %d, %s", arg, code, stderr.String())
		}
	}
}
