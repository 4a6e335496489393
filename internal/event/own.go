package event

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/latchkey-io/latchkey/internal/protocol"
)

// latchkey's own request types. Types of outcomes are not for us: handling one
// would cause an endless loop. Any other type with the prefix is a mistake.
const (
	typeProvision = typePrefix + "provision"
	typeRotate    = typePrefix + "rotate"
	TypeRevoke    = typePrefix + "revoke" // ends a leaked key
	typeSweep     = typePrefix + "sweep"

	typeDeprovision = typePrefix + "deprovision"

	outcomePrefix = typePrefix + "credential."
)

func (r Reader) own(e Event) (q Request, err error) {
	switch e.Type() {
	case typeProvision:
		q, err = provision(e)
	case typeRotate:
		q, err = r.rotate(e)
	case TypeRevoke:
		q, err = revoke(e)
	case typeDeprovision:
		q, err = deprovision(e)
	case typeSweep:
		q, err = sweep(e)
	default:
		tells, isOutcome := strings.CutPrefix(e.Type(), outcomePrefix)
		if isOutcome && slices.Contains(outcomes, tells) {
			return Request{}, notForUs("type", e.Type())
		}
		kind := e.Type()
		if isOutcome {
			kind = typePrefix + tells
		}
		return Request{}, malformed("type %s is none of latchkey's: %s", quote(e.Type()), suggest(kind))
	}
	q.Sender = SenderOwn
	return q, err
}

// outcomes are the last words of the types of outcome events, which ask for nothing: see
// package outcome.
var outcomes = []string{
	"provisioned", "rotated", "revoked", "repaired", "superseded", "retired", "narrowed", "expiring", "drifted", "keyless",
	"unchanged", "in-progress", "blocked", "unconfigured", "failed",
}

// suggest names the type that is meant, or all of them.
func suggest(kind string) string {
	types := []string{typeProvision, typeRotate, TypeRevoke, typeDeprovision, typeSweep}
	best, least := "", 4
	for _, t := range types {
		if d := distance(strings.ToLower(kind), t); d < least {
			best, least = t, d
		}
	}
	if best == "" {
		return "it has " + strings.Join(types, ", ")
	}
	return "use " + best
}

