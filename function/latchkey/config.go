package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/latchkey-io/latchkey/internal/config"
)

// configFile is where a config is looked for when nothing names one.
const configFile = "latchkey.yaml"

// load reads the config: LATCHKEY_CONFIG is the text itself, since a function
// has no mounts; --config or LATCHKEY_CONFIG_FILE names a file; else
// latchkey.yaml in the working directory, then beside the program, where a
// function's bundle has it.
func (p *process) load(file string) (*config.Config, error) {
	if file == "" {
		if text := p.env("LATCHKEY_CONFIG"); text != "" {
			return config.Load("LATCHKEY_CONFIG", []byte(text))
		}
		file = p.env("LATCHKEY_CONFIG_FILE")
	}
	if file != "" {
		return loadFile(file)
	}
	cfg, err := loadFile(configFile)
	if !errors.Is(err, fs.ErrNotExist) {
		return cfg, err
	}
	if self, serr := os.Executable(); serr == nil {
		cfg, berr := loadFile(filepath.Join(filepath.Dir(self), configFile))
		if !errors.Is(berr, fs.ErrNotExist) {
			return cfg, berr
		}
	}
	return nil, fmt.Errorf("finding a config: neither LATCHKEY_CONFIG nor LATCHKEY_CONFIG_FILE is set, --config is not given, and there is no %s", configFile)
}

func loadFile(file string) (*config.Config, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading config: %w", err)
	}
	return config.Load(file, data)
}
