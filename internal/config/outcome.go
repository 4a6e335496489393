package config

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"

	"github.com/latchkey-io/latchkey/internal/entry"
)

// Outcome is one sink that outcomes are sent to as CloudEvents: exactly one of
// URL and Notifications is set.
type Outcome struct {
	URL       string // https, or http on loopback
	BearerEnv string // with URL; "": no token is shown

	Notifications *Notifications
}

// Notifications is an API source of IBM Cloud Event Notifications.
type Notifications struct {
	Instance, Region string
	Source           string // the source's ID
}

var checkSource = form(`[A-Za-z0-9][-A-Za-z0-9:._/]{0,299}`,
	"the ID of an API source: letters, digits and -:._/ , at most 300")

// outcomes reads the sinks.
func (d *decoder) outcomes(v value) (sinks []Outcome) {
	places := map[string]int{}
	d.list(v, func(_ int, item value) {
		var s Outcome
		o := d.object(item,
			field{"url", false, func(v value) {
				s.URL = d.secretPlace(v, checkSink)
			}},
			field{"bearerEnv", false, func(v value) { s.BearerEnv = d.secretPlace(v, checkEnv) }},
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
			d.fault(o.at("bearerEnv"), "is for a url only: Event Notifications takes our own identity")
		}
		place := s.URL
		if n := s.Notifications; n != nil {
			place = n.Region + "/" + n.Instance + "/" + n.Source
		}
		if line, twice := places[place]; twice && place != "" {
			d.fault(item, "is the sink of line %d again: each outcome would be sent twice", line)
		}
		places[place] = item.node.Line
		sinks = append(sinks, s)
	})
	return sinks
}

// checkSink is for the URL of a sink. What it says of a bad one repeats
// nothing: people put tokens into URLs.
func checkSink(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "" || len(s) > 2000 || strings.ContainsFunc(s, unprintable):
		return errors.New("must be a URL such as https://events.example.com/latchkey")
	case u.User != nil:
		return errors.New("must not have a user or password in it; bearerEnv names where a token is")
	case u.Fragment != "":
		return errors.New("must not have a fragment (#…)")
	}
	addr, aerr := netip.ParseAddr(u.Hostname())
	loopback := u.Hostname() == "localhost" || (aerr == nil && addr.IsLoopback())
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback) {
		return errors.New("must start with https:// (http:// is for loopback only)")
	}
	return nil
}
