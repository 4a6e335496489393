package config

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/latchkey-io/latchkey/internal/entry"
	"github.com/latchkey-io/latchkey/internal/format"
)

// Format is how a key stands in a store.
type Format struct {
	// Text is the text of the store's own entry; nil: the key's value alone.
	Text *format.Text
	// Registry is the server of a Code Engine secret of the format registry. The
	// secret has no entries then.
	Registry string
	// More are further entries of the same secret, which are written with the first.
	More []FurtherEntry
}

// FurtherEntry is one further entry.
type FurtherEntry struct {
	Entry string
	Text  *format.Text // nil: the key's value alone
}

type formatTemplate struct {
	at       value
	kind     string
	text     *format.Text // nil: the value alone
	registry string
}

type furtherTemplate struct {
	entry   *template
	written string // the entry, as the config has it
	text    formatTemplate
}

// Words for the formats. Those with an argument are the keys of a mapping.
const (
	formatRaw        = "raw"
	formatJSON       = "json"
	formatDocker     = "dockerconfigjson"
	formatRegistry   = "registry"
	formatEnv        = "env"
	formatProperties = "properties"
	formatJAAS       = "jaas"
	formatTemplateOf = "template"
)

// checkFurther is the rule of any entry. formats applies that of the store's kind.
var checkFurther = form(`[-._A-Za-z0-9]{1,253}`, "an entry of a secret: letters, digits and ._-")

var (
	checkServer   = form(`[A-Za-z0-9]([-A-Za-z0-9.]{0,251}[A-Za-z0-9])?(:[0-9]{1,5})?(/[-A-Za-z0-9._/]{1,255})?`, "the server of a registry, such as de.icr.io")
	checkVariable = form(`[A-Za-z_][A-Za-z0-9_]{0,127}`, "the name of a variable: letters, digits and _, at most 128, no digit first")
)

// format reads the format of an entry.
func (d *decoder) format(v value) (f formatTemplate) {
	f.at = v
	if v.node.Kind == yaml.ScalarNode {
		switch f.kind = d.word(v, oneOf(formatRaw, formatJSON)); f.kind {
		case formatJSON:
			d.formatText(&f, v, format.JSON)
		}
		return f
	}
	line100 := line(100)
	fields := []field{
		{formatDocker, false, func(v value) {
			if server := d.word(v, checkServer); server != "" {
				d.formatText(&f, v, format.DockerConfig(server, format.IBMUser))
			}
		}},
		{formatRegistry, false, func(v value) { f.registry = d.word(v, checkServer) }},
		{formatEnv, false, func(v value) {
			if name := d.word(v, checkVariable); name != "" {
				d.formatText(&f, v, format.Env(name))
			}
		}},
		{formatProperties, false, func(v value) {
			if name := d.word(v, line100); name != "" {
				d.formatText(&f, v, format.Properties(name))
			}
		}},
		{formatJAAS, false, func(v value) {
			if user := d.word(v, line100); user != "" {
				d.formatText(&f, v, format.JAAS(user))
			}
		}},
		{formatTemplateOf, false, func(v value) {
			if source, ok := d.text(v); ok {
				d.formatText(&f, v, source)
			}
		}},
	}
	o := d.object(v, fields...)
	keys := make([]string, len(fields))
	for i := range fields {
		keys[i] = fields[i].key
		if _, ok := o.keys[keys[i]]; ok {
			f.kind = keys[i]
		}
	}
	d.exactlyOne(o, keys...)
	return f
}

// formatText compiles a template. A fault has the line in the template's text.
func (d *decoder) formatText(f *formatTemplate, v value, source string) {
	text, err := format.Parse(source)
	if err == nil {
		f.text = text
		return
	}
	message := err.Error()
	if line, rest, found := strings.Cut(message, ":"); found && v.node.Style == yaml.LiteralStyle {
		if n, err := strconv.Atoi(line); err == nil {
			at := *v.node
			at.Line, at.Column = at.Line+n, 1
			v.node, message = &at, strings.TrimSpace(rest)
		}
	}
	d.fault(v, "the template can't render: %s", message)
}

// entries reads the further entries of a store.
func (d *decoder) entries(v value) (all []furtherTemplate) {
	d.list(v, func(_ int, item value) {
		var more furtherTemplate
		d.object(item,
			field{"entry", true, func(v value) { more.entry, more.written = d.template(v, checkFurther), v.node.Value }},
			field{"format", false, func(v value) { more.text = d.format(v) }},
		)
		all = append(all, more)
	})
	return all
}

// formats checks format and entries of a store, once its kind is known.
func (d *decoder) formats(s *storeTemplate, o object) {
	if s.format.text != nil && !s.format.text.Holds() {
		d.fault(s.format.at, "must contain {{.Value}}, as it is or in base64: latchkey reads the key back from this text")
	}
	d.registry(s)
	if at, ok := o.keys["entries"]; ok {
		d.further(s, at)
	}
	if k := s.kubernetes; k != nil {
		if name, ok := k.entry.literal(); ok && name == entry.DockerConfig && s.format.text == nil {
			d.fault(k.entry.at, "%q needs format: {%s: SERVER}", name, formatDocker)
		}
	}
	if s.file != nil && s.format.text != nil {
		if path, ok := s.file.path.literal(); ok {
			if err := entry.CheckFile(path + format.Beside); err != nil {
				d.fault(s.file.path.at, "%q with the file beside it %v", path, err)
			}
		}
	}
}

