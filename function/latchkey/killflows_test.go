package main

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/event/sample"
)

// flow is one thing that the program does, from a start state on.
type flow struct {
	name   string
	places []string // that must all hold the published key at the end
	// begin makes the start state, and says what is asked, nothing being a
	// sweep, and with which credentials in the config.
	begin func(k *killing) (asked *sample.Event, credentials string)
	// down goes wrong while the program is at work, and no longer.
	down func(k *killing) emulator.Fault
	// met says what is missing of what was asked.
	met func(k *killing) string

	restarts        bool // an app in team-a reads its environment only when it starts
	leaks, contains bool // the key of the start is to end
	adopts          bool
	remains         int // service IDs at the end: 0 is one
}

func (f flow) left() int {
	switch f.remains {
	case 0:
		return 1
	case none:
		return 0
	}
	return f.remains
}

const none = -1

const proven = "  prove: {token: true, logs: {instance: 7a1c0e52-3b9d-4f60-8c21-5d9e7b4a6f10, region: eu-de}}\n"

// third is a place in a secret of its own.
const third = "us-south/team-b/third#KEY"

// provenIn is the credential c: proven, and with an app that has to be restarted.
func provenIn(places ...string) string {
	c := strings.Replace(static("c", places...), "  stores:\n", proven+"  stores:\n", 1)
	app := "secret: logs-sender, entry: IAM_API_KEY}\n"
	i := strings.Index(c, "region: eu-de, "+app)
	if i < 0 {
		return c
	}
	i += len("region: eu-de, " + app)
	return c[:i] + "    restart: true\n" + c[i:]
}

// aged passes the time after which a key is due.
func aged(k *killing) { k.cloud.Advance(61 * 24 * time.Hour) }

// posted is an event that is asked.
func posted(e sample.Event) *sample.Event { return &e }

func (k *killing) revocation(contain bool) *sample.Event {
	return posted(sample.Binary("dev.latchkey.revoke", "/tickets/1", k.cloud.Now(), map[string]any{
		"credential": "c", "keyID": k.published(), "containment": contain,
	}))
}

func replaced(k *killing) string {
	if k.published() == k.old {
		return "the old key is published"
	}
	return ""
}

func leakEnded(k *killing) string {
	if key, there := k.cloud.State(false).Key(k.old); there && alive(key, k.cloud.Now()) {
		return "the leaked key works"
	}
	return replaced(k)
}

// thirdIsDown is one of three stores that does not answer.
func thirdIsDown(k *killing) emulator.Fault {
	return emulator.Fault{Path: "/v2/projects/" + k.project("team-b").ID + "/secrets/third", Kind: emulator.FaultStatus, Status: http.StatusServiceUnavailable}
}

func optional(credentials string) string {
	return strings.Replace(credentials, "secret: third, entry: KEY}\n", "secret: third, entry: KEY}\n    required: false\n", 1)
}

