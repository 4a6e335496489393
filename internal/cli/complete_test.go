package cli_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/latchkey-io/latchkey/internal/cli"
)

type completed struct {
	Status struct {
		cli.Format
		Config      string   `help:"."`
		Credentials []string `arg:"" optional:""`
	} `cmd:""`
	Rotate struct {
		cli.Demand
		Config     string `help:"."`
		Credential string `arg:""`
	} `cmd:""`
	Completion struct {
		Shell string `arg:"" enum:"bash,zsh,fish"`
	} `cmd:""`
	Secret struct{} `cmd:"" hidden:""`
	Help   struct {
		Command []string `arg:"" optional:""`
	} `cmd:""`
}

func TestACommandLineIsCompleted(t *testing.T) {
	parser, err := kong.New(&completed{})
	if err != nil {
		t.Fatal(err)
	}
	c := cli.Completer{Model: parser.Model, Credentials: func(config string) []string {
		if config == "other.yaml" {
			return []string{"audit"}
		}
		return []string{"logs-sender", "billing"}
	}}
	for line, want := range map[string]string{
		"":                                    "status rotate completion help",
		"s":                                   "status",
		"st":                                  "status",
		"nothing":                             "",
		"status --o":                          "--output",
		"status --output ":                    "table wide json yaml",
		"status -o j":                         "json",
		"status ":                             "logs-sender billing",
		"status l":                            "logs-sender",
		"status logs-sender ":                 "logs-sender billing",
		"status --json b":                     "billing",
		"status --config ":                    "",
		"status --config other.yaml ":         "audit",
		"status --config=other.yaml ":         "audit",
		"status -o json --config other.yaml ": "audit",
		"rotate --no":                         "--no-wait",
		"rotate logs-sender ":                 "",
		"completion z":                        "zsh",
		"help r":                              "rotate",
		"--h":                                 "--help",
	} {
		words := strings.Split(line, " ")
		if got := c.Complete(words); !slices.Equal(got, strings.Fields(want)) {
			t.Errorf("%q: %v, want %q", line, got, want)
		}
	}
}
