package demo

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

// Hooks are the secrets of the demo's hooks, made for one run.
type Hooks struct{ ServiceNow, Jira, GitHub, Alerts secret.Value }

// NewHooks draws the secrets.
func NewHooks() (h Hooks, err error) {
	for _, into := range []*secret.Value{&h.ServiceNow, &h.Jira, &h.GitHub, &h.Alerts} {
		if *into, err = secret.Random(nil); err != nil {
			return h, err
		}
	}
	return h, nil
}

// Environment returns the variables that the config reads them from.
func (h Hooks) Environment() []string {
	return []string{
		"SERVICENOW_TOKEN=" + h.ServiceNow.Expose(), "JIRA_SECRET=" + h.Jira.Expose(),
		"GITHUB_SECRET=" + h.GitHub.Expose(), "GITHUB_ALERTS_SECRET=" + h.Alerts.Expose(),
	}
}

// Lines returns curl commands that send what the systems send, signed in their
// way.
func (h Hooks) Lines(url, credential string, now time.Time) []string {
	body := func(name string, change ...string) string {
		b, err := examples.Hooks.ReadFile("hooks/" + name)
		if err != nil {
			panic("reading an embedded payload: " + err.Error()) // the test of the recipes reads them all
		}
		// One line without shell quotes can be pasted.
		return strings.NewReplacer(change...).Replace(strings.Join(strings.Fields(string(b)), " "))
	}
	approved, repository := body("servicenow-approved.json"), body("github-repository.json")
	moved := body("jira-transition.json", "1795514400123", fmt.Sprint(now.UnixMilli()), "app-sender/shop", credential)
	return []string{
		"# ServiceNow: a request is approved, its app gets a key. Sent again, it changes nothing",
		fmt.Sprintf("curl -s %s/hooks/servicenow -H 'X-Latchkey-Token: %s' -H 'Content-Type: application/json' -d '%s'", url, h.ServiceNow.Expose(), approved),
		"# Jira: an issue moves to \"Rotate now\" (not within 10 minutes of the last key)",
		fmt.Sprintf("curl -s %s/hooks/jira -H 'X-Hub-Signature: %s' -H 'Content-Type: application/json' -d '%s'", url, sha256Signature(h.Jira, moved), moved),
		"# GitHub: a repository is created, its app gets a key. Change one letter of the body, and the answer is 401",
		fmt.Sprintf("curl -s %s/hooks/github -H 'X-GitHub-Event: repository' -H 'X-Hub-Signature-256: %s' -H 'Content-Type: application/json' -d '%s'", url, sha256Signature(h.GitHub, repository), repository),
	}
}

// sha256Signature signs a body as GitHub and Jira do.
func sha256Signature(key secret.Value, body string) string {
	mac := hmac.New(sha256.New, []byte(key.Expose()))
	_, _ = mac.Write([]byte(body))
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}