var flows = []flow{
	{name: "the first key", places: []string{place2}, restarts: true, begin: func(*killing) (*sample.Event, string) {
		return nil, provenIn(place2)
	}},
	{name: "a key that is due", places: []string{place2}, restarts: true, met: replaced, begin: func(k *killing) (*sample.Event, string) {
		k.inProcess(provenIn(place2))
		aged(k)
		return nil, provenIn(place2)
	}},
	{name: "a demand", places: []string{place2}, restarts: true, met: replaced, begin: func(k *killing) (*sample.Event, string) {
		k.inProcess(provenIn(place2))
		k.cloud.Advance(time.Hour)
		return posted(sample.Rotate("c", k.cloud.Now())), provenIn(place2)
	}},
	{name: "a leak", places: []string{place2, place1}, restarts: true, leaks: true, met: leakEnded, begin: func(k *killing) (*sample.Event, string) {
		c := provenIn(place2, place1)
		k.inProcess(c)
		k.cloud.Advance(time.Hour)
		return k.revocation(false), c
	}},
	{name: "a leak that is contained", places: []string{place2}, restarts: true, contains: true, met: leakEnded, begin: func(k *killing) (*sample.Event, string) {
		k.inProcess(provenIn(place2))
		k.cloud.Advance(time.Hour)
		return k.revocation(true), provenIn(place2)
	}},
	{name: "three stores with one down", places: []string{place2, place1, third}, restarts: true, met: replaced, down: thirdIsDown, begin: func(k *killing) (*sample.Event, string) {
		c := optional(provenIn(place2, place1, third))
		k.inProcess(c)
		aged(k)
		return nil, c
	}},
	{name: "an overlap that starts later", places: []string{place2, third}, restarts: true, begin: func(k *killing) (*sample.Event, string) {
		c := optional(provenIn(place2, third))
		k.inProcess(c)
		k.cloud.Advance(time.Hour)
		k.cloud.Inject(thirdIsDown(k))
		k.post(k.url, sample.Rotate("c", k.cloud.Now()), testToken)
		k.cloud.ClearFaults()
		k.cloud.Advance(20 * time.Minute)
		k.sweep()
		return nil, c
	}},
	{name: "an overlap that is lengthened", places: []string{place2}, restarts: true, begin: func(k *killing) (*sample.Event, string) {
		k.inProcess(provenIn(place2))
		_, value := k.place(k.cloud.State(true), place2)
		k.cloud.Advance(time.Hour)
		k.post(k.url, sample.Rotate("c", k.cloud.Now()), testToken)
		k.cloud.Advance(20 * time.Hour)
		if _, err := k.cloud.Cloud().ExchangeAPIKey(value); err != nil {
			k.t.Fatal(err)
		}
		return nil, provenIn(place2)
	}},
	{name: "the deletion of what has ended", places: []string{place2}, restarts: true, begin: func(k *killing) (*sample.Event, string) {
		k.inProcess(provenIn(place2))
		k.cloud.Advance(time.Hour)
		k.post(k.url, sample.Rotate("c", k.cloud.Now()), testToken)
		k.cloud.Advance(25 * time.Hour)
		return nil, provenIn(place2)
	}},
	{name: "a key that no store took", places: []string{place2}, restarts: true, met: replaced, begin: func(k *killing) (*sample.Event, string) {
		k.inProcess(provenIn(place2))
		k.cloud.Advance(time.Hour)
		e := sample.Rotate("c", k.cloud.Now())
		k.cloud.Inject(emulator.Fault{Method: http.MethodPut, Path: "/v2/projects/*/secrets/*", Kind: emulator.FaultStatus, Status: 500})
		k.post(k.url, e, testToken)
		k.cloud.ClearFaults()
		k.cloud.Advance(20 * time.Minute)
		return posted(e), provenIn(place2)
	}},
	{name: "a repair by copy", places: []string{place2, place1}, restarts: true, begin: func(k *killing) (*sample.Event, string) {
		c := provenIn(place2, place1)
		k.inProcess(c)
		k.cloud.Advance(time.Hour)
		k.cloud.Cloud().RemoveSecret(k.project("team-b").ID, "logs-sender")
		return nil, c
	}},
	{name: "another policy", places: []string{place2}, restarts: true, begin: func(k *killing) (*sample.Event, string) {
		const wide, narrow = "{service: logs, roles: [Sender]}", "{service: logs, roles: [Sender], instance: " + cloud.LogsInstanceID + "}"
		k.inProcess(strings.Replace(provenIn(place2), wide, narrow, 1))
		k.cloud.Advance(time.Hour)
		return nil, strings.Replace(provenIn(place2), wide, narrow+", "+wide, 1)
	}, met: func(k *killing) string {
		state := k.cloud.State(false)
		n := 0
		for _, p := range state.Policies {
			for _, s := range k.ourIDs(state) {
				if strings.Contains(fmt.Sprint(p.Subject), s) {
					n++
				}
			}
		}
		if n != 2 {
			return fmt.Sprintf("there are %d policies, not 2", n)
		}
		return ""
	}},
	{name: "a policy that was taken away, and a key that is due", places: []string{place2}, restarts: true, met: replaced, begin: func(k *killing) (*sample.Event, string) {
		k.inProcess(provenIn(place2))
		aged(k)
		for _, id := range k.ourIDs(k.cloud.State(false)) {
			k.cloud.Cloud().Revoke("iam-"+id, "logs")
		}
		return nil, provenIn(place2)
	}},
	{name: "a demand that a person held up", places: []string{place2, place1}, restarts: true, met: replaced, begin: func(k *killing) (*sample.Event, string) {
		k.inProcess(provenIn(place2, place1))
		k.cloud.Advance(time.Hour)
		k.cloud.Inject(emulator.Fault{Method: http.MethodGet, Path: "/v2/projects/" + k.project("team-b").ID + "/secrets/*", Kind: emulator.FaultStatus, Status: 403})
		if r := k.post(k.url, sample.Rotate("c", k.cloud.Now()), testToken); r.status != http.StatusAccepted {
			k.t.Fatalf("the demand was answered %d", r.status)
		}
		k.cloud.ClearFaults()
		k.cloud.Advance(time.Hour)
		return nil, provenIn(place2, place1)
	}},
	{name: "a key that is taken over", places: []string{"eu-de/team-a/old#KEY", "us-south/team-b/old#KEY"}, adopts: true, remains: none, begin: func(k *killing) (*sample.Event, string) {
		given := k.cloud.Cloud().AddServiceID(cloud.NewServiceID{Name: "old", AccountID: k.cloud.Ready().Account})
		k.cloud.Cloud().Grant(given.IAMID, "logs", "crn:v1:bluemix:public:logs::::serviceRole:Sender")
		key := k.cloud.Cloud().AddAPIKey(cloud.NewAPIKey{IAMID: given.IAMID, AccountID: k.cloud.Ready().Account, Name: "by hand", Description: "made in 2024"})
		k.cloud.Cloud().PutSecret(k.project("team-a").ID, "old", map[string]string{"KEY": key.Value, "OTHER": "kept"})
		return nil, strings.Replace(static("a", k.places...), "serviceID: {name: a, policies: [{service: logs, roles: [Sender]}]}",
			fmt.Sprintf("adopt: %s\n  serviceID: {id: %s, manage: keys}", key.ID, given.ID), 1)
	}},
	{name: "another name of the credential", places: []string{place2}, restarts: true, begin: func(k *killing) (*sample.Event, string) {
		k.inProcess(provenIn(place2))
		k.cloud.Advance(time.Hour)
		return nil, strings.Replace(provenIn(place2), "- name: c\n", "- name: d\n  formerly: [c]\n", 1)
	}},
	{name: "two service IDs of one name", places: []string{place2}, restarts: true, begin: func(k *killing) (*sample.Event, string) {
		for range 2 {
			ownServiceID(k.cloud.Cloud(), cloud.NewServiceID{Name: "c", AccountID: k.cloud.Ready().Account, Description: "[latchkey v=1 owner=example credential=c]"})
		}
		k.cloud.Advance(20 * time.Minute)
		return nil, provenIn(place2)
	}},
	{name: "a project that is gone", remains: 2, begin: func(k *killing) (*sample.Event, string) {
		k.farewell()
		return nil, fmt.Sprintf(perProject, "revoke")
	}},
	{name: "the keys of a project that is gone", remains: 2, begin: func(k *killing) (*sample.Event, string) {
		k.farewell()
		k.sweep()
		k.cloud.Advance(25 * time.Hour)
		return nil, fmt.Sprintf(perProject, "revoke")
	}},
	{name: "the service ID of a project that is gone", remains: 2, begin: func(k *killing) (*sample.Event, string) {
		k.farewell()
		k.sweep()
		k.cloud.Advance(25 * time.Hour)
		k.sweep()
		return nil, fmt.Sprintf(perProject, "revoke")
	}},
}

// farewell removes a project that had a key for good.
func (k *killing) farewell() {
	p := k.cloud.Cloud().AddProject("team-shop", "eu-de")
	k.inProcess(fmt.Sprintf(perProject, "revoke"))
	k.cloud.Advance(time.Hour)
	k.cloud.Cloud().RemoveProject(p.ID)
	k.cloud.Cloud().PurgeProject(p.ID)
}
