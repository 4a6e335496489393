// Package verify finds out on a real account what IBM's documents leave open. It makes a
// service ID, keys and policies of its own, tries calls whose answers are not documented,
// and deletes everything again. What it learns sets the switches of the emulator.
package verify

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Config configures a verification.
type Config struct {
	HTTP    *http.Client // logs in as latchkey
	Plain   *http.Client // does not log in
	IAM     string       // origin
	Account string

	Project Project // "": Code Engine is not tried
	Logs    Logs    // "": Cloud Logs is not tried
	Secrets Secrets // "": Secrets Manager is not tried
	Fill    bool    // fill the project to its limit of secrets

	Now      func() time.Time
	Wait     func(context.Context, time.Duration) error
	Patience time.Duration // how long a change may take to show; default 2m
	Log      io.Writer     // receives a line per step
}

// Project is a Code Engine project in which a secret is made.
type Project struct{ Origin, ID string }

// Logs is a Cloud Logs instance that gets log lines.
type Logs struct{ Origin, Host, Instance string }

// Secrets is the Secrets Manager instance in which groups and secrets are made.
type Secrets struct{ Origin, Host string }

// Report is what a verification found.
type Report struct {
	Account  string            `json:"account"`
	Began    time.Time         `json:"began"`
	Ended    time.Time         `json:"ended"`
	Switches map[string]any    `json:"switches"` // as the emulator takes them
	Lags     []Lag             `json:"lags"`
	Rights   []Right           `json:"rights"`
	Limits   []Limit           `json:"limits"`
	Untried  map[string]string `json:"untried"` // reasons by switch
	Left     []string          `json:"left"`    // what could not be deleted
}

// Lag is how long a change took to show.
type Lag struct {
	Of   string        `json:"of"`
	Took time.Duration `json:"took"`
	Seen bool          `json:"seen"` // false: it did not show in time
}

// Right is something that a key without the right for it tried.
type Right struct {
	Tried   string `json:"tried"`
	Status  int    `json:"status"`
	Refused bool   `json:"refused"`
}

// What a verification makes has a name that starts with prefix. A service ID has the
// description about.
const (
	prefix = "latchkey-verify-"
	about  = "Made by latchkey verify, which deletes it"
)

// life is when a key of a verification expires that was not deleted.
const life = time.Hour

// Errors of a verification.
var (
	// ErrSetup is the error for an account in which nothing could be tried.
	ErrSetup = errors.New("the throw-away service ID could not be made")
	// ErrLeft is the error for things that could not be deleted.
	ErrLeft = errors.New("not everything was deleted")
)

// A bench is one verification under way.
type bench struct {
	Config
	name     string
	report   *Report
	cleanups []cleanup
	id       thing // the service ID
	key      thing
	value    string // of the key
}

type cleanup struct {
	what   string
	delete func(context.Context) error
}

// A thing is a service ID, key or policy.
type thing struct{ ID, IAMID, ETag string }

// Run tries everything, deletes what it made, and reports. It deletes also when the
// context ends or a step fails.
func Run(ctx context.Context, cfg Config) (Report, error) {
	if cfg.Patience == 0 {
		cfg.Patience = 2 * time.Minute
	}
	b := &bench{
		Config: cfg, name: prefix + strings.ToLower(rand.Text()[:8]),
		report: &Report{Account: cfg.Account, Began: cfg.Now().UTC(), Switches: map[string]any{}, Untried: untried()},
	}
	b.removeLeftovers(ctx)
	err := b.try(ctx)
	// What was made must go even if the context has ended.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
	defer cancel()
	for _, c := range slices.Backward(b.cleanups) {
		if failed := c.delete(last); failed != nil {
			b.report.Left = append(b.report.Left, fmt.Sprintf("%s: %v", c.what, failed))
		}
	}
	b.report.Ended = cfg.Now().UTC()
	if len(b.report.Left) > 0 {
		err = errors.Join(err, fmt.Errorf("deleting what was made: %w: %s", ErrLeft, strings.Join(b.report.Left, "; ")))
	}
	return *b.report, err
}

// untried returns why some switches stay guesses. What a probe settles is taken out.
func untried() map[string]string {
	return map[string]string{
		"identityLimitStatus":   "it would take thousands of service IDs",
		"keysNeedAdministrator": "it needs another identity with Operator and Editor only", "subjectNeedsAdministrator": "it needs a service ID of another identity",
		"secretLimitStatus": "it would fill a Secrets Manager instance", "destroyedSecretStatus": "it needs a secret that has expired",
		"busySecretStatus": "it needs a provider of custom credentials", "undeletedCredentialsStatus": "it needs a provider of custom credentials",
		"versionDataDeleteRole": "it needs an identity with each role", "usedRegistrationStatus": "it would change the registration with Event Notifications",
		"inactiveProjectStatus": "it needs a project that is being made", "projectNamesPerRegion": "it needs projects of one name in two regions",
		"linkNameChecked": "it needs a token of a cluster", "leakIgnoresLock": "it needs IBM's scanner",
		"newestRevisionStatus": "it needs an app", "failedRolloutStatus": "it needs an app that fails", "versionlessIsOldest": "it needs an app with variables",
		"notificationTimeChecked": "it needs a source of Event Notifications", "suitePlaceholders": "no service takes what it allows",
	}
}

