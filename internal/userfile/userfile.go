// Package userfile reads and writes the files that a user names. Such a file may be a pipe, as
// /dev/stdin often is: what waits for its other end must not outlive its context.
package userfile

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
)

// Read returns the content of a file, as os.ReadFile does. If the file is a pipe or a
// device, Read returns the cause of the context's end as soon as it ends.
func Read(ctx context.Context, name string) ([]byte, error) {
	return ReadBy(ctx, name, func() ([]byte, error) { return os.ReadFile(name) })
}

// ReadBy is Read by a function, which it calls once. If the context ends first, the
// function may go on until the process ends.
func ReadBy(ctx context.Context, name string, read func() ([]byte, error)) ([]byte, error) {
	return await(ctx, "reading", name, read)
}

// await calls a function that reads or writes the file. It returns when the function does
// or, if the file may keep it waiting, when the context ends.
func await(ctx context.Context, doing, name string, do func() ([]byte, error)) ([]byte, error) {
	if !waits(name) {
		return do()
	}
	var text []byte
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		text, err = do()
	}()
	select {
	case <-done:
		return text, err
	case <-ctx.Done():
		return nil, fmt.Errorf("%s %s: %w", doing, name, context.Cause(ctx))
	}
}

// Open opens a file for reading, as os.Open does. A pipe or a device is read by Read.
func Open(ctx context.Context, name string) (io.ReadCloser, error) {
	if !waits(name) {
		return os.Open(name)
	}
	text, err := Read(ctx, name)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(text)), nil
}

// waits reports whether the file is one that may keep its reader or writer waiting.
func waits(name string) bool {
	info, err := os.Stat(name)
	return err == nil && !info.Mode().IsRegular() && !info.IsDir()
}
