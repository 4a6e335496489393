package format

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"iter"
	"regexp"
	"slices"
	"strings"
	"sync"
	"text/template"
	"text/template/parse"

	"github.com/latchkey-io/latchkey/internal/secret"
)

// data is what a template sees. The names are part of the config's contract.
type data struct {
	Value      string // the key's value
	ID         string // the key's ID
	IAMID      string
	ServiceID  string
	Account    string
	Owner      string
	Credential string
	Created    string // RFC 3339
	Expires    string // RFC 3339; the end of the full lifetime
	Project    Project
}

// fields are the fields of data that a template may read.
var fields = []string{
	"Value", "ID", "IAMID", "ServiceID", "Account", "Owner", "Credential", "Created", "Expires",
	"Project.ID", "Project.Name", "Project.Region",
}

// functions are all that a template may call.
var functions = template.FuncMap{
	"base64": base64Text, "env": envText, "jaas": jaasText, "json": jsonText, "print": printText, "properties": propertiesText,
}

// Text is the template of one entry. A nil Text is the value alone.
type Text struct {
	template *template.Template
	reads    []string
}

// longest is the maximum length of a rendered text.
const longest = 64 << 10

// probe has the form of a key's value.
const probe = "latchkeyProbe-0123456789_abcdefghijklmnopqrs"

// Parse reads a template. It accepts fixed text, the fields and functions of this
// package, if and else. An error has the template's line, counted from 1.
func Parse(source string) (*Text, error) {
	parsed, err := template.New("format").Funcs(functions).Parse(source)
	if err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "template: format:"))
	}
	t := &Text{template: parsed}
	if len(parsed.Templates()) > 1 || parsed.Tree == nil {
		return nil, errors.New("1: it defines templates; only one is allowed")
	}
	if err := t.check(parsed.Root); err != nil {
		return nil, err
	}
	if _, err := t.render(sample, secret.New(probe)); err != nil {
		return nil, err
	}
	return t, nil
}

// sample has the facts of no key.
var sample = data{
	ID: "ApiKey-sample", IAMID: "iam-ServiceId-sample", ServiceID: "ServiceId-sample", Account: "account", Owner: "owner",
	Credential: "credential", Created: "2026-01-01T00:00:00Z", Expires: "2026-04-01T00:00:00Z",
	Project: Project{ID: "id", Name: "name", Region: "eu-de"},
}

// Holds reports whether the key's value can be read from the rendered text.
func (t *Text) Holds() bool {
	stored, err := t.render(sample, secret.New(probe))
	if err != nil {
		return false
	}
	for v := range t.values(sample, stored) {
		if v.Equal(secret.New(probe)) {
			return true
		}
	}
	return false
}

// Reads reports whether the template reads a field, such as Account or Project.
func (t *Text) Reads(field string) bool {
	return t != nil && slices.ContainsFunc(t.reads, func(read string) bool {
		return read == field || strings.HasPrefix(read, field+".")
	})
}

// check walks the template and rejects what is not allowed.
func (t *Text) check(n parse.Node) error {
	switch n := n.(type) {
	case nil, *parse.TextNode, *parse.CommentNode, *parse.DotNode, *parse.StringNode:
		if _, dot := n.(*parse.DotNode); dot {
			return t.fault(n, "reads . as a whole; read one field")
		}
		return nil
	case *parse.ListNode:
		if n == nil {
			return nil
		}
		return t.checkAll(nodes(n.Nodes))
	case *parse.ActionNode:
		return t.check(n.Pipe)
	case *parse.IfNode:
		return t.checkAll([]parse.Node{n.Pipe, n.List, list(n.ElseList)})
	case *parse.PipeNode:
		if len(n.Decl) > 0 {
			return t.fault(n, "declares a variable")
		}
		return t.checkAll(nodes(n.Cmds))
	case *parse.CommandNode:
		return t.checkAll(nodes(n.Args))
	case *parse.FieldNode:
		name := strings.Join(n.Ident, ".")
		if !slices.Contains(fields, name) {
			return t.fault(n, "reads .%s; known are .%s", name, strings.Join(fields, ", ."))
		}
		t.reads = append(t.reads, name)
		return nil
	case *parse.IdentifierNode:
		if functions[n.Ident] == nil {
			return t.fault(n, "calls %s; known are base64, env, jaas, json, print and properties", n.Ident)
		}
		return nil
	}
	return t.fault(n, "has an action that is not allowed; use fields, functions, if and else")
}

