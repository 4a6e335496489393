// Package logs proves that a key may send to IBM Cloud Logs. It sends one line to
// the ingestion endpoint with the key's own token, which is also how IBM's
// documents verify an ingestion key.
package logs

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/latchkey-io/latchkey/internal/hosts"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// Config names the Cloud Logs instance that must accept the line.
type Config struct {
	// HTTP sends the requests. If nil, it is a client with the default transport.
	// Its CheckRedirect is ignored: redirects are never followed.
	HTTP *http.Client
	// Endpoint, if set, replaces the instance's address. The emulator uses it.
	Endpoint string
	// Instance is the GUID of the instance, Region its region.
	Instance, Region string
	// Private selects the address inside IBM's network.
	Private bool
}

// Prover proves a key by sending one log line.
type Prover struct {
	cfg       Config
	http      *http.Client
	host, url string
}

var _ port.Prover = (*Prover)(nil)

// New returns a prover. It sends no request.
func New(cfg Config) *Prover {
	if cfg.HTTP == nil {
		cfg.HTTP = &http.Client{}
	}
	host := hosts.CloudLogs(cfg.Instance, cfg.Region, cfg.Private)
	server := upstream.Server{API: upstream.CloudLogs, Host: host, Endpoint: cfg.Endpoint, HTTP: cfg.HTTP}.Service()
	return &Prover{cfg: cfg, http: server.HTTP, host: host, url: server.Base + "/logs/v1/singles"}
}

// Name returns the name of the proof in outcomes.
func (*Prover) Name() string { return "logs" }

// line is one element of the body of POST /logs/v1/singles. It has no timestamp:
// Cloud Logs dates it on arrival, and does not accept a line from a clock that is
// more than 24 hours slow or 4 hours fast.
type line struct {
	Application string            `json:"applicationName"`
	Subsystem   string            `json:"subsystemName"`
	Severity    int               `json:"severity"` // 3 is info
	Text        map[string]string `json:"text"`
}

// Prove sends one line. It returns ErrNotYet after a 401 or 403, which may be
// the lag of a token or a policy.
func (p *Prover) Prove(ctx context.Context, proof port.Proof) error {
	doing := "sending a log line to instance " + p.cfg.Instance
	body, err := json.Marshal([]line{{
		Application: "latchkey", Subsystem: proof.Credential, Severity: 3,
		Text: map[string]string{"event": "key_proof", "apikey_id": proof.KeyID, "credential": proof.Credential},
	}})
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	status, answer, err := p.post(ctx, doing, body, "Bearer "+proof.Token.Expose())
	said := upstream.Answer{Status: status, Message: string(answer)}
	switch {
	case err != nil:
		return err
	case status == http.StatusOK && accepted(answer):
		return nil
	case status == http.StatusOK:
		said.Meaning = port.ErrRefused
	}
	return upstream.CloudLogs.Fault(ctx, doing, "", said, proof.Token)
}

// post sends a body to the ingestion endpoint and returns its answer.
func (p *Prover) post(ctx context.Context, doing string, body []byte, authorization string) (status int, answer []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, fmt.Errorf("%s: %w", doing, err)
	}
	req.Header.Set("Content-Type", "application/json")
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	resp, err := p.http.Do(req)
	if err != nil {
		return 0, nil, upstream.NoAnswer(ctx, doing, err)
	}
	defer resp.Body.Close()
	if answer, err = io.ReadAll(resp.Body); err != nil { // the transport has read it
		return 0, nil, upstream.NoAnswer(ctx, doing, err)
	}
	return resp.StatusCode, answer, nil
}

// accepted reports whether the body of a 200 shows that the line was accepted.
// A 200 may report rejected lines, but neither that message nor the body of a
// full success is documented. A body with a word of rejection is a rejection,
// unless the word names an empty value, as in {"rejected": 0}.
func accepted(body []byte) bool {
	var said any
	if json.Unmarshal(body, &said) != nil {
		return !rejecting(string(body))
	}
	return acceptedIn(said)
}

func acceptedIn(said any) bool {
	switch said := said.(type) {
	case string:
		return !rejecting(said)
	case []any:
		return !slices.ContainsFunc(said, func(v any) bool { return !acceptedIn(v) })
	case map[string]any:
		for name, v := range said {
			if rejecting(name) && !empty(v) || !acceptedIn(v) {
				return false
			}
		}
	}
	return true
}

func rejecting(words string) bool {
	words = strings.ToLower(words)
	return slices.ContainsFunc([]string{"reject", "not all", "not accepted", "invalid", "fail", "error", "drop"},
		func(sign string) bool { return strings.Contains(words, sign) })
}

func empty(v any) bool {
	switch v := v.(type) {
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return v == nil || v == false || v == 0.0
}

// Reach reports whether the endpoint answers, and returns its host. It sends a
// request without a token, which Cloud Logs refuses.
func (p *Prover) Reach(ctx context.Context) (host string, err error) {
	const doing = "reaching the ingestion endpoint"
	status, _, err := p.post(ctx, doing, []byte("[]"), "")
	if err != nil {
		return p.host, err
	}
	switch status {
	case http.StatusOK, http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden:
		return p.host, nil
	}
	return p.host, upstream.CloudLogs.Fault(ctx, doing, "", upstream.Answer{Status: status})
}
