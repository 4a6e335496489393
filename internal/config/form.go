package config

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/latchkey-io/latchkey/internal/entry"
)

// The checks of single values that only the config has; the names that a store
// takes are in package entry. Each is a func(string) error whose text continues
// a sentence that starts with the quoted value. Load applies them to literals and
// Expand to the results of expressions. They keep a project's name or an event's
// parameter from injecting anything into a host name, a path or a marker.

// marker starts latchkey's part of a description.
const marker = "[latchkey"

// form returns a check against a regular expression, which must describes. The
// expression is compiled on first use, since most configs need few of them.
func form(expr, must string) func(string) error {
	re := sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(?:` + expr + `)$`) })
	return func(s string) error {
		if re().MatchString(s) {
			return nil
		}
		return &entry.RuleError{Must: must, Pattern: expr}
	}
}

const (
	lower   = "abcdefghijklmnopqrstuvwxyz"
	upper   = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits  = "0123456789"
	letters = lower + upper
)

// word is form for what almost every config has: text of at most so many characters, each of
// them in inner, the first one in first and the last one in last. To compile an expression that
// counts takes a twentieth of the program's start.
func word(expr, must string, most int, first, inner, last string) func(string) error {
	return func(s string) error {
		if s != "" && len(s) <= most && strings.Trim(s, inner) == "" &&
			strings.IndexByte(first, s[0]) >= 0 && strings.IndexByte(last, s[len(s)-1]) >= 0 {
			return nil
		}
		return &entry.RuleError{Must: must, Pattern: expr}
	}
}

var (
	// A name becomes part of key names and markers, in which / and . are separators.
	checkName = word(`[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?`,
		"a name: lower-case letters, digits and dashes, at most 63, a letter or digit at both ends", 63, lower+digits, "-"+lower+digits, lower+digits)
	checkResourceGroup = word(`[A-Za-z0-9_-]{1,64}`,
		"the ID of a resource group: letters, digits and dashes, not its name with spaces", 64, "_-"+letters+digits, "_-"+letters+digits, "_-"+letters+digits)
	checkAccount = word(`[A-Za-z0-9_-]{1,64}`,
		"an account ID: letters and digits, at most 64", 64, "_-"+letters+digits, "_-"+letters+digits, "_-"+letters+digits)
	checkService = word(`[a-z0-9]([-a-z0-9.]{0,98}[a-z0-9])?`,
		"the name of a service in IAM, such as logs", 100, lower+digits, "-."+lower+digits, lower+digits)
	checkApp = form(`app/[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?`,
		"app/NAME with the name of a Code Engine application")
	// checkConsumer is the rule of any consumer. restarts applies that of the store's kind.
	checkConsumer = form(`(app|daemonset|deployment|statefulset)/[a-z0-9]([-a-z0-9.]*[a-z0-9])?`,
		"app/NAME, or daemonset/NAME, deployment/NAME or statefulset/NAME in a cluster")
	checkParameter = word(`[A-Za-z][A-Za-z0-9_-]{0,62}`,
		"letters, digits, _ and -, at most 63, a letter first", 63, letters, "_-"+letters+digits, "_-"+letters+digits)
	// A credential's name contains these values, separated by dots.
	checkIdentifier = word(`[A-Za-z0-9_-]{1,63}`,
		"letters, digits, _ and -, at least 1 and at most 63", 63, "_-"+letters+digits, "_-"+letters+digits, "_-"+letters+digits)
	checkEnv = word(`[A-Z][A-Z0-9_]{0,127}`,
		"the name of an environment variable in upper case, such as EVENTS_TOKEN", 128, upper, "_"+upper+digits, "_"+upper+digits)
	checkTarget = form(`[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(/[A-Za-z0-9_.-]{1,128})?`,
		"the name of a credential, such as logs-sender or logs-sender/<project ID>")
	checkKeyID = form(`ApiKey-[A-Za-z0-9_-]{1,128}`,
		"the ID of a key, such as ApiKey-…")
	checkOrigin = form(`\*|[A-Za-z0-9]([-A-Za-z0-9.]{0,251}[A-Za-z0-9])?`,
		"the DNS name of a sender, such as events.example.com, or * for all")
)

// line returns a check for one line of printable text of at most the given number
// of characters.
func line(most int) func(string) error {
	return func(s string) error {
		switch {
		case strings.TrimSpace(s) == "":
			return errors.New("must not be empty")
		case s != strings.TrimSpace(s):
			return errors.New("must not start or end with a space or a line break (use >- for a folded text)")
		case !utf8.ValidString(s) || strings.ContainsFunc(s, unprintable):
			return errors.New("must be one line of printable characters")
		case utf8.RuneCountInString(s) > most:
			return fmt.Errorf("must have at most %d characters, not %d", most, utf8.RuneCountInString(s))
		}
		return nil
	}
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }

// maxServiceIDName is how many characters the name of a service ID may have.
const maxServiceIDName = 255

var (
	checkProfile       = line(255)
	checkRole          = line(255)
	checkServiceIDName = withoutMarker(line(maxServiceIDName))
	// IAM accepts 1000 characters; the rest is for the marker and its parameters.
	checkDescription = withoutMarker(line(400))
)

// withoutMarker rejects a value that could forge a marker.
func withoutMarker(check func(string) error) func(string) error {
	return func(s string) error {
		if strings.Contains(strings.ToLower(s), marker) {
			return fmt.Errorf("must not contain %s, which starts latchkey's own marker", marker)
		}
		return check(s)
	}
}

// checkPath checks the path of a file store.
func checkPath(s string) error {
	switch err := line(1024)(s); {
	case err != nil:
		return err
	case strings.HasSuffix(s, "/"):
		return errors.New("must be the path of a file, not of a directory")
	case s != path.Clean(s) || s == "." || s == ".." || strings.HasPrefix(s, "../"):
		return errors.New("must be a path without ., .. and double slashes")
	}
	return entry.CheckFile(s)
}

// checkSecretFile checks the path of a file with a secret. Its error does not repeat the
// value.
func checkSecretFile(s string) error {
	if !path.IsAbs(s) || checkPath(s) != nil {
		return &entry.RuleError{Must: "the absolute path of a file, such as /run/secrets/events-token"}
	}
	return nil
}

// checkPattern checks a pattern of credentials in events.allow.
func checkPattern(s string) error {
	if _, err := path.Match(s, "x"); err != nil || strings.ContainsFunc(s, unprintable) || strings.Count(s, "/") > 1 {
		return &entry.RuleError{Must: "a pattern such as *, logs-sender or logs-sender/*"}
	}
	return nil
}
