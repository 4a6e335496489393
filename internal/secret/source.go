package secret

import (
	"fmt"
	"os"
	"strings"
	"sync"
)

// Read reads a secret from the variable or else from the file, whichever a config
// names. env looks variables up. White space around the secret is not part of it: an
// editor or a mount adds a line break. An empty secret is an error, and so is an
// unset variable.
func Read(env func(string) string, variable, file string) (Value, error) {
	if variable != "" {
		v := strings.TrimSpace(env(variable))
		if v == "" {
			return nil, fmt.Errorf("%s is not set", variable)
		}
		return New(v), nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	v := strings.TrimSpace(string(text))
	if v == "" {
		return nil, fmt.Errorf("%s is empty", file)
	}
	return New(v), nil
}

// Renewed returns a secret that may be replaced while the process runs: it is read again
// each time it is used. While read fails, as while its file is replaced, the last secret
// counts. The first read must succeed.
func Renewed(read func() (Value, error)) (Value, error) {
	last, err := read()
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	return func(o opener) string {
		mu.Lock()
		defer mu.Unlock()
		if now, err := read(); err == nil {
			last = now
		}
		return last(o)
	}, nil
}