// distance returns how many characters must be added, removed or replaced to make b
// of a. A long a is far from every type.
func distance(a, b string) int {
	const longest = 64
	if len(a) > longest {
		return longest
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}

// read decodes the data of latchkey's own types into the given fields; null is
// unset. Names are case-sensitive, unlike in encoding/json. An unknown name is an
// error, because ignoring a misspelt demand would weaken it.
func read(e Event, into map[string]any) error {
	if len(e.Data()) == 0 {
		return malformed("%s has no data", e.Type())
	}
	fields, err := object(e.Data())
	if err != nil {
		return malformed("data: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		target, known := into[name]
		if !known {
			return malformed("data has the unknown field %s", quote(name))
		}
		if isNull(fields[name]) {
			continue
		}
		if json.Unmarshal(fields[name], target) != nil {
			return malformed("data.%s is not %s", name, wanted(target))
		}
		// A variable that is not set must not ask for more than one that is.
		text, isText := target.(*string)
		list, isList := target.(*[]string)
		if isText && *text == "" || isList && len(*list) == 0 {
			return malformed("data.%s is empty", name)
		}
	}
	return nil
}

// wanted describes the type of a field.
func wanted(target any) string {
	switch target.(type) {
	case *bool:
		return "true or false"
	case *[]string:
		return "a list of strings"
	case *map[string]*string:
		return "an object of strings"
	}
	return "a string"
}

// checkName checks that a name is short and printable. It is looked up later.
func checkName(field, credential string) error {
	const most = 300
	switch {
	case credential == "":
		return malformed("data.%s is missing", field)
	case len(credential) > most || strings.ContainsFunc(credential, func(r rune) bool { return r == utf8.RuneError || !unicode.IsGraphic(r) }):
		return malformed("data.%s %s is not a name", field, quote(credential))
	}
	return nil
}

// keyID matches an ID that is safe in the path of a call to IAM.
var keyID = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^ApiKey-[A-Za-z0-9_-]{1,128}$`) })

func provision(e Event) (Request, error) {
	var credential string
	var with map[string]*string
	err := read(e, map[string]any{"credential": &credential, "with": &with})
	if err == nil {
		err = checkName("credential", credential)
	}
	if err != nil {
		return Request{}, err
	}
	r := Request{Verb: Provision, Credentials: []string{credential}}
	for _, key := range slices.Sorted(maps.Keys(with)) {
		if with[key] == nil {
			return Request{}, malformed("data.with: %s is null", quote(key))
		}
		if r.With == nil {
			r.With = map[string]string{}
		}
		r.With[key] = *with[key]
	}
	return r, nil
}

// ahead is how far a sender's clock may be ahead of latchkey's. No key can meet
// a demand for one that is newer than the future.
const ahead = 5 * time.Minute

func (r Reader) rotate(e Event) (Request, error) {
	var credential, newerThan, notKey string
	err := read(e, map[string]any{"credential": &credential, "newerThan": &newerThan, "notKey": &notKey})
	if err == nil {
		err = checkName("credential", credential)
	}
	if err != nil {
		return Request{}, err
	}
	t := protocol.Trigger{NewerThan: e.Time(), NotKey: notKey}
	switch {
	case newerThan != "":
		if t.NewerThan, err = parseTime(newerThan); err != nil {
			return Request{}, malformed("data.newerThan %s: %w", quote(newerThan), err)
		}
	case notKey != "":
		t.NewerThan = time.Time{} // any other key meets the demand
	}
	if notKey != "" && !keyID().MatchString(notKey) {
		return Request{}, malformed("data.notKey is not the ID of a key, which begins with ApiKey-")
	}
	if t.NewerThan.IsZero() && t.NotKey == "" {
		t.NewerThan = r.Now()
	}
	if t.NewerThan.After(r.Now().Add(ahead)) {
		return Request{}, malformed("newerThan %s is in the future", t.NewerThan.Format(time.RFC3339))
	}
	return Request{Verb: Rotate, Credentials: []string{credential}, Trigger: t}, nil
}

func revoke(e Event) (Request, error) {
	var credential, key string
	var contain bool
	err := read(e, map[string]any{"credential": &credential, "keyID": &key, "containment": &contain})
	if err == nil {
		err = checkName("credential", credential)
	}
	switch {
	case err != nil:
		return Request{}, err
	case key == "":
		return Request{}, malformed("data.keyID is missing")
	case !keyID().MatchString(key):
		return Request{}, malformed("data.keyID is not the ID of a key, which begins with ApiKey-")
	}
	return Request{Verb: Revoke, Credentials: []string{credential}, KeyID: key, Contain: contain}, nil
}

func deprovision(e Event) (Request, error) {
	var credential string
	var undo, force bool
	err := read(e, map[string]any{"credential": &credential, "undo": &undo, "force": &force})
	if err == nil {
		err = checkName("credential", credential)
	}
	switch {
	case err != nil:
		return Request{}, err
	case undo && force:
		return Request{}, malformed("data.undo and data.force cannot be combined")
	}
	return Request{Verb: Deprovision, Credentials: []string{credential}, Undo: undo, Force: force}, nil
}

func sweep(e Event) (Request, error) {
	var credentials []string
	if len(e.Data()) > 0 {
		if err := read(e, map[string]any{"credentials": &credentials}); err != nil {
			return Request{}, err
		}
	}
	for i, credential := range credentials {
		if err := checkName(fmt.Sprintf("credentials[%d]", i), credential); err != nil {
			return Request{}, err
		}
	}
	return Request{Verb: Look, Credentials: credentials}, nil
}
