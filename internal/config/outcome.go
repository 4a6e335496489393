package config

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"

	"github.com/latchkey-io/latchkey/internal/entry"
)

// Outcome is one sink that receives outcomes as CloudEvents. Exactly one of URL and
// Notifications is set.
type Outcome struct {
	URL       string // https, or http on loopback
	BearerEnv string // environment variable with the token for URL; "": no token

	Notifications *Notifications
}

// Notifications is an API source of IBM Cloud Event Notifications.
type Notifications struct {
	Instance string // GUID
	Region   string // such as eu-de
	Source   string // the source's ID
}

var checkSource = form(`[A-Za-z0-9][-A-Za-z0-9:._/]{0,299}`,
	"the ID of an API source: letters, digits and -:._/ , at most 300")

// outcomes reads the sinks.
func (d *decoder) outcomes(v value) (sinks []Outcome) {
	lines := map[string]int{}
	d.list(v, func(_ int, item value) {
		var s Outcome
		o := d.object(item,
			field{"url", false, func(v value) {
				s.URL = d.unrepeated(v, checkSink)
			}},
			field{"bearerEnv", false, func(v value) { s.BearerEnv = d.secretSource(v, checkEnv).Env }},
			field{"eventNotifications", false, func(v value) {
				s.Notifications = &Notifications{}
				d.object(v,
					field{"instance", true, func(v value) { s.Notifications.Instance = d.word(v, entry.CheckInstance) }},
					field{"region", true, func(v value) { s.Notifications.Region = d.word(v, entry.CheckRegion) }},
					field{"source", true, func(v value) { s.Notifications.Source = d.word(v, checkSource) }},
				)
			}},
		)
		d.exactlyOne(o, "url", "eventNotifications")
		if s.Notifications != nil && s.BearerEnv != "" {
			d.fault(o.at("bearerEnv"), "is only for a url: for Event Notifications latchkey uses its own identity")
		}
		key := s.URL
		if n := s.Notifications; n != nil {
			key = n.Region + "/" + n.Instance + "/" + n.Source
		}
		if line, twice := lines[key]; twice && key != "" {
			d.fault(item, "repeats the sink on line %d: each outcome would be sent twice", line)
		}
		lines[key] = item.node.Line
		sinks = append(sinks, s)
	})
	return sinks
}

// checkSink checks the URL of a sink. Its errors do not repeat the URL, which may
// contain a token.
func checkSink(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "" || len(s) > 2000 || strings.ContainsFunc(s, unprintable):
		return &entry.RuleError{Must: "a URL such as https://events.example.com/latchkey"}
	case u.User != nil:
		return errors.New("must not have a user or password; name the variable with a token in bearerEnv")
	case u.Fragment != "":
		return errors.New("must not have a fragment (#…)")
	}
	addr, aerr := netip.ParseAddr(u.Hostname())
	loopback := u.Hostname() == "localhost" || (aerr == nil && addr.IsLoopback())
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback) {
		return errors.New("must start with https://; http:// is only for loopback")
	}
	return nil
}
