package demo_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/demo"
)

// program builds the program that the demo shows.
func program(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "latchkey")
	if out, err := exec.Command("go", "build", "-o", file, "../../function/latchkey").CombinedOutput(); err != nil {
		t.Fatalf("building the program: %v\n%s", err, out)
	}
	return file
}

// wrapped is the program with a change to its environment.
func wrapped(t *testing.T, program, change string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "wrapped")
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"+change+"\nexec "+program+" \"$@\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return file
}

// chapters are what the demo promises to show, in this order.
var chapters = []string{
	`1\. The Code Engine project team-shop is created`,
	`key +ApiKey-\S+, expires \d{4}-\d\d-\d\d`,
	`proof +a token for it, and 1 log line accepted`,
	`published +codeEngine/eu-de/\S+/logs-sender#IAM_API_KEY`,
	`2\. The same event arrives again`,
	`nothing to do: ApiKey-\S+ is published; it rotates on`,
	`3\. 50 days pass`,
	`new key +ApiKey-\S+, proven and published`,
	`old key +ApiKey-\S+, works until`,
	`4\. .*The process is killed \(SIGKILL\)`,
	`left behind +ApiKey-\S+: minted, in no store; its fuse expires it on`,
	`consumers +still have ApiKey-\S+, which works`,
	`20 min later .* is retired, ApiKey-\S+ is minted, proven and published`,
	`5\. The timer ticks`,
	`the key of the killed process are deleted`,
	`6\. The config gets a second store`,
	`filled +codeEngine/\S+/logs-sender-copy#IAM_API_KEY with a copy of the published key; nothing is rotated`,
	`7\. .* one consumer keeps using the old one`,
	`extended +until`,
	`8\. The published key is found on a public page`,
	`new key +ApiKey-\S+, proven and in every store before the old one is deleted`,
	`9\. A person disables the published key`,
	`replaced +consumers have another key; the disabled one stays disabled`,
	`CREDENTIAL +KEY +AGE`,
	`logs-sender/\S+ +ApiKey-\S+ +0\.0d`,
}

func TestTheDemoShowsTheLifeOfAKey(t *testing.T) {
	file := program(t)
	for _, form := range []string{"app", "job"} {
		t.Run(form, func(t *testing.T) {
			var out bytes.Buffer
			if err := demo.Run(t.Context(), demo.Options{Out: &out, Form: form, Program: file}); err != nil {
				t.Fatalf("the demo ends with %v\n%s", err, out.String())
			}
			rest := out.String()
			for _, want := range chapters {
				at := regexp.MustCompile(want).FindStringIndex(rest)
				if at == nil {
					t.Fatalf("%q is not in the rest:\n%s", want, rest)
				}
				rest = rest[at[1]:]
			}
		})
	}
}

func TestTheDemoEndsWithTheStepThatFails(t *testing.T) {
	file := program(t)
	for name, tc := range map[string]struct {
		change string // of the program's environment
		want   string
		told   string // the last chapter that is begun
	}{
		"a program that does not start": {change: "LATCHKEY_CONFIG=nonsense", want: "latchkey ended before it served", told: "IBM Cloud is emulated"},
		"a key that is not published": {
			change: `LATCHKEY_CONFIG=$(printf '%s\npaused: true\n' "$LATCHKEY_CONFIG")`, want: "the result is blocked", told: "1. ",
		},
		"a key that is not replaced after 50 days": {
			change: `LATCHKEY_CONFIG=$(printf '%s\n' "$LATCHKEY_CONFIG" | sed 's/verbs: \[provision, rotate\]/verbs: [provision]/')`, want: "the answer is 403", told: "3. ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			err := demo.Run(t.Context(), demo.Options{Out: &out, Form: "app", Program: wrapped(t, file, tc.change)})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("the demo ends with %v, want %s", err, tc.want)
			}
			lines := strings.Split(out.String(), "\n")
			last := ""
			for _, line := range lines {
				if line != "" && line[0] != ' ' {
					last = line
				}
			}
			if !strings.HasPrefix(last, tc.told) {
				t.Errorf("the last chapter is %q, want %q", last, tc.told)
			}
		})
	}
}

func TestTheDemoStopsWhenItIsInterrupted(t *testing.T) {
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Second)
	defer stop()
	var out bytes.Buffer
	err := demo.Run(ctx, demo.Options{Out: &out, Form: "app", Keep: true, Program: program(t)})
	if !errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "\n") {
		t.Errorf("the demo ends with %v, want the interruption without the program's log", err)
	}
}

func TestAJobDoesNotStayUp(t *testing.T) {
	if err := demo.Run(t.Context(), demo.Options{Out: &bytes.Buffer{}, Form: "job", Keep: true}); err == nil {
		t.Error("the demo stays up with jobs")
	}
}
