package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/latchkey-io/latchkey/internal/catalog"
	"github.com/latchkey-io/latchkey/internal/provider"
	"github.com/latchkey-io/latchkey/internal/reconcile"
	"github.com/latchkey-io/latchkey/internal/service"
)

type jobCommand struct {
	Config string `help:"The config file." placeholder:"FILE"`
}

// Run is one Code Engine job run: an event that the platform put into the
// environment, or else a sweep over this index's share of the credentials.
//
// The exit code is 0 for everything that a retry does not change, since the
// platform restarts a failed index. 75 says that a retry may help.
func (c jobCommand) Run(ctx context.Context, env environment, std streams, log *slog.Logger) error {
	share, err := readShare(env)
	if err != nil {
		return err
	}
	if env("SM_ACTION") != "" {
		if share.Index != 0 {
			log.Info("skipping: index 0 does the task", "index", share.Index)
			return nil
		}
		return c.task(ctx, env, std, log)
	}
	p, err := wire(env, log, c.Config, "")
	if err != nil {
		return err
	}
	s, err := p.newService(ctx, env)
	if err != nil {
		return err
	}
	defer p.closeOutcomes(ctx, closeJob)
	if e, triggered := readJobEvent(env); triggered {
		if share.Index != 0 {
			log.Info("skipping: index 0 takes the event", "index", share.Index)
			return nil
		}
		return printAnswer(std, s.Answer(ctx, e.header, e.body, e.known))
	}
	credentials, unknown := p.catalog.Credentials(ctx, catalog.Scope{Share: share})
	swept := p.sweep(ctx, credentials, unknown, reconcile.Ask{Cause: "job " + env("CE_JOBRUN")})
	return printAnswer(std, service.Respond(swept, p.cloud.now()))
}

// task does one task of Secrets Manager's custom credentials.
func (c jobCommand) task(ctx context.Context, env environment, std streams, log *slog.Logger) error {
	request, err := provider.ReadRequest(env)
	if err != nil {
		return err
	}
	p, err := wire(env, log, c.Config, "")
	if err != nil {
		return err
	}
	if p.cfg.Provider == nil {
		return fmt.Errorf("taking task %s: the config has no provider: no key and no token is sent to %s", request.Task, request.Instance)
	}
	defer p.closeOutcomes(ctx, closeJob)
	printed := provider.Print(std.out, log)
	err = p.newProvider(func(out reconcile.Outcome) {
		p.outcomes.Send(out)
		printed(out)
	}).Run(ctx, request)
	if errors.Is(err, provider.ErrTryAgain) {
		return fmt.Errorf("%w: %w", errTryAgain, err)
	}
	return err
}

// printAnswer prints the answer's body and turns its status into an exit code.
func printAnswer(std streams, a service.Answer) error {
	if _, body := a.Render(); len(body) > 0 {
		if _, err := std.out.Write(body); err != nil {
			return fmt.Errorf("printing the outcome: %w", err)
		}
	}
	if a.Status == http.StatusServiceUnavailable {
		return fmt.Errorf("running the job: %w", errTryAgain)
	}
	return nil
}

// jobEvent is an event from the environment.
type jobEvent struct {
	header http.Header
	body   []byte
	// known: the sender may request what the config allows. Other events can only
	// trigger a look.
	known bool
}

// readJobEvent reads the environment. Three names together tell an event from
// Code Engine's own variables, which have the same prefix. It comes from a timer
// or from Kafka, where any writer of the topic chooses its type, so its sender is
// unknown. Event Notifications uses ibmendata instead, and needs an authorization
// to start jobs.
func readJobEvent(env environment) (jobEvent, bool) {
	if data := env("ibmendata"); data != "" {
		return jobEvent{header: http.Header{"Content-Type": {"application/json"}}, body: []byte(data), known: true}, true
	}
	for _, name := range []string{"CE_ID", "CE_TYPE", "CE_SPECVERSION"} {
		if env(name) == "" {
			return jobEvent{}, false
		}
	}
	header := http.Header{}
	for _, name := range []string{"ID", "TYPE", "SPECVERSION", "SOURCE", "SUBJECT", "TIME", "DATASCHEMA"} {
		if v := env("CE_" + name); v != "" {
			header.Set("Ce-"+name, escape(v))
		}
	}
	if ct := env("CONTENT_TYPE"); ct != "" {
		header.Set("Content-Type", ct)
	}
	return jobEvent{header: header, body: jobData(env("CE_DATA"))}, true
}

// escape percent-encodes a value as the HTTP binding has it in a header.
func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == '"' || c == '%' || c > '~' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// jobData is the data as sent. The form of binary data is not documented; base64
// of a JSON text is recognized by its content.
func jobData(s string) []byte {
	if trimmed := strings.TrimSpace(s); trimmed != "" && trimmed[0] != '{' && trimmed[0] != '[' {
		if b, err := base64.StdEncoding.DecodeString(trimmed); err == nil && json.Valid(b) {
			return b
		}
	}
	return []byte(s)
}

// readShare returns this index's share of the job array.
func readShare(env environment) (share catalog.Share, err error) {
	share.Size = 1
	for name, into := range map[string]*int{"JOB_INDEX": &share.Index, "JOB_ARRAY_SIZE": &share.Size} {
		if v := env(name); v != "" {
			if *into, err = strconv.Atoi(v); err != nil || *into < 0 {
				return share, fmt.Errorf("reading %s %q: not a count", name, v)
			}
		}
	}
	share.Size = max(share.Size, 1)
	share.Index %= share.Size
	return share, nil
}
