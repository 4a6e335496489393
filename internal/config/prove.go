package config

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/latchkey-io/latchkey/internal/entry"
)

// HTTPProof is one HTTP request with the token of a new key, and the status that it must
// get. Exactly one of URL, Logs, Objects, Topic, Image and Secrets is set.
type HTTPProof struct {
	At           string // its place in prove, such as http[0]
	URL          string // https, with a literal host
	Method, Body string // of URL; Method defaults to GET
	Logs         *LogsProof
	Objects      *ObjectsProof
	Topic        *TopicProof
	Image        *ImageProof
	Secrets      *SecretsProof
	Expect       []int         // default 200; 403 with Deny, or 401 and 403 for a Topic
	Deny         bool          // the key must not be able to do it; default false
	RetryOn      []int         // further statuses that IAM's lag explains
	Wait         time.Duration // for IAM's lag; default 1m, and 5m for a Topic
}

// ObjectsProof is a bucket of Cloud Object Storage, or an object in it.
type ObjectsProof struct {
	Bucket, Region string
	Do             string // list (default), read or write
	Object         string // of read and write
}

// TopicProof is a topic of Event Streams.
type TopicProof struct {
	Server string // the instance's kafka_admin_url or kafka_http_url
	Topic  string
	Do     string // read (default) or write
}

// ImageProof is an image of Container Registry.
type ImageProof struct {
	Host  string // of the registry, such as de.icr.io
	Image string // NAMESPACE/REPOSITORY:TAG
}

// SecretsProof is an instance of Secrets Manager.
type SecretsProof struct{ Instance, Region string }

type proveTemplate struct {
	logs *logsTemplate
	http []*httpTemplate
}

type logsTemplate struct {
	at               value
	instance, region *template
}

type httpTemplate struct {
	at              value
	url, body       *template
	method          string
	logs            *logsTemplate
	objects         *objectsTemplate
	topic           *topicTemplate
	image           *imageTemplate
	secrets         *logsTemplate // the same keys
	expect, retryOn []int
	deny            bool
	wait            time.Duration
}

type objectsTemplate struct {
	bucket, region, object *template
	do                     string
}

type topicTemplate struct {
	server, do string
	topic      *template
}

type imageTemplate struct {
	region string
	image  *template
}

// registries has the host of Container Registry in each region.
var registries = map[string]string{
	"au-syd": "au.icr.io", "br-sao": "br.icr.io", "ca-tor": "ca.icr.io", "eu-de": "de.icr.io", "eu-es": "es.icr.io", "eu-gb": "uk.icr.io",
	"global": "icr.io", "jp-osa": "jp2.icr.io", "jp-tok": "jp.icr.io", "us-south": "us.icr.io",
}

var (
	checkMethod = oneOf(http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete)
	checkBucket = form(`[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]`, "the name of a bucket: 3 to 63 lower-case letters, digits, dots and dashes")
	checkObject = form(`[A-Za-z0-9._-]{1,255}`, "the name of an object without slashes: letters, digits, dots and dashes")
	checkTopic  = form(`[A-Za-z0-9._-]{1,200}`, "the name of a topic: letters, digits, dots, dashes and _")
	checkImage  = form(`[a-z0-9][a-z0-9._-]{1,59}/[a-z0-9][a-z0-9._/-]{0,200}:[A-Za-z0-9._-]{1,128}`, "an image: NAMESPACE/REPOSITORY:TAG")
)

const (
	defaultObject = "latchkey-proof"
	maxProofs     = 20 // each may wait for IAM's lag

	// A run writes for 15 minutes, and has to publish the key after its proofs.
	minWait, maxWait = time.Minute, 10 * time.Minute
	topicWait        = 5 * time.Minute // Event Streams may see a policy some minutes late
)

// checkProofURL checks the URL of a proof.
func checkProofURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme != "https" || u.Hostname() == "" || len(s) > 2000:
		return &entry.RuleError{Must: "an https URL, such as https://api.example.com/v1/things"}
	case u.User != nil:
		return errors.New("must not contain a user or password")
	case u.Fragment != "":
		return errors.New("must not have a part after #")
	case slices.ContainsFunc(strings.Split(u.Path, "/"), func(s string) bool { return s == "." || s == ".." }):
		return errors.New("must not have . or .. in its path")
	}
	return nil
}

func checkBase(s string) error {
	if err := checkProofURL(s); err != nil {
		return err
	}
	if u, _ := url.Parse(s); u.RawQuery != "" || strings.HasSuffix(s, "/") {
		return errors.New("must be an address without a query and without a slash at its end")
	}
	return nil
}

