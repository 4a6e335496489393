// Package resources lists the service instances of an account, as IBM Cloud's resource
// controller has them.
package resources

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/latchkey-io/latchkey/internal/hosts"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// Config says where the resource controller is.
type Config struct {
	HTTP     *http.Client // logs in
	Endpoint string       // of the emulator; "": IBM Cloud
	Private  bool         // the address inside IBM's network
}

// Instance is a service instance.
type Instance struct{ GUID, Name, Region string }

// mostPages bounds a list of instances, at a hundred a page.
const mostPages = 50

// List returns the active instances of a service, such as logs, that latchkey's login may
// see.
func List(ctx context.Context, cfg Config, service string) (all []Instance, err error) {
	server := upstream.Server{API: upstream.ResourceController, Host: hosts.ResourceController(cfg.Private), Endpoint: cfg.Endpoint, HTTP: cfg.HTTP}.Service()
	doing := "listing the instances of " + service
	query := url.Values{"type": {"service_instance"}, "limit": {"100"}}
	for range mostPages {
		page, err := read(ctx, server.HTTP, doing, server.Base+"/v2/resource_instances?"+query.Encode())
		if err != nil {
			return nil, err
		}
		for _, r := range page.Resources {
			// crn:v1:bluemix:public:SERVICE:REGION:a/ACCOUNT:GUID::
			if parts := strings.Split(r.CRN, ":"); len(parts) > 7 && parts[4] == service && r.State == "active" {
				all = append(all, Instance{GUID: r.GUID, Name: r.Name, Region: r.Region})
			}
		}
		next, err := url.Parse(page.Next)
		if err != nil || next.Query().Get("start") == "" {
			return all, nil //nolint:nilerr // a link that is none ends the list
		}
		query.Set("start", next.Query().Get("start"))
	}
	return all, nil
}

// page is a part of the list.
type page struct {
	Next      string `json:"next_url"`
	Resources []struct {
		GUID   string `json:"guid"`
		Name   string `json:"name"`
		CRN    string `json:"crn"`
		Region string `json:"region_id"`
		State  string `json:"state"`
	} `json:"resources"`
}

func read(ctx context.Context, client *http.Client, doing, at string) (p page, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return p, fmt.Errorf("%s: %w", doing, err)
	}
	req.Header.Set("Accept", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return p, upstream.NoAnswer(ctx, doing, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body) // the transport has read it
	if err != nil {
		return p, upstream.NoAnswer(ctx, doing, err)
	}
	if resp.StatusCode != http.StatusOK {
		return p, upstream.ResourceController.Fault(ctx, doing, "Viewer on the instances", upstream.Answer{Status: resp.StatusCode})
	}
	if err := json.Unmarshal(body, &p); err != nil {
		return p, upstream.NoAnswer(ctx, doing, err)
	}
	return p, nil
}