// further checks the further entries, by the rule of the store's kind.
func (d *decoder) further(s *storeTemplate, at value) {
	var check func(string) error
	switch {
	case s.codeEngine != nil, s.secretsManager != nil && s.secretsManager.kind == typeKeyValue:
		check = entry.CheckEntry
	case s.kubernetes != nil:
		check = entry.CheckKubernetesEntry
	case s.vault != nil:
		check = entry.CheckVaultEntry
	default:
		s.entries = nil
		d.fault(at, "needs a store that has several entries: codeEngine, kubernetes, vault, or secretsManager with type kv")
		return
	}
	for _, more := range s.entries {
		if more.entry != nil {
			more.entry.check = check
			d.checkLiteral(more.entry)
		}
		if more.text.kind == formatRegistry {
			d.fault(more.text.at, "registry is the format of a whole secret, not of an entry")
		}
	}
}

// registry checks a store with the format registry, which has no entry of its own.
func (d *decoder) registry(s *storeTemplate) {
	c := s.codeEngine
	switch {
	case s.format.kind == formatRegistry && (c == nil || len(s.entries) > 0):
		d.fault(s.format.at, "registry is the format of a codeEngine secret without further entries")
	case c == nil:
	case s.format.kind == formatRegistry && c.entry != nil:
		d.fault(c.entry.at, "cannot be combined with the format registry: the secret has no other entry")
	case s.format.kind == formatRegistry:
		c.entry = fixed(c.at, registryEntry)
	case c.entry == nil && c.at.node.Kind == yaml.MappingNode && d.probed == nil:
		d.fault(value{node: c.at.node, path: join(c.at.path, "entry")}, "is missing")
	}
}

// registryEntry is the entry of a secret of the format registry that holds the key.
const registryEntry = "password"

// texts returns all formats of the store.
func (s storeTemplate) texts() []formatTemplate {
	all := []formatTemplate{s.format}
	for _, more := range s.entries {
		all = append(all, more.text)
	}
	return all
}

// each returns the store once per entry, as if each had that entry only.
func (s storeTemplate) each() []storeTemplate {
	all := []storeTemplate{s}
	for _, more := range s.entries {
		one := s
		switch {
		case more.entry == nil: // has a fault already
			continue
		case s.codeEngine != nil:
			c := *s.codeEngine
			c.entry, one.codeEngine = more.entry, &c
		case s.secretsManager != nil:
			c := *s.secretsManager
			c.entry, one.secretsManager = more.entry, &c
		case s.kubernetes != nil:
			c := *s.kubernetes
			c.entry, one.kubernetes = more.entry, &c
		case s.vault != nil:
			c := *s.vault
			c.entry, one.vault = more.entry, &c
		}
		one.at = more.entry.at
		all = append(all, one)
	}
	return all
}

// checkFormats rejects templates that read what the credential does not have.
func (d *decoder) checkFormats(c *Config, e *entryDraft) {
	for _, s := range e.stores {
		for _, f := range s.texts() {
			if c.Account == "" && f.text.Reads("Account") {
				d.fault(f.at, "reads .Account, so the config needs account at its top")
			}
			if e.ForEach == "" && f.text.Reads("Project") {
				d.fault(f.at, "reads .Project, which only a credential with forEach has")
			}
		}
	}
}

// format returns the format of a store.
func (x *expansion) format(t storeTemplate) Format {
	out := Format{Text: t.format.text, Registry: t.format.registry}
	for _, more := range t.entries {
		out.More = append(out.More, FurtherEntry{Entry: x.text(more.entry), Text: more.text.text})
	}
	return out
}

// withEntry returns the store as if it had one other entry only.
func (s Store) withEntry(name string) Store {
	switch {
	case s.CodeEngine != nil:
		c := *s.CodeEngine
		c.Entry, s.CodeEngine = name, &c
	case s.SecretsManager != nil:
		c := *s.SecretsManager
		c.Entry, s.SecretsManager = name, &c
	case s.Kubernetes != nil:
		c := *s.Kubernetes
		c.Entry, s.Kubernetes = name, &c
	case s.Vault != nil:
		c := *s.Vault
		c.Entry, s.Vault = name, &c
	}
	return s
}

// locations returns the location of each entry of a store.
func locations(s Store, project *Project) []string {
	all := []string{location(s, project)}
	for _, more := range s.Format.More {
		all = append(all, location(s.withEntry(more.Entry), project))
	}
	return all
}

// formats returns a sentence for each store of the entry whose key is not its value
// alone.
func (e *Entry) formats() (sentences []string) {
	for i, s := range e.stores {
		var parts []string
		if s.format.kind != "" && s.format.kind != formatRaw {
			parts = append(parts, "as "+s.format.kind)
		}
		for _, more := range s.entries {
			parts = append(parts, fmt.Sprintf("with entry %s as %s", more.written, cmp.Or(more.text.kind, formatRaw)))
		}
		if len(parts) > 0 {
			sentences = append(sentences, fmt.Sprintf("stores[%d] %s", i, strings.Join(parts, ", ")))
		}
	}
	return sentences
}