func (d *decoder) prove(v value) proveTemplate {
	var p proveTemplate
	d.object(v,
		field{"token", false, func(v value) {
			// The token proof cannot be turned off, but may be written out.
			if strings.EqualFold(v.node.Value, "false") {
				d.fault(v, "cannot be false: a key that yields no token is never published")
				return
			}
			d.truth(v)
		}},
		field{"logs", false, func(v value) { p.logs = d.instanceIn(v) }},
		field{"http", false, func(v value) {
			d.list(v, func(_ int, item value) { p.http = append(p.http, d.httpProof(item)) })
			switch {
			case v.node.Kind == yaml.SequenceNode && len(v.node.Content) == 0:
				d.fault(v, "is an empty list; it needs at least one")
			case len(p.http) > maxProofs:
				d.fault(v, "has %d proofs; the maximum is %d", len(p.http), maxProofs)
			}
		}},
	)
	return p
}

// instanceIn reads an instance and its region.
func (d *decoder) instanceIn(v value) *logsTemplate {
	l := &logsTemplate{at: v}
	d.object(v,
		field{"instance", true, func(v value) { l.instance = d.template(v, entry.CheckInstance) }},
		field{"region", true, func(v value) { l.region = d.template(v, entry.CheckRegion) }},
	)
	return l
}

func (d *decoder) httpProof(item value) *httpTemplate {
	p := &httpTemplate{at: item, method: http.MethodGet}
	o := d.object(item,
		field{"url", false, func(v value) { p.url = d.template(v, checkProofURL) }},
		field{"method", false, func(v value) { p.method = d.word(v, checkMethod) }},
		field{"body", false, func(v value) { p.body = d.template(v, nil) }},
		field{"logs", false, func(v value) { p.logs = d.instanceIn(v) }},
		field{"cos", false, func(v value) { p.objects = d.objects(v) }},
		field{"eventStreams", false, func(v value) {
			p.topic = &topicTemplate{do: "read"}
			d.object(v,
				field{"server", true, func(v value) { p.topic.server = d.word(v, checkBase) }},
				field{"topic", true, func(v value) { p.topic.topic = d.template(v, checkTopic) }},
				field{"do", false, func(v value) { p.topic.do = d.word(v, oneOf("read", "write")) }},
			)
		}},
		field{"containerRegistry", false, func(v value) {
			p.image = &imageTemplate{}
			d.object(v,
				field{"region", true, func(v value) { p.image.region = d.word(v, oneOf(slices.Sorted(maps.Keys(registries))...)) }},
				field{"image", true, func(v value) { p.image.image = d.template(v, checkImage) }},
			)
		}},
		field{"secretsManager", false, func(v value) { p.secrets = d.instanceIn(v) }},
		field{"expect", false, func(v value) { p.expect = d.statuses(v) }},
		field{"deny", false, func(v value) { p.deny = d.truth(v) }},
		field{"retryOn", false, func(v value) { p.retryOn = d.statuses(v) }},
		field{"wait", false, func(v value) {
			if p.wait = d.duration(v, 0); p.wait != 0 && (p.wait < minWait || p.wait > maxWait) {
				d.fault(v, "%s must be from %s to %s", Days(p.wait), Days(minWait), Days(maxWait))
			}
		}},
	)
	d.exactlyOne(o, "url", "logs", "cos", "eventStreams", "containerRegistry", "secretsManager")
	for _, key := range []string{"method", "body"} {
		if at, ok := o.keys[key]; ok && p.url == nil {
			d.fault(at, "needs url: the other proofs know their %s", key)
		}
	}
	if p.logs != nil && !p.deny {
		d.fault(p.logs.at, "needs deny: true: prove.logs proves that an instance accepts a line")
	}
	if p.body != nil && (p.method == http.MethodGet || p.method == http.MethodHead) {
		d.fault(p.body.at, "needs a method such as POST: a %s has no body", p.method)
	}
	if p.url.varies() && !literalHost(p.url) {
		d.fault(p.url.at, "has an expression in the host: the config determines which servers get a key's token")
	}
	for _, status := range p.expect {
		if slices.Contains(p.retryOn, status) {
			d.fault(o.at("retryOn"), "%d is in expect, too", status)
		}
		if p.deny && status < 400 {
			d.fault(o.at("expect"), "%d is no denial", status)
		}
	}
	return p
}

