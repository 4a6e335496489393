package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/cli"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/evidence"
)

func TestAHistoryTellsOfAKeyFromItsBirthToItsEnd(t *testing.T) {
	s := newStage(t, emulator.Options{})
	if code, out := s.command("sweep"); code != cli.ExitOK {
		t.Fatalf("sweep: exit %d\n%s", code, out)
	}
	credential := "logs-sender/" + s.project("team-a").ID
	first := s.data("team-a")["IAM_API_KEY_ID"]
	s.cloud.Advance(time.Hour)
	if code, out := s.command("rotate", credential); code != cli.ExitOK {
		t.Fatalf("rotate: exit %d\n%s", code, out)
	}
	changes := len(s.cloud.Events())
	code, out := s.command("history", "--json", credential)
	var told struct{ Histories []evidence.History }
	if err := json.Unmarshal([]byte(out), &told); err != nil || code != cli.ExitOK || len(told.Histories) != 1 {
		t.Fatalf("exit %d, %v\n%s", code, err, out)
	}
	var lines []string
	for _, m := range told.Histories[0].Moments {
		if m.Key == first {
			lines = append(lines, string(m.From)+" "+m.What)
		}
	}
	text := strings.Join(lines, "\n")
	for _, want := range []string{"iam created for: sweep by an unknown user by hand", "mark superseded by a newer key", "activity last authenticated", "iam expires"} {
		if !strings.Contains(text, want) {
			t.Errorf("no moment %q of the first key in\n%s", want, text)
		}
	}
	if code, out = s.command("history", credential); code != cli.ExitOK || !strings.Contains(out, first) || !strings.Contains(out, "keeps nothing of a key that was deleted") {
		t.Errorf("exit %d\n%s", code, out)
	}
	if code, _ = s.command("history", "none"); code != cli.ExitError {
		t.Errorf("a name that the config does not yield: exit %d", code)
	}
	if n := len(s.cloud.Events()); n != changes {
		t.Errorf("%d changes", n-changes)
	}
}

func TestAReportHasOneRowForEachKeyAndADigest(t *testing.T) {
	s := newStage(t, emulator.Options{})
	if code, out := s.command("sweep"); code != cli.ExitOK {
		t.Fatalf("sweep: exit %d\n%s", code, out)
	}
	code, out := s.command("report", "--csv")
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil || code != cli.ExitOK || len(rows) != 3 {
		t.Fatalf("exit %d, %v, want a header and two keys:\n%s", code, err, out)
	}
	if sum := sha256.Sum256([]byte(out)); !strings.Contains(s.said.String(), hex.EncodeToString(sum[:])+"  -\n") {
		t.Error("the digest of the CSV is not printed")
	}
	file := filepath.Join(t.TempDir(), "report.html")
	if code, out := s.command("report", "--html", file); code != cli.ExitOK {
		t.Fatalf("exit %d\n%s", code, out)
	}
	page, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(page), rows[1][4]) || !strings.Contains(string(page), "NIST SP 800-53") {
		t.Errorf("%v: %s", err, page)
	}
	fmt.Fprintf(s.said, "%s", page) // for the canary test
	if code, out := s.command("report", "--json"); code != cli.ExitOK || !strings.Contains(out, `"rotated": "met"`) {
		t.Errorf("exit %d\n%s", code, out)
	}
	if code, out := s.command("report"); code != cli.ExitOK || !strings.Contains(out, "rotated: 2 met, 0 not met") {
		t.Errorf("exit %d\n%s", code, out)
	}
}

// Of a signed report, an auditor needs the file, the signature and the public key only.
func TestASignedReportCanBeCheckedWithThePublicKey(t *testing.T) {
	s := newStage(t, emulator.Options{})
	if code, out := s.command("sweep"); code != cli.ExitOK {
		t.Fatalf("sweep: exit %d\n%s", code, out)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	page := filepath.Join(t.TempDir(), "report.html")
	for _, flags := range [][]string{{"--csv"}, {"--json"}, {"--html", page}, {"--account", "--csv"}} {
		before := len(s.said.String())
		code, out := s.command(append([]string{"report", "--sign", file}, flags...)...)
		text := []byte(out)
		if flags[0] == "--html" {
			if text, err = os.ReadFile(page); err != nil {
				t.Fatal(err)
			}
		}
		_, rest, _ := strings.Cut(s.said.String()[before:], "\nsignature: ")
		line, _, _ := strings.Cut(rest, "\n")
		sig, err := base64.StdEncoding.DecodeString(line)
		if sum := sha256.Sum256(text); err != nil || code != cli.ExitOK || !ecdsa.VerifyASN1(&key.PublicKey, sum[:], sig) {
			t.Errorf("%v: exit %d, %v, the signature %q does not hold", flags, code, err, line)
		}
	}
	for _, flags := range [][]string{{"--sign", file}, {"--csv", "--sign", page}, {"--csv", "--sign", "none"}} {
		if code, out := s.command(append([]string{"report"}, flags...)...); code != cli.ExitError || out != "" {
			t.Errorf("%v: exit %d\n%s", flags, code, out)
		}
	}
}

func TestACensusHasTheKeysOfUsersAndServiceIDs(t *testing.T) {
	s := newStage(t, emulator.Options{})
	if code, out := s.command("sweep"); code != cli.ExitOK {
		t.Fatalf("sweep: exit %d\n%s", code, out)
	}
	code, out := s.command("report", "--account", "--json")
	var census struct {
		Keys []struct {
			Key, Kind, Credential, Retire string
			Login                         bool
		}
	}
	if err := json.Unmarshal([]byte(out), &census); err != nil || code != cli.ExitOK {
		t.Fatalf("exit %d, %v\n%s", code, err, out)
	}
	managed, others := 0, 0
	for _, k := range census.Keys {
		switch {
		case k.Credential != "":
			managed++
		case k.Login != (k.Retire != ""):
			others++
		}
	}
	if managed != 2 || managed+others != len(census.Keys) || len(census.Keys) != len(s.cloud.State(false).APIKeys) {
		t.Errorf("%d keys of latchkey's and %d others of %d\n%s", managed, others, len(s.cloud.State(false).APIKeys), out)
	}
	if code, _ := s.command("report", "--account", "--html", "x.html"); code != cli.ExitError {
		t.Errorf("a page of a census: exit %d", code)
	}
}
