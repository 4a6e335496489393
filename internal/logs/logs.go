// Package logs proves that a key may send to IBM Cloud Logs: it sends one line
// to the ingestion endpoint with the key's own token. IBM's page on verifying
// an ingestion key makes the same call.
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
	"time"

	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// Config says which instance has to accept the line.
type Config struct {
	HTTP *http.Client
	// Endpoint replaces the instance's own address: the emulator's URL.
	Endpoint string
	// Instance is the GUID of the Cloud Logs instance.
	Instance, Region string
	// Private takes the address inside IBM's network.
	Private bool
	// Now stamps the line; nil is time.Now.
	Now func() time.Time
}

// Prover is the proof by one log line.
type Prover struct {
	cfg  Config
	host string
}

var _ reconcile.Prover = (*Prover)(nil)

// New builds the proof. Nothing is called yet.
func New(cfg Config) *Prover {
	if cfg.HTTP == nil {
		cfg.HTTP = &http.Client{}
	}
	// A redirect would carry the token to whoever it names.
	client := *cfg.HTTP
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	cfg.HTTP = &client
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	ingress := "ingress"
	if cfg.Private {
		ingress = "ingress.private"
	}
	return &Prover{cfg: cfg, host: fmt.Sprintf("%s.%s.%s.logs.cloud.ibm.com", cfg.Instance, ingress, cfg.Region)}
}

// Name is how outcomes call the proof.
func (*Prover) Name() string { return "logs" }

// line is one entry of POST /logs/v1/singles.
type line struct {
	Application string            `json:"applicationName"`
	Subsystem   string            `json:"subsystemName"`
	Severity    int               `json:"severity"` // 3 is info
	Timestamp   int64             `json:"timestamp"`
	Text        map[string]string `json:"text"`
}

// maxAnswer bounds what is read of an answer.
const maxAnswer = 64 << 10

// Prove sends one line. 401 and 403 may be the lag of a token or a policy.
func (p *Prover) Prove(ctx context.Context, proof reconcile.Proof) error {
	doing := "sending a log line to instance " + p.cfg.Instance
	body, err := json.Marshal([]line{{
		Application: "latchkey", Subsystem: proof.Credential, Severity: 3, Timestamp: p.cfg.Now().UnixMilli(),
		Text: map[string]string{"event": "key_proof", "apikey_id": proof.KeyID, "credential": proof.Credential},
	}})
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	base := "https://" + p.host
	if p.cfg.Endpoint != "" {
		base = strings.TrimSuffix(p.cfg.Endpoint, "/")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/logs/v1/singles", bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	req.Host = p.host
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+proof.Token.Expose())
	resp, err := p.cfg.HTTP.Do(req)
	if err != nil {
		return upstream.NoAnswer(ctx, doing, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	said := upstream.Answer{Status: resp.StatusCode, Message: string(answer)}
	switch status := resp.StatusCode; {
	case status < http.StatusBadRequest && status != http.StatusOK:
		said.Meaning = reconcile.ErrRefused
	case status != http.StatusOK:
	case err != nil: // the rest of the answer may report a rejected line
		return fmt.Errorf("%s: reading the answer: %w: %w", doing, reconcile.ErrUnavailable, err)
	case !accepted(answer):
		said.Meaning = reconcile.ErrRefused
	default:
		return nil
	}
	return upstream.CloudLogs.Fault(ctx, doing, "", said, proof.Token)
}

// accepted looks into a 200: it may carry a message that not all lines were
// taken. Neither the message nor the body of full success is documented, so
// this is the one place that decides: a body with a word of rejection in it is
// one, unless the word is the name of something that is empty, as in
// {"rejected": 0}.
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

// Reach reports whether the endpoint answers at all, and its host. Nothing is
// sent to it but a request without a token.
func (p *Prover) Reach(ctx context.Context) (host string, err error) {
	base := "https://" + p.host
	if p.cfg.Endpoint != "" {
		base = strings.TrimSuffix(p.cfg.Endpoint, "/")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/logs/v1/singles", strings.NewReader("[]"))
	if err != nil {
		return p.host, fmt.Errorf("asking for an answer: %w", err)
	}
	req.Host = p.host
	req.Header.Set("Content-Type", "application/json")
	resp, err := p.cfg.HTTP.Do(req)
	if err != nil {
		return p.host, upstream.NoAnswer(ctx, "asking for an answer", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusInternalServerError {
		return p.host, fmt.Errorf("asking for an answer: %w: status %d", reconcile.ErrUnavailable, resp.StatusCode)
	}
	return p.host, nil
}
