package secret

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/latchkey-io/latchkey/internal/userfile"
)

// Source is a place outside of the config that holds a secret: a variable or a file.
type Source struct {
	At        string // path in the config, such as events.auth.bearerEnv
	Env, File string // one of them
	// Sender is the part of the config whose requests the secret authenticates, such as
	// hooks.desk or events.auth[0]; "" if latchkey itself shows the secret.
	Sender string
}

// Read reads the secret. env looks variables up.
func (s Source) Read(ctx context.Context, env func(string) string) (Value, error) {
	v, err := Read(ctx, env, s.Env, s.File)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", s.At, err)
	}
	return v, nil
}

// Read reads a secret from the variable or else from the file, whichever a config
// names. env looks variables up. White space around the secret and a byte order mark are
// not part of it: an editor or a mount adds them. An empty secret is an error, and so is an
// unset variable.
func Read(ctx context.Context, env func(string) string, variable, file string) (Value, error) {
	if variable != "" {
		v := trim(env(variable))
		if v == "" {
			return nil, fmt.Errorf("%s is not set", variable)
		}
		return New(v), nil
	}
	text, err := userfile.Read(ctx, file)
	if err != nil {
		return nil, err
	}
	v := trim(string(text))
	if v == "" {
		return nil, fmt.Errorf("%s is empty", file)
	}
	return New(v), nil
}

// trim returns what an editor has not added to a secret.
func trim(s string) string { return strings.TrimSpace(strings.TrimPrefix(s, "\ufeff")) }

// ReadAll reads all secrets of one sender. check says what is wrong with a secret. One
// from a file is read again each time it is used: see Renewed. If one is missing, the
// sender must not work with the other alone.
func ReadAll(ctx context.Context, env func(string) string, sources []Source, check func(Value) error) (all []Value, err error) {
	for _, s := range sources {
		read := func() (Value, error) {
			v, err := s.Read(ctx, env)
			if err == nil {
				if err = check(v); err != nil {
					err = fmt.Errorf("reading %s: %s%s %w", s.At, s.Env, s.File, err)
				}
			}
			return v, err
		}
		v, err := read()
		if err == nil && s.File != "" {
			v, err = Renewed(read)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

// Separate rejects a secret that two senders have: what one sends would be valid for the
// other. The config cannot see it if the secret is in two variables or files.
func Separate(ctx context.Context, env func(string) string, sources []Source) error {
	type known struct {
		sender string
		value  Value
	}
	var all []known
	for _, s := range sources {
		if s.Sender == "" {
			continue
		}
		v, err := s.Read(ctx, env)
		if err != nil {
			return err
		}
		for _, other := range all {
			if other.sender != s.Sender && other.value.Equal(v) {
				return fmt.Errorf("reading %s: it is the secret of %s, too: each sender needs its own", s.At, other.sender)
			}
		}
		all = append(all, known{s.Sender, v})
	}
	return nil
}

// Missing names every source without a secret.
func Missing(ctx context.Context, env func(string) string, sources []Source) error {
	var missing []error
	for _, s := range sources {
		if _, err := s.Read(ctx, env); err != nil {
			missing = append(missing, err)
		}
	}
	return errors.Join(missing...)
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

// TakeVariables returns a function that looks variables up. It removes those that are
// named from the environment, so that no program that this one starts inherits them. The
// kernel keeps the text that the process began with.
func TakeVariables(names ...string) func(string) string {
	taken := map[string]string{}
	for _, name := range names {
		if value, set := os.LookupEnv(name); set {
			taken[name] = value
			_ = os.Unsetenv(name) // it fails for invalid names only
		}
	}
	return func(name string) string {
		if value, ok := taken[name]; ok {
			return value
		}
		return os.Getenv(name)
	}
}
