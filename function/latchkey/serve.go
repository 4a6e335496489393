package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/latchkey-io/latchkey/internal/cli"
)

type serveCommand struct {
	cli.Unattended
	Config string `help:"The config file." placeholder:"FILE"`
	Listen string `help:"Address to listen on; by default the port in PORT, else 8080." placeholder:"ADDRESS"`
	cloudFlag
}

// drain is how long SIGTERM waits for work that is under way. What is left is
// abandoned, and the next run continues it.
const drain = 25 * time.Second

// Run serves events until its context ends.
func (c serveCommand) Run(ctx context.Context, env environment, log *slog.Logger) error {
	work, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	p, err := wireService(ctx, env, log, c.Config, c.Endpoint)
	if err != nil {
		return err
	}
	address := cmp.Or(c.Listen, ":"+cmp.Or(env("PORT"), "8080"))
	s, err := p.newService(ctx, work, env, p.shown(address))
	if err != nil {
		return err
	}
	listener, err := listen(ctx, address)
	if err != nil {
		return err
	}
	server := newServer(p.tracer.Handler(s.Handler()))
	log.Info("serving", "address", listener.Addr().String())
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	go s.SweepWhenIdle(ctx, p.cfg.SweepEvery)

	select {
	case err := <-served:
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	log.Info("draining", "at_most", drain.String())
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	err = server.Shutdown(end)
	s.Drain(end)
	p.closeOutcomes(ctx, closeService)
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("shutting down: %w", err)
	}
	return nil
}

func listen(ctx context.Context, address string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	return l, nil
}

// newServer bounds what a caller may use of a connection.
func newServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       20 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
}
