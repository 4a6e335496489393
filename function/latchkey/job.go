package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"strconv"
	"strings"

	"github.com/latchkey-io/latchkey/internal/reconcile"
)

type jobCommand struct {
	Config string `help:"The config file." placeholder:"FILE"`
}

// Run is one Code Engine job run: an event that the platform put into the
// environment, or else a sweep over this index's share of the credentials.
//
// The exit code is 0 for everything that a repetition does not change, since
// the platform starts a failed index again: 75 says that it may.
func (c jobCommand) Run(ctx context.Context, p *process) error {
	index, size, err := p.share()
	if err != nil {
		return err
	}
	if p.env("SM_ACTION") != "" {
		if index != 0 {
			p.log.Info("a task is for index 0", "index", index)
			return nil
		}
		return p.provide(ctx, c.Config)
	}
	d, err := p.desk(ctx, c.Config)
	if err != nil {
		return err
	}
	defer d.farewell(reportInJob)
	if e, triggered := p.jobEvent(); triggered {
		if index != 0 {
			p.log.Info("an event is for index 0", "index", index)
			return nil
		}
		return p.conclude(d.answer(ctx, e.header, e.body, e.known))
	}
	share := &shard{Catalog: d.catalog, index: index, size: size}
	swept := d.reconcile(ctx, share, reconcile.Scope{}, reconcile.Ask{Cause: "job " + p.env("CE_JOBRUN")})
	return p.conclude(conclude(swept, d.now()))
}

// conclude prints the answer and turns it into an exit code.
func (p *process) conclude(a answer) error {
	_, body := a.render()
	if len(body) > 0 {
		if _, err := p.stdout.Write(body); err != nil {
			return fmt.Errorf("printing the outcome: %w", err)
		}
	}
	if a.status == http.StatusServiceUnavailable {
		return fmt.Errorf("the job could not do its work: %w", errTryAgain)
	}
	return nil
}

// jobEvent is an event in the environment.
type jobEvent struct {
	header http.Header
	body   []byte
	// known senders may ask for what the config allows; others can only make
	// latchkey look.
	known bool
}

// jobEvent reads the environment. Three names together tell an event from Code
// Engine's own variables, which have the same prefix. It comes from a timer or
// from Kafka, where whoever writes to the topic chooses its type, so it is not
// trusted. Event Notifications uses ibmendata instead, and needs an
// authorization to start jobs.
func (p *process) jobEvent() (jobEvent, bool) {
	if data := p.env("ibmendata"); data != "" {
		return jobEvent{header: http.Header{"Content-Type": {"application/json"}}, body: []byte(data), known: true}, true
	}
	for _, name := range []string{"CE_ID", "CE_TYPE", "CE_SPECVERSION"} {
		if p.env(name) == "" {
			return jobEvent{}, false
		}
	}
	header := http.Header{}
	for _, name := range []string{"ID", "TYPE", "SPECVERSION", "SOURCE", "SUBJECT", "TIME", "DATASCHEMA"} {
		if v := p.env("CE_" + name); v != "" {
			header.Set("Ce-"+name, escape(v))
		}
	}
	if ct := p.env("CONTENT_TYPE"); ct != "" {
		header.Set("Content-Type", ct)
	}
	return jobEvent{header: header, body: jobData(p.env("CE_DATA"))}, true
}

// escape makes a plain value one of the HTTP binding, where % and quotes have
// a meaning.
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

// jobData is the data as it was sent. How binary data arrives is not
// documented; base64 of a JSON text is recognised by its content.
func jobData(s string) []byte {
	if trimmed := strings.TrimSpace(s); trimmed != "" && trimmed[0] != '{' && trimmed[0] != '[' {
		if b, err := base64.StdEncoding.DecodeString(trimmed); err == nil && json.Valid(b) {
			return b
		}
	}
	return []byte(s)
}

// share is this index of the job's array.
func (p *process) share() (index, size int, err error) {
	size = 1
	for name, into := range map[string]*int{"JOB_INDEX": &index, "JOB_ARRAY_SIZE": &size} {
		if v := p.env(name); v != "" {
			if *into, err = strconv.Atoi(v); err != nil || *into < 0 {
				return 0, 0, fmt.Errorf("reading %s %q: not a count", name, v)
			}
		}
	}
	if size == 0 {
		size = 1
	}
	return index % size, size, nil
}

// shard is one index's share of a catalog. The hash is stable, so a retried
// index sees the same credentials.
type shard struct {
	reconcile.Catalog
	index, size int
}

// Credentials returns those that the hash gives to this index.
func (s *shard) Credentials(ctx context.Context, scope reconcile.Scope) ([]reconcile.Credential, error) {
	all, err := s.Catalog.Credentials(ctx, scope)
	var mine []reconcile.Credential
	for _, c := range all {
		h := fnv.New64a()
		_, _ = h.Write([]byte(c.Name))
		if h.Sum64()%uint64(s.size) == uint64(s.index) { //nolint:gosec // both are counts
			mine = append(mine, c)
		}
	}
	return mine, err
}
