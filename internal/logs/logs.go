// Package logs proves that a key may send to IBM Cloud Logs: it sends one line
// to the ingestion endpoint with the key's own token. IBM's page on verifying
// an ingestion key makes the same call.
package logs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/reconcile"
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
	body, err := json.Marshal([]line{{
		Application: "latchkey", Subsystem: proof.Credential, Severity: 3, Timestamp: p.cfg.Now().UnixMilli(),
		Text: map[string]string{"event": "key_proof", "apikey_id": proof.KeyID, "credential": proof.Credential},
	}})
	if err != nil {
		return fmt.Errorf("writing a log line: %w", err)
	}
	base := "https://" + p.host
	if p.cfg.Endpoint != "" {
		base = strings.TrimSuffix(p.cfg.Endpoint, "/")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/logs/v1/singles", bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("sending a log line: %w", err)
	}
	req.Host = p.host
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+proof.Token.Expose())
	resp, err := p.cfg.HTTP.Do(req)
	if err != nil {
		return fmt.Errorf("sending a log line to instance %s: %w: %w", p.cfg.Instance, reconcile.ErrUnavailable, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	switch status := resp.StatusCode; {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return fmt.Errorf("sending a log line to instance %s: %w: status %d (the Sender role is not effective)", p.cfg.Instance, reconcile.ErrNotYet, status)
	case status == http.StatusTooManyRequests || status >= 500:
		return fmt.Errorf("sending a log line to instance %s: %w: status %d", p.cfg.Instance, reconcile.ErrUnavailable, status)
	case status != http.StatusOK:
		return fmt.Errorf("sending a log line to instance %s: %w: status %d", p.cfg.Instance, reconcile.ErrRefused, status)
	case err != nil:
		return fmt.Errorf("sending a log line to instance %s: reading the answer: %w: %w", p.cfg.Instance, reconcile.ErrUnavailable, err)
	}
	return accepted(answer)
}

// errRejected is a 200 that is none.
var errRejected = errors.New("the instance answered 200 and did not accept the line")

// accepted looks into a 200: it may carry a message that not all lines were
// taken. Neither the message nor the body of full success is documented, so
// this is the one place that decides: any sign of a rejection counts as one.
func accepted(body []byte) error {
	said := strings.ToLower(string(body))
	for _, sign := range []string{"reject", "not all", "invalid", "fail", "error", "drop"} {
		if strings.Contains(said, sign) {
			return fmt.Errorf("%w: %w", reconcile.ErrRefused, errRejected)
		}
	}
	return nil
}
