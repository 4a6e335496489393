package main

import (
	"cmp"
	"fmt"
	"log/slog"
)

// logger is a command that logs.
type logger interface {
	logger(env environment, std streams) (*slog.Logger, error)
}

// byHand are the flags of commands that a person runs. Their output has each
// failure, so the log has errors only.
type byHand struct {
	Verbose bool `help:"Log each step to stderr." short:"v"`
}

func (v byHand) logger(_ environment, std streams) (*slog.Logger, error) { //nolint:unparam // unattended commands return one
	switch {
	case !v.Verbose:
		return slog.New(slog.NewJSONHandler(std.err, &slog.HandlerOptions{Level: slog.LevelError})), nil
	case std.watched:
		return slog.New(slog.NewTextHandler(std.err, nil)), nil
	}
	return slog.New(slog.NewJSONHandler(std.err, nil)), nil
}

// unattended are the flags of commands that a platform runs.
type unattended struct {
	LogLevel  string `help:"Least level of log lines: debug, info, warn or error. Default: LATCHKEY_LOG_LEVEL, else info." placeholder:"LEVEL"`
	LogFormat string `help:"Format of log lines: json or text. Default: LATCHKEY_LOG_FORMAT, else json." placeholder:"FORMAT"`
}

func (u unattended) logger(env environment, std streams) (*slog.Logger, error) {
	var level slog.Level
	text := cmp.Or(u.LogLevel, env("LATCHKEY_LOG_LEVEL"), "info")
	if err := level.UnmarshalText([]byte(text)); err != nil {
		return nil, fmt.Errorf("reading the log level %q: it is debug, info, warn or error", text)
	}
	options := &slog.HandlerOptions{Level: level}
	switch format := cmp.Or(u.LogFormat, env("LATCHKEY_LOG_FORMAT"), "json"); format {
	case "json":
		return slog.New(slog.NewJSONHandler(std.err, options)), nil
	case "text":
		return slog.New(slog.NewTextHandler(std.err, options)), nil
	default:
		return nil, fmt.Errorf("reading the log format %q: it is json or text", format)
	}
}
