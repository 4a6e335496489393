package codeengine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// Project describes a Code Engine project.
type Project struct {
	ID, Name, Region, ResourceGroup, CRN, Status string
}

// projectObject is a Project in the API's form.
type projectObject struct {
	ID            string `json:"id"`
	Name          string `json:"name"`
	Region        string `json:"region"`
	ResourceGroup string `json:"resource_group_id"`
	CRN           string `json:"crn"`
	Status        string `json:"status"`
}

type projectPage struct {
	page
	Projects []projectObject `json:"projects"`
}

// pageSize is the largest page of Code Engine. maxPages bounds a listing that
// never ends: a region has 20 projects, a project 100 secrets, 40 apps and 120
// revisions, if IBM has not raised its limits.
const (
	pageSize = 100
	maxPages = 20
)

// Projects lists the projects of the regions, in the order of the regions and
// without duplicates. If some regions fail, it returns the projects of the
// others together with the errors.
func (c *Client) Projects(ctx context.Context, regions []string) ([]Project, error) {
	lists := make([][]Project, len(regions))
	faults := make([]error, len(regions))
	var g errgroup.Group
	for i, region := range regions {
		g.Go(func() error {
			lists[i], faults[i] = c.list(ctx, region)
			return nil
		})
	}
	_ = g.Wait() // faults has the errors
	var out []Project
	seen := map[string]bool{}
	for _, p := range slices.Concat(lists...) {
		if !seen[p.ID] {
			seen[p.ID] = true
			out = append(out, p)
		}
	}
	return out, errors.Join(faults...)
}

func (c *Client) list(ctx context.Context, region string) ([]Project, error) {
	var out []Project
	err := pages(ctx, "listing the projects in "+region, c.region(region), upstream.Path("/v2/projects"), func(p projectPage) {
		for _, got := range p.Projects {
			// An endpoint for all regions may ignore the region in the request.
			if got.Region == region {
				out = append(out, Project(got))
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// projectID is the form of a project's ID. Any other text is a name.
var projectID = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`) })

// Project returns the project with this ID or name. It returns ErrNotFound if
// there is none.
func (c *Client) Project(ctx context.Context, region, idOrName string) (Project, error) {
	if projectID().MatchString(idOrName) {
		return c.byID(ctx, region, idOrName)
	}
	return c.byName(ctx, region, idOrName)
}

func (c *Client) byID(ctx context.Context, region, id string) (Project, error) {
	doing := fmt.Sprintf("reading project %s in %s", id, region)
	p, reply, err := upstream.Send[projectObject](ctx, c.region(region), upstream.Request{Method: http.MethodGet, Path: in(id)})
	if err = fault(ctx, doing, reply, err); err != nil {
		return Project{}, err
	}
	if p == nil || p.ID == "" {
		return Project{}, upstream.Incomplete(doing, "project")
	}
	return Project(*p), nil
}

// byName returns the project with this name. It prefers an active one, since a
// deleted project keeps its name for a while. Two active ones may have the name in two
// resource groups: it guesses none.
func (c *Client) byName(ctx context.Context, region, name string) (Project, error) {
	list, err := c.list(ctx, region)
	if err != nil {
		return Project{}, fmt.Errorf("finding project %q: %w", name, err)
	}
	named := slices.DeleteFunc(list, func(p Project) bool { return p.Name != name })
	if len(named) == 0 {
		return Project{}, fmt.Errorf("finding project %q: %w: %s has no project with this name", name, port.ErrNotFound, region)
	}
	usable := slices.DeleteFunc(slices.Clone(named), func(p Project) bool { return p.Status != active })
	switch len(usable) {
	case 0:
		return named[0], nil
	case 1:
		return usable[0], nil
	}
	var ids []string
	for _, p := range usable {
		ids = append(ids, p.ID)
	}
	return Project{}, fmt.Errorf("finding project %q: %w: %s has several projects with this name, so name one by its ID: %s", name, port.ErrRefused, region, strings.Join(ids, ", "))
}

// resolve returns the ID of a project. It looks up a name once. It returns an ID
// unchecked: the calls that use it fail if it is wrong.
func (c *Client) resolve(ctx context.Context, region, idOrName string) (string, error) {
	if projectID().MatchString(idOrName) {
		return idOrName, nil
	}
	at := projectName{region, idOrName}
	c.mu.Lock()
	id := c.ids[at]
	c.mu.Unlock()
	if id != "" {
		return id, nil
	}
	p, err := c.byName(ctx, region, idOrName)
	if errors.Is(err, port.ErrNotFound) {
		return "", fmt.Errorf("project %q: %w: %s has no project with this name", idOrName, port.ErrRefused, region)
	}
	if err != nil {
		return "", err
	}
	if err := p.usable(); err != nil {
		return "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ids[at] = p.ID
	return p.ID, nil
}

// forget drops a project's ID, so that the next use of its name looks it up
// again. The project may have been deleted and created again.
func (c *Client) forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.ids, func(_ projectName, known string) bool { return known == id })
}

// active is the only status in which a project accepts secrets.
const active = "active"

// usable returns an error if the project accepts no secrets. A project that is
// being created becomes active by itself; a deleted, failed or disabled one
// needs a person.
func (p Project) usable() error {
	switch p.Status {
	case active:
		return nil
	case "creating", "preparing":
		return fmt.Errorf("project %q (%s): %w: it is %s", p.Name, p.ID, port.ErrNotActive, p.Status)
	default:
		return fmt.Errorf("project %q (%s): %w: it is %s", p.Name, p.ID, port.ErrRefused, p.Status)
	}
}