func (d *decoder) objects(v value) *objectsTemplate {
	c := &objectsTemplate{do: "list"}
	o := d.object(v,
		field{"bucket", true, func(v value) { c.bucket = d.template(v, checkBucket) }},
		field{"region", true, func(v value) { c.region = d.template(v, entry.CheckRegion) }},
		field{"do", false, func(v value) { c.do = d.word(v, oneOf("list", "read", "write")) }},
		field{"object", false, func(v value) { c.object = d.template(v, checkObject) }},
	)
	if at, ok := o.keys["object"]; ok && c.do == "list" {
		d.fault(at, "needs do: read or do: write")
	}
	return c
}

// statuses reads one status, or a list of them.
func (d *decoder) statuses(v value) (all []int) {
	const least, most = 200, 599
	if v.node.Kind != yaml.SequenceNode {
		return []int{d.number(v, least, most)}
	}
	d.list(v, func(_ int, item value) { all = append(all, d.number(item, least, most)) })
	if len(v.node.Content) == 0 {
		d.fault(v, "is an empty list; it needs at least one")
	}
	return all
}

// literalHost reports whether the scheme and the host of a URL are literal.
func literalHost(t *template) bool {
	rest, ok := strings.CutPrefix(t.parts[0].literal, "https://")
	return ok && strings.ContainsAny(rest, "/?")
}

// checkDenials requires a proof of what the key may do beside one of what it must not.
func (d *decoder) checkDenials(p proveTemplate) {
	if p.logs != nil || slices.ContainsFunc(p.http, func(h *httpTemplate) bool { return !h.deny }) {
		return
	}
	for _, h := range p.http {
		d.fault(h.at, "needs a proof of what the key may do beside it: until IAM knows a key, it denies everything")
	}
}

func (x *expansion) prove() Prove {
	var p Prove
	if l := x.entry.prove.logs; l != nil {
		p.Logs = &LogsProof{Instance: x.text(l.instance), Region: x.text(l.region)}
	}
	for i, t := range x.entry.prove.http {
		p.HTTP = append(p.HTTP, x.httpProof(fmt.Sprintf("http[%d]", i), t))
	}
	return p
}

func (x *expansion) httpProof(at string, t *httpTemplate) HTTPProof {
	h := HTTPProof{At: at, Expect: t.expect, Deny: t.deny, RetryOn: t.retryOn, Wait: cmp.Or(t.wait, minWait)}
	if t.topic != nil && t.wait == 0 {
		h.Wait = topicWait
	}
	switch {
	case len(h.Expect) > 0:
	case t.deny && t.topic != nil: // its documents name both for a topic that is not allowed
		h.Expect = []int{http.StatusUnauthorized, http.StatusForbidden}
	case t.deny:
		h.Expect = []int{http.StatusForbidden}
	default:
		h.Expect = []int{http.StatusOK}
	}
	switch {
	case t.url != nil:
		h.URL, h.Method, h.Body = x.plain(t.url, `/?#&=%@:\`), t.method, x.plain(t.body, "\"\\\n\r")
	case t.logs != nil:
		h.Logs = &LogsProof{Instance: x.text(t.logs.instance), Region: x.text(t.logs.region)}
	case t.objects != nil:
		h.Objects = &ObjectsProof{Bucket: x.text(t.objects.bucket), Region: x.text(t.objects.region), Do: t.objects.do, Object: x.text(t.objects.object)}
		if h.Objects.Object == "" {
			h.Objects.Object = defaultObject
		}
	case t.topic != nil:
		h.Topic = &TopicProof{Server: t.topic.server, Topic: x.text(t.topic.topic), Do: t.topic.do}
	case t.image != nil:
		h.Image = &ImageProof{Host: registries[t.image.region], Image: x.text(t.image.image)}
	case t.secrets != nil:
		h.Secrets = &SecretsProof{Instance: x.text(t.secrets.instance), Region: x.text(t.secrets.region)}
	}
	return h
}

// plain evaluates a template. An expression must not add any of the characters, which
// would change what the request is about.
func (x *expansion) plain(t *template, structure string) string {
	s := x.text(t)
	if t == nil || x.err != nil {
		return s
	}
	for _, c := range structure {
		configured := 0
		for _, p := range t.parts {
			configured += strings.Count(p.literal, string(c))
		}
		if strings.Count(s, string(c)) != configured {
			x.fail(t.at, fmt.Errorf("%q has a %q that comes from an expression", shortened(s, maxRepeated), c))
			return s
		}
	}
	return s
}
