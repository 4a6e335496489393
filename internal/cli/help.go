package cli

import (
	"io"

	"github.com/alecthomas/kong"
)

// helpPrinter returns a printer of Kong's help, and of what holds for all commands below
// it. more are further lines about the environment.
func helpPrinter(more string) kong.HelpPrinter {
	return func(options kong.HelpOptions, ctx *kong.Context) error {
		if err := kong.DefaultHelpPrinter(options, ctx); err != nil {
			return err
		}
		text := exitCodesHelp
		if ctx.Selected() == nil {
			text = examplesHelp + environmentHelp + more + secretsHelp + exitCodesHelp
		}
		_, err := io.WriteString(ctx.Stdout, text)
		return err
	}
}

const examplesHelp = `
Examples:
  latchkey validate --config latchkey.yaml   check a config
  latchkey doctor                            check what it needs, from here
  latchkey plan                              print what a sweep would do
  latchkey status -o json                    print each credential's key
  latchkey rotate logs-sender --dry-run      print the steps of a rotation
  latchkey revoke logs-sender --key ApiKey-… end a leaked key, and wait for it
`

const environmentHelp = `
Environment:
  IBMCLOUD_API_KEY        API key of latchkey's login, without identity.profile
  LATCHKEY_CONFIG         the config itself
  LATCHKEY_CONFIG_FILE    the config file, without --config; else latchkey.yaml
  LATCHKEY_TOKEN_FILE     the compute resource token, in another file than usual
  LATCHKEY_LOG_LEVEL      debug, info, warn or error: serve, invoke and job
  LATCHKEY_LOG_FORMAT     json or text: serve, invoke and job
  PORT                    the port of serve, without --listen
  NO_COLOR                no colours on a terminal
  HTTPS_PROXY, NO_PROXY   the proxy to IBM Cloud
`

const secretsHelp = `The config names further variables with secrets. docs/ describes all.
`

const exitCodesHelp = `
Exit codes:
  0   all is well, or done; paused by the config
  1   error; IAM refused the login; output could not be written
  2   something is due
  3   a person must act: blocked, expired, or a leaked key works
  75  not finished, or interrupted: try again
`
