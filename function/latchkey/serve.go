package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

type serveCommand struct {
	Config   string `help:"The config file." placeholder:"FILE"`
	Listen   string `help:"Address to listen on; by default the port that PORT names, else 8080." placeholder:"ADDRESS"`
	Endpoint string `help:"The emulator's URL, instead of IBM Cloud." placeholder:"URL"`
}

// drain is how long SIGTERM waits for work that is under way. What is left
// then dies at any point, and the next run goes on from there.
const drain = 25 * time.Second

// Run serves events until it is told to stop.
func (c serveCommand) Run(ctx context.Context, p *process) error {
	work, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	p.endpoint = c.Endpoint
	d, err := p.desk(work, c.Config)
	if err != nil {
		return err
	}

	listener, err := p.listen(ctx, c.Listen)
	if err != nil {
		return err
	}
	server := newServer(d.routes())
	p.log.Info("serving", "address", listener.Addr().String())
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()

	select {
	case err := <-served:
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	p.log.Info("draining", "for at most", drain.String())
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	err = server.Shutdown(end)
	d.wait(end)
	d.farewell(reportAtEnd)
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("shutting down: %w", err)
	}
	return nil
}

// newServer bounds what a caller may take of a connection.
func newServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       20 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
}