func (t *Text) checkAll(all []parse.Node) error {
	for _, n := range all {
		if err := t.check(n); err != nil {
			return err
		}
	}
	return nil
}

func nodes[N parse.Node](of []N) (all []parse.Node) {
	for _, n := range of {
		all = append(all, n)
	}
	return all
}

// list returns nil for a list that is absent.
func list(n *parse.ListNode) parse.Node {
	if n == nil {
		return nil
	}
	return n
}

// fault returns an error with the line of a node.
func (t *Text) fault(n parse.Node, format string, args ...any) error {
	where, _ := t.template.ErrorContext(n)
	line, _, _ := strings.Cut(strings.TrimPrefix(where, "format:"), ":")
	return fmt.Errorf("%s: %s", line, fmt.Sprintf(format, args...))
}

// errRender means that a template failed. Its text has nothing of the key's.
var errRender = errors.New("the template fails or yields more than 64 KiB")

// render returns the text of a key. Its error never contains the value.
func (t *Text) render(d data, v secret.Value) (secret.Value, error) {
	if t == nil {
		return v, nil
	}
	d.Value = v.Expose()
	b := bounded{left: longest}
	if err := t.template.Execute(&b, d); err != nil {
		return nil, errRender
	}
	return secret.New(b.text.String()), nil
}

// bounded is a writer with a limit.
type bounded struct {
	text bytes.Buffer
	left int
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, io.ErrShortWrite
	}
	return b.text.Write(p)
}

// values yields what may be the key's value in a stored text. It renders the template
// with a probe, which shows what stands before the value: in the text, or in a part of
// it that is coded in base64.
func (t *Text) values(d data, stored secret.Value) iter.Seq[secret.Value] {
	return func(yield func(secret.Value) bool) {
		if t == nil {
			yield(stored)
			return
		}
		shown, err := t.render(d, secret.New(probe))
		if err != nil {
			return
		}
		model, text := shown.Expose(), stored.Expose()
		if strings.Contains(model, probe) {
			yieldBetween(model, text, yield)
			return
		}
		for _, at := range coded().FindAllStringIndex(model, -1) {
			plain, err := base64.StdEncoding.DecodeString(model[at[0]:at[1]])
			if err != nil || !bytes.Contains(plain, []byte(probe)) || !strings.HasPrefix(text, model[:at[0]]) {
				continue
			}
			if found, err := base64.StdEncoding.DecodeString(coded().FindString(text[at[0]:])); err == nil {
				yieldBetween(string(plain), string(found), yield)
			}
			return
		}
	}
}

// coded matches text in base64.
var coded = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`[A-Za-z0-9+/]{8,}={0,2}`) })

// mostValues is how many candidates are tried.
const mostValues = 8

// yieldBetween yields the parts of text that stand where the probe stands in model: up
// to each place where the text goes on as the model does behind the probe.
func yieldBetween(model, text string, yield func(secret.Value) bool) {
	before, after, _ := strings.Cut(model, probe)
	rest, found := strings.CutPrefix(text, before)
	if !found {
		return
	}
	if len(rest) >= len(probe) && !yield(secret.New(rest[:len(probe)])) {
		return
	}
	if after == "" {
		yield(secret.New(rest))
		return
	}
	end := 0
	for range mostValues {
		i := strings.IndexByte(rest[end:], after[0])
		if i < 0 || !yield(secret.New(rest[:end+i])) {
			return
		}
		end += i + 1
	}
}

// Hidden returns the parts of the texts that no error may quote: the value, the texts,
// and what holds the value in base64.
func Hidden(v secret.Value, texts map[string]secret.Value) []secret.Value {
	hidden := []secret.Value{v}
	for _, t := range texts {
		hidden = append(hidden, t)
		for _, part := range coded().FindAllString(t.Expose(), -1) {
			if plain, err := base64.StdEncoding.DecodeString(part); err == nil && bytes.Contains(plain, []byte(v.Expose())) {
				hidden = append(hidden, secret.New(part))
			}
		}
	}
	return hidden
}
