package upstream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/secret"
)

// Service is one server of an API that speaks JSON.
type Service struct {
	// Base is the beginning of every URL, such as https://iam.cloud.ibm.com.
	Base string
	// HTTP carries the calls. It logs in, and reads each answer completely: see Bound.
	HTTP *http.Client
}

// Request is one call of a Service.
type Request struct {
	Method string
	// Path are the segments of the URL's path. Each is escaped.
	Path []string
	// Slash ends the path with a slash, as IBM's documents show it for some lists.
	Slash bool
	// Query is the URL's query, if any.
	Query url.Values
	// Header are further headers, such as If-Match.
	Header map[string]string
	// Body is sent as JSON. A nil Body sends none.
	Body any
}

// Path returns the segments of a path: those of the text, which has slashes, and ids.
func Path(text string, ids ...string) []string {
	return append(strings.Split(strings.Trim(text, "/"), "/"), ids...)
}

// Reply is what a service answered: its status and headers, and its error.
type Reply struct {
	Status int
	Header http.Header
	body   []byte
}

// errFailed reports that the answer is an error, or can't be read. The Reply tells more.
var errFailed = errors.New("the call failed")

// Send sends a request once and decodes the JSON of a success.
//
// The answer is nil if the success has no content. The reply is nil if there was no answer:
// then NoAnswer has the error's meaning. An answer with another status than a 2xx, or one
// that can't be decoded, is an error with a reply: see API.Judge, which takes all three cases.
func Send[T any](ctx context.Context, s Service, r Request) (answer *T, reply *Reply, err error) {
	if reply, err = s.send(ctx, r); err != nil {
		return nil, reply, err
	}
	if len(bytes.TrimSpace(reply.body)) == 0 {
		return nil, reply, nil
	}
	if err := json.Unmarshal(reply.body, &answer); err != nil {
		return nil, reply, errFailed // the cause may quote the answer
	}
	return answer, reply, nil
}

// Do is Send for a request whose answer is not needed.
func Do(ctx context.Context, s Service, r Request) (*Reply, error) { return s.send(ctx, r) }

func (s Service) send(ctx context.Context, r Request) (*Reply, error) {
	req, err := s.build(ctx, r)
	if err != nil {
		return nil, err
	}
	resp, err := s.HTTP.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := whole(req, resp)
	if err != nil {
		return nil, err
	}
	reply := &Reply{Status: resp.StatusCode, Header: resp.Header, body: body}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return reply, errFailed
	}
	return reply, nil
}

func (s Service) build(ctx context.Context, r Request) (*http.Request, error) {
	at := strings.TrimSuffix(s.Base, "/")
	for _, segment := range r.Path {
		// A server may read such a path as that of another object.
		if slices.Contains([]string{"", ".", ".."}, segment) {
			return nil, Unsent(fmt.Sprintf("a part of the path is %q", segment))
		}
		at += "/" + url.PathEscape(segment)
	}
	if r.Slash {
		at += "/"
	}
	if len(r.Query) > 0 {
		at += "?" + r.Query.Encode()
	}
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = json.Marshal(r.Body); err != nil {
			return nil, Unsent("the body can't be written as JSON")
		}
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, at, bytes.NewReader(body))
	if err != nil {
		return nil, Unsent("the URL is not valid")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "latchkey")
	if r.Body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for name, value := range r.Header {
		req.Header.Set(name, value)
	}
	return req, nil
}

// Judge returns the error of a call by Send or Do, or nil. See Fault for the parameters.
func (p API) Judge(ctx context.Context, doing, needs string, reply *Reply, err error, hidden ...secret.Value) error {
	switch {
	case err == nil:
		return nil
	case reply == nil:
		return NoAnswer(ctx, doing, err)
	}
	return p.Fault(ctx, doing, needs, reply.Answer(), hidden...)
}

// Answer reads the first error in an answer of an IBM service.
func (r *Reply) Answer() Answer {
	a := Answer{Status: r.Status}
	if a.Status < 400 {
		a.Message = "(the answer can't be read)"
		return a
	}
	var said struct {
		Errors []map[string]any `json:"errors"`
	}
	if r.Read(&said); len(said.Errors) == 0 {
		return a
	}
	first := said.Errors[0]
	a.Code, _ = first["code"].(string)
	a.MessageCode, _ = first["message_code"].(string)
	a.Message, _ = first["message"].(string)
	if details, ok := first["details"].(string); ok { // IAM's reason
		a.Message += " (" + details + ")"
	}
	return a
}

// Read decodes the JSON of an answer, as far as it has the form of into.
func (r *Reply) Read(into any) {
	_ = json.Unmarshal(r.body, into) //nolint:errchkjson // what is of another form stays as it is
}

// Time is a time in an answer of an IBM service, in one of the forms that their documents
// and recorded answers show. Null and the empty text are the zero time.
type Time struct{ time.Time }

// timeForms are the forms of Time.
var timeForms = []string{
	time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04Z07:00", "2006-01-02T15:04Z0700", "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly,
}

var errTime = errors.New("reading a time: unknown form")

// UnmarshalJSON satisfies json.Unmarshaler.
func (t *Time) UnmarshalJSON(raw []byte) error {
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return err
	}
	if *t = (Time{}); text == "" {
		return nil
	}
	for _, form := range timeForms {
		if parsed, err := time.Parse(form, text); err == nil {
			t.Time = parsed.UTC()
			return nil
		}
	}
	return errTime
}
