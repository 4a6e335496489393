package cli

import (
	"cmp"
	"fmt"
	"log/slog"
)

// Logger is a command that logs.
type Logger interface {
	Logger(env func(string) string, std Streams) (*slog.Logger, error)
}

// ByHand are the flags of commands that a person runs. Their output has each
// failure, so the log has errors only.
type ByHand struct {
	Verbose bool `help:"Log each step to stderr." short:"v"`
}

// Logger satisfies Logger.
func (v ByHand) Logger(_ func(string) string, std Streams) (*slog.Logger, error) {
	switch {
	case !v.Verbose:
		return slog.New(slog.NewJSONHandler(std.Err, &slog.HandlerOptions{Level: slog.LevelError})), nil
	case std.Watched:
		return slog.New(slog.NewTextHandler(std.Err, nil)), nil
	}
	return slog.New(slog.NewJSONHandler(std.Err, nil)), nil
}

// Unattended are the flags of commands that a platform runs.
type Unattended struct {
	LogLevel  string `help:"Least level of log lines: debug, info, warn or error. Default: LATCHKEY_LOG_LEVEL, else info." placeholder:"LEVEL"`
	LogFormat string `help:"Format of log lines: json or text. Default: LATCHKEY_LOG_FORMAT, else json." placeholder:"FORMAT"`
}

// Logger satisfies Logger.
func (u Unattended) Logger(env func(string) string, std Streams) (*slog.Logger, error) {
	var level slog.Level
	text := cmp.Or(u.LogLevel, env("LATCHKEY_LOG_LEVEL"), "info")
	if err := level.UnmarshalText([]byte(text)); err != nil {
		return nil, fmt.Errorf("reading the log level %q: it is debug, info, warn or error", text)
	}
	options := &slog.HandlerOptions{Level: level}
	switch format := cmp.Or(u.LogFormat, env("LATCHKEY_LOG_FORMAT"), "json"); format {
	case "json":
		return slog.New(slog.NewJSONHandler(std.Err, options)), nil
	case "text":
		return slog.New(slog.NewTextHandler(std.Err, options)), nil
	default:
		return nil, fmt.Errorf("reading the log format %q: it is json or text", format)
	}
}