// settle records what a switch is. A status of success settles no status of refusal: one
// that the switch knows as such is 0.
func (b *bench) settle(name string, value any) {
	if status, ok := value.(int); ok && strings.HasSuffix(name, "Status") && status < 400 && status != 0 {
		b.report.Untried[name] = fmt.Sprintf("the call was not refused: it was answered %d", status)
		return
	}
	delete(b.report.Untried, name)
	b.report.Switches[name] = value
	b.say("%s is %v", name, value)
}

func (b *bench) skip(name, why string) { b.report.Untried[name] = why }

func (b *bench) say(format string, args ...any) { fmt.Fprintf(b.Log, format+"\n", args...) }

func (b *bench) later(what string, remove func(context.Context) error) {
	b.cleanups = append(b.cleanups, cleanup{what, remove})
}

// An answer is what a call was answered.
type answer struct {
	status int
	body   map[string]any
	raw    string
	etag   string
}

func (a answer) text(keys ...string) string {
	var v any = a.body
	for _, k := range keys {
		switch at := v.(type) {
		case map[string]any:
			v = at[k]
		case []any:
			if len(at) == 0 {
				return ""
			}
			first, _ := at[0].(map[string]any)
			v = first[k]
		}
	}
	s, _ := v.(string)
	return s
}

func (a answer) thing() thing {
	etag := a.etag
	if etag == "" {
		etag = a.text("entity_tag")
	}
	return thing{a.text("id"), a.text("iam_id"), etag}
}

// call sends JSON and returns the answer. header has pairs of name and value.
func (b *bench) call(ctx context.Context, client *http.Client, method, at string, body any, header ...string) (answer, error) {
	var in io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return answer{}, fmt.Errorf("encoding a request: %w", err)
		}
		in = strings.NewReader(string(data))
	}
	req, err := http.NewRequestWithContext(ctx, method, at, in)
	if err != nil {
		return answer{}, fmt.Errorf("making a request: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
			continue
		}
		req.Header.Set(header[i], header[i+1])
	}
	return send(client, req)
}

// longest bounds the bytes that are read of an answer.
const longest = 1 << 20

func send(client *http.Client, req *http.Request) (answer, error) {
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, fmt.Errorf("calling %s %s: %w", req.Method, req.URL.Path, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, longest))
	if err != nil {
		return answer{}, fmt.Errorf("reading the answer of %s: %w", req.URL.Path, err)
	}
	a := answer{status: resp.StatusCode, etag: resp.Header.Get("Etag"), raw: string(data)}
	_ = json.Unmarshal(data, &a.body) // some answers have no JSON
	return a, nil
}

// exchange asks for a token of a key.
func (b *bench) exchange(ctx context.Context, value string) (answer, error) {
	form := url.Values{"grant_type": {"urn:ibm:params:oauth:grant-type:apikey"}, "apikey": {value}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.IAM+"/identity/token", strings.NewReader(form.Encode()))
	if err != nil {
		return answer{}, fmt.Errorf("making a request: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return send(b.Plain, req)
}

// A look is a call that is repeated until it shows what is waited for.
type look struct {
	of  string
	try func() (done bool, a answer, err error)
}

// until looks until all is seen, or for as long as patience lasts. It records how long
// each took, and returns the last answer of the first look.
func (b *bench) until(ctx context.Context, looks ...look) (first answer, err error) {
	began, pause := b.Now(), 100*time.Millisecond
	seen := make([]bool, len(looks))
	for {
		for i, l := range looks {
			if seen[i] {
				continue
			}
			done, a, err := l.try()
			if i == 0 {
				first = a
			}
			if err != nil {
				return first, err
			}
			if took := b.Now().Sub(began); done || took > b.Patience {
				seen[i] = true
				b.report.Lags = append(b.report.Lags, Lag{l.of, took, done})
				b.say("%s after %s (seen: %t)", l.of, took.Round(time.Millisecond), done)
			}
		}
		if !slices.Contains(seen, false) {
			return first, nil
		}
		if err := b.Wait(ctx, pause); err != nil {
			return first, fmt.Errorf("waiting until %s: %w", looks[0].of, err)
		}
		pause = min(2*pause, 2*time.Second)
	}
}
