package cli_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/cli"
)

// doCommand takes what commands take.
type doCommand struct {
	File   string `default:"default"`
	Names  []string
	Events []string `sep:"none"`
	Wait   time.Duration
	Yes    bool
	Things []string `arg:"" optional:""`
}

// Run prints that it ran.
func (doCommand) Run(std cli.Streams) error {
	_, err := io.WriteString(std.Out, "ran")
	return err
}

func TestWhatIsGivenWithoutATextIsRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		says string // "" if the command runs
	}{
		"nothing is given":              {nil, ""},
		"all has a text":                {[]string{"--file", "a", "--names", "a,b", "--events", "a", "--wait", "0s", "--yes", "b"}, ""},
		"a flag is empty":               {[]string{"--file", ""}, "--file is empty"},
		"a flag is empty behind =":      {[]string{"--file="}, "--file is empty"},
		"a list is empty":               {[]string{"--names", ""}, "--names is empty"},
		"one of a list is empty":        {[]string{"--names", "a,,b"}, "--names is empty"},
		"one of repeated ones is empty": {[]string{"--events", "a", "--events", "", "--events", "b"}, "--events is empty"},
		"an argument is empty":          {[]string{"a", ""}, "<things> is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errs strings.Builder
			env := func(string) string { return "" }
			std := cli.NewStreams(env, nil, &out, &errs, func() {})
			code := cli.Run(t.Context(), cli.Program{
				Name: "program", Exit: cli.Exit,
				Commands: func(string) any {
					return &struct {
						Do doCommand `cmd:""`
					}{}
				},
			}, append([]string{"do"}, tc.args...), env, std)
			switch {
			case tc.says == "" && (code != cli.ExitOK || out.String() != "ran"):
				t.Errorf("exit %d, %q, %q", code, &out, &errs)
			case tc.says != "" && (code != cli.ExitError || out.Len() > 0 || !strings.HasPrefix(errs.String(), "program: "+tc.says+"\n")):
				t.Errorf("exit %d, %q, %q, want %q", code, &out, &errs, tc.says)
			}
		})
	}
}
