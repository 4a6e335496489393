package iam

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/access"
	"github.com/latchkey-io/latchkey/internal/emulator"
	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
	"github.com/latchkey-io/latchkey/internal/keyless"
	"github.com/latchkey-io/latchkey/internal/marker"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/upstream"
	"github.com/latchkey-io/latchkey/internal/upstream/benttest"
)

// tokenRoute is not in upstream's table, since IBM's authenticator sends it.
const tokenRoute = "POST /identity/token"

// bentIAM is IAM behind a server that bends answers.
type bentIAM struct {
	t       *testing.T
	direct  *world
	id      port.ServiceID
	group   cloud.GroupState
	names   int
	carrier *http.Transport
}

// client is a new client, as a new process has one. It logs in through the bent
// server as well.
func (b *bentIAM) client(at string) *Client {
	c, err := New(Config{
		URL: at, Owner: "test", HTTP: &http.Client{Transport: b.carrier}, Now: b.direct.cloud.Now,
		APIKey: secret.New(b.direct.cloud.Ready().AdminKey), Log: b.direct.cfg.Log,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	c.sleep = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	return c
}

func (b *bentIAM) next() string {
	b.names++
	return fmt.Sprint("cell-", b.names)
}

// key mints a key past the bent server.
func (b *bentIAM) key() port.KeyRecord {
	b.t.Helper()
	for _, k := range b.direct.cloud.State(false).APIKeys { // IAM has a limit of 20
		if k.IAMID == b.id.IAMID {
			_ = b.direct.Retire(b.t.Context(), k.ID)
		}
	}
	m := b.direct.request(b.id)
	k, err := b.direct.Mint(b.t.Context(), m, value(b.t))
	if err != nil {
		b.t.Fatal(err)
	}
	rec, err := b.direct.Get(b.t.Context(), k.ID)
	if err != nil {
		b.t.Fatal(err)
	}
	return rec
}

// TestBentAnswers runs the calls of every route with every bent answer. A call whose
// answer is bent is never taken for done, and never for absence.
func TestBentAnswers(t *testing.T) {
	b := &bentIAM{t: t, carrier: &http.Transport{}}
	t.Cleanup(b.carrier.CloseIdleConnections)
	// The account's owner may widen policies and fill groups.
	server, err := emulator.Start(emulator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b.direct = newWorldOn(t, server, func(c *Config) { c.APIKey = secret.New(server.Ready().AdminKey) })
	b.direct.switches(func(s *emulator.Settings) { s.Switches.ConflictComparesRoles = false }) // so that a policy is widened
	b.id = b.direct.identity("bent")
	if b.group, err = b.direct.cloud.Cloud().AddGroup(cloud.NewGroup{Name: "senders"}); err != nil {
		t.Fatal(err)
	}
	behind, err := url.Parse(b.direct.cloud.URL())
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(behind)
	proxy.Transport = b.carrier
	read := func(name string, do func(ctx context.Context, c *Client) error) benttest.Op {
		return benttest.Op{Name: name, Reads: true, Do: func(ctx context.Context, at string) error { return do(ctx, b.client(at)) }}
	}
	write := func(name string, do func(ctx context.Context, c *Client) error) benttest.Op {
		op := read(name, do)
		op.Reads = false
		return op
	}
	settles := func(route string, op benttest.Op) benttest.Op {
		op.Settles = []string{route}
		return op
	}
	policy := access.Policy{Service: "logs", Roles: []string{"Sender"}}
	if err := errors.Join(b.direct.Grant(t.Context(), b.id.IAMID, policy), b.direct.Join(t.Context(), b.id.IAMID, b.group.ID)); err != nil {
		t.Fatal(err)
	}
	profile, err := b.direct.CreateProfile(t.Context(), "bent", marker.Marker{Owner: "test", Credential: "bent"}.Describe(""))
	if err != nil {
		t.Fatal(err)
	}
	table := benttest.Table{
		Account: cloud.AccountID,
		Route: func(r *http.Request) (string, bool, bool) {
			if r.Method+" "+r.URL.Path == tokenRoute {
				return tokenRoute, false, true
			}
			route, ok := upstream.IAM.Route(r)
			return route.Method + " " + route.Path, route.Empty, ok
		},
		// A login writes nothing.
		Writes: func(r *http.Request) bool { return r.Method != http.MethodGet && r.URL.Path != "/identity/token" },
		Shared: []string{tokenRoute},
		Good:   proxy,
		Ops: []benttest.Op{
			read("Exchange", func(ctx context.Context, c *Client) error {
				_, err := c.Exchange(ctx, secret.New(b.direct.cloud.Ready().APIKey))
				return err
			}),
			settles("GET /v1/apikeys/details", read("Identify", func(ctx context.Context, c *Client) error {
				_, err := c.Identify(ctx, secret.New(b.direct.cloud.Ready().APIKey))
				return err
			})),
			read("Find", func(ctx context.Context, c *Client) error { _, _, err := c.Find(ctx, "bent"); return err }),
			read("MarkedServiceIDs", func(ctx context.Context, c *Client) error { _, err := c.MarkedServiceIDs(ctx); return err }),
			read("Lookup", func(ctx context.Context, c *Client) error { _, err := c.Lookup(ctx, b.id.IAMID); return err }),
			read("List", func(ctx context.Context, c *Client) error { _, err := c.List(ctx, b.id.IAMID, "bent"); return err }),
			read("Marked", func(ctx context.Context, c *Client) error { _, err := c.Marked(ctx, b.id.IAMID, "bent"); return err }),
			read("Granted", func(ctx context.Context, c *Client) error { _, err := c.Granted(ctx, b.id.IAMID); return err }),
			read("Lists", func(ctx context.Context, c *Client) error {
				l := c.Lists()
				if err := l.Read(ctx, []port.Credential{{ServiceIDName: "bent", Policies: []access.Policy{policy}}}); err != nil {
					return err
				}
				_, err := l.Granted(ctx, b.id.IAMID) // IAM is asked if the policies could not be listed
				return err
			}),
			read("AccountKeys", func(ctx context.Context, c *Client) error { _, err := c.AccountKeys(ctx); return err }),
			// A link may be to any resource. A run compares it with the config.
			settles("GET /v1/profiles/*/links", read("FindProfile", func(ctx context.Context, c *Client) error { _, err := c.FindProfile(ctx, "bent"); return err })),
			read("MarkedProfiles", func(ctx context.Context, c *Client) error { _, err := c.MarkedProfiles(ctx); return err }),
			write("CreateProfile", func(ctx context.Context, c *Client) error { _, err := c.CreateProfile(ctx, b.next(), ""); return err }),
			settles("POST /v1/profiles/*/links", write("LinkProfile", func(ctx context.Context, c *Client) error {
				return c.LinkProfile(ctx, profile.ID, keyless.Link{Type: "VSI", CRN: "crn:v1:bluemix:public:is:eu-de:a/" + cloud.AccountID + "::instance:" + b.next()})
			})),
			write("RemoveProfile", func(ctx context.Context, c *Client) error {
				p, err := b.direct.CreateProfile(ctx, b.next(), "")
				if err != nil {
					return err
				}
				return c.RemoveProfile(ctx, p.ID)
			}),
			read("Groups", func(ctx context.Context, c *Client) error { _, err := c.Groups(ctx, b.id.IAMID); return err }),
			read("Grants", func(ctx context.Context, c *Client) error { _, err := c.Grants(ctx, b.id.IAMID); return err }),
			read("Restricted", func(ctx context.Context, c *Client) error { _, err := c.Restricted(ctx); return err }),
			read("Creators", func(ctx context.Context, c *Client) error { _, err := c.Creators(ctx, b.id.IAMID); return err }),
			write("Create", func(ctx context.Context, c *Client) error {
				_, err := c.Create(ctx, b.next(), "a test")
				return err
			}),
			write("Remove", func(ctx context.Context, c *Client) error { return c.Remove(ctx, b.direct.identity(b.next()).ID) }),
			write("Grant", func(ctx context.Context, c *Client) error {
				return c.Grant(ctx, b.direct.identity(b.next()).IAMID, policy)
			}),
			write("Widen a policy", func(ctx context.Context, c *Client) error {
				id := b.direct.identity(b.next())
				if err := b.direct.Grant(ctx, id.IAMID, policy); err != nil {
					return err
				}
				return c.Grant(ctx, id.IAMID, access.Policy{Service: policy.Service, Roles: []string{"Sender", "Viewer"}})
			}),
			write("Delete a policy", func(ctx context.Context, c *Client) error {
				id := b.direct.identity(b.next())
				wide := access.Policy{Service: policy.Service, Roles: []string{"Sender", "Viewer"}}
				if err := b.direct.Grant(ctx, id.IAMID, wide); err != nil {
					return err
				}
				granted, err := b.direct.Granted(ctx, id.IAMID)
				if err != nil || len(granted) != 1 {
					return fmt.Errorf("%d policies: %w", len(granted), err)
				}
				return c.Narrow(ctx, id.IAMID, granted[0], nil)
			}),
			write("Narrow a policy", func(ctx context.Context, c *Client) error {
				id := b.direct.identity(b.next())
				wide := access.Policy{Service: policy.Service, Roles: []string{"Sender", "Viewer"}}
				if err := b.direct.Grant(ctx, id.IAMID, wide); err != nil {
					return err
				}
				granted, err := b.direct.Granted(ctx, id.IAMID)
				if err != nil || len(granted) != 1 {
					return fmt.Errorf("%d policies: %w", len(granted), err)
				}
				return c.Narrow(ctx, id.IAMID, granted[0], []string{"Sender"})
			}),
			write("Join", func(ctx context.Context, c *Client) error { return c.Join(ctx, b.id.IAMID, b.group.ID) }),
			write("Mark", func(ctx context.Context, c *Client) error {
				id := b.direct.identity(b.next())
				return c.Mark(ctx, id, marker.Marker{Owner: "test", Credential: "another"})
			}),
			settles("POST /v1/apikeys", write("Mint", func(ctx context.Context, c *Client) error {
				b.key()
				_, err := c.Mint(ctx, b.direct.request(b.id), value(t))
				return err
			})),
			read("Get", func(ctx context.Context, c *Client) error { _, err := c.Get(ctx, b.key().ID); return err }),
			read("Used", func(ctx context.Context, c *Client) error { _, err := c.Used(ctx, b.key().ID); return err }),
			write("Disable", func(ctx context.Context, c *Client) error { return c.Disable(ctx, b.key().ID) }),
			write("Enable", func(ctx context.Context, c *Client) error { return c.Enable(ctx, b.key().ID) }),
			write("Retire", func(ctx context.Context, c *Client) error { return c.Retire(ctx, b.key().ID) }),
			write("Update", func(ctx context.Context, c *Client) error {
				rec := b.key()
				_, err := c.Update(ctx, rec, port.KeyChange{Expires: rec.Expires.Add(time.Hour)})
				return err
			}),
		},
	}
	for _, r := range upstream.IAM.Routes {
		table.Routes = append(table.Routes, r.Method+" "+r.Path)
	}
	table.Routes = append(table.Routes, tokenRoute)
	table.Run(t)
	if n := len(b.direct.cloud.State(false).APIKeys); n > 40 {
		t.Errorf("%d keys are left", n)
	}
}
