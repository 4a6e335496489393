package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/userfile"
)

// environment reads a variable of the process; unset is "".
type environment func(string) string

// configFile is the config's file when nothing names one.
const configFile = "latchkey.yaml"

// load reads the config. --config names a file; LATCHKEY_CONFIG holds the text
// itself, since a function has no mounts; LATCHKEY_CONFIG_FILE names a file;
// else it is latchkey.yaml in the working directory, or beside the program,
// where a function's bundle has it.
func load(ctx context.Context, env environment, file string) (*config.Config, error) {
	if file == "" {
		if text := env("LATCHKEY_CONFIG"); text != "" {
			return config.Load("LATCHKEY_CONFIG", []byte(text))
		}
		file = env("LATCHKEY_CONFIG_FILE")
	}
	if file != "" {
		return loadFile(ctx, file)
	}
	cfg, err := loadFile(ctx, configFile)
	if !errors.Is(err, fs.ErrNotExist) {
		return cfg, err
	}
	if self, serr := os.Executable(); serr == nil {
		cfg, berr := loadFile(ctx, filepath.Join(filepath.Dir(self), configFile))
		if !errors.Is(berr, fs.ErrNotExist) {
			return cfg, berr
		}
	}
	return nil, fmt.Errorf("finding a config: neither LATCHKEY_CONFIG nor LATCHKEY_CONFIG_FILE is set, --config is not given, and there is no %s", configFile)
}

func loadFile(ctx context.Context, file string) (*config.Config, error) {
	data, err := userfile.Read(ctx, file)
	if err != nil {
		return nil, fmt.Errorf("reading config: %w", err)
	}
	return config.Load(file, data)
}
