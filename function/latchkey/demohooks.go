package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/deploy/examples"
	"github.com/latchkey-io/latchkey/internal/secret"
)

// demoHooks are the secrets of the demo's hooks, made for one run.
type demoHooks struct{ serviceNow, jira, github secret.Value }

func newDemoHooks() (h demoHooks, err error) {
	for _, into := range []*secret.Value{&h.serviceNow, &h.jira, &h.github} {
		if *into, err = secret.Random(nil); err != nil {
			return h, err
		}
	}
	return h, nil
}

func (h demoHooks) environment() []string {
	return []string{"SERVICENOW_TOKEN=" + h.serviceNow.Expose(), "JIRA_SECRET=" + h.jira.Expose(), "GITHUB_SECRET=" + h.github.Expose()}
}

// lines are commands that send what the systems send, signed as they sign.
func (h demoHooks) lines(url, credential string, now time.Time) []string {
	body := func(name string, change ...string) string {
		b, err := examples.Hooks.ReadFile("hooks/" + name)
		if err != nil {
			panic("reading an embedded payload: " + err.Error()) // the test of the recipes reads them all
		}
		// One line without quotes of a shell, so that it can be pasted.
		return strings.NewReplacer(change...).Replace(strings.Join(strings.Fields(string(b)), " "))
	}
	approved, repository := body("servicenow-approved.json"), body("github-repository.json")
	moved := body("jira-transition.json", "1795514400123", fmt.Sprint(now.UnixMilli()), "app-sender/shop", credential)
	return []string{
		"# ServiceNow: a request is approved, its app gets a key. Sent again it finds nothing to do",
		fmt.Sprintf("curl -s %s/hooks/servicenow -H 'X-Latchkey-Token: %s' -H 'Content-Type: application/json' -d '%s'", url, h.serviceNow.Expose(), approved),
		"# Jira: an issue moves to \"Rotate now\" (not within 10 minutes of the last key)",
		fmt.Sprintf("curl -s %s/hooks/jira -H 'X-Hub-Signature: %s' -H 'Content-Type: application/json' -d '%s'", url, sha256Signature(h.jira, moved), moved),
		"# GitHub: a repository is created, its app gets a key. Change a letter of it, and the answer is 401",
		fmt.Sprintf("curl -s %s/hooks/github -H 'X-GitHub-Event: repository' -H 'X-Hub-Signature-256: %s' -H 'Content-Type: application/json' -d '%s'", url, sha256Signature(h.github, repository), repository),
	}
}

// sha256Signature is how GitHub and Jira sign.
func sha256Signature(key secret.Value, body string) string {
	mac := hmac.New(sha256.New, []byte(key.Expose()))
	_, _ = mac.Write([]byte(body))
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}
