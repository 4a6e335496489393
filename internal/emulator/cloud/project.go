package cloud

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Project is a Code Engine project.
type Project struct {
	ID              string    `json:"id"`
	Name            string    `json:"name"`
	Region          string    `json:"region"`
	ResourceGroupID string    `json:"resource_group_id"`
	AccountID       string    `json:"account_id"`
	CRN             string    `json:"crn"`
	Status          string    `json:"status"` // creating, active or soft_deleted
	CreatedAt       time.Time `json:"created_at"`
}

type project struct {
	Project
	seq       int64
	readyAt   time.Time
	deleted   bool
	deletedAt time.Time
	secrets   map[string]*Secret
	apps      map[string]*app

	workloads map[workloadKey]*Workload // made with the first workload
	tag       uint64                    // last entity tag; Code Engine uses numbers
}

// NewProject is the request for a project.
type NewProject struct {
	Name            string `json:"name"`
	ResourceGroupID string `json:"resource_group_id"` // "" = the default group
	Region          string `json:"region"`            // "" = eu-de
}

// ListQuery selects a page of a Code Engine list.
type ListQuery struct {
	Limit int    // 0 = 100
	Start string `json:"-"`
}

const (
	projectsPerRegion   = 20
	secretsPerProject   = 100
	appsPerProject      = 40
	revisionsPerProject = 120
)

// restorable is how long a softly deleted project can be restored. It is then
// deleted for good.
const restorable = 7 * 24 * time.Hour

func ceForbidden() *Error {
	return serviceError(403, "forbidden", "You are not authorized to perform this action.")
}

func ceNotFound(kind string) *Error {
	return serviceError(404, "resource_not_found", kind+" not found.")
}

func ceInvalid(format string, args ...any) *Error {
	return serviceError(400, "bad_request", fmt.Sprintf(format, args...))
}

func (c *Cloud) ceQuota(what string, n int) *Error {
	return serviceError(c.switches.QuotaStatus, "quota_exceeded", fmt.Sprintf("The limit of %d %s is reached.", n, what))
}

// ceKnown is [Cloud.known] with Code Engine's error.
func (c *Cloud) ceKnown(a Actor) error {
	c.purgeProjects()
	if !c.alive(a.IAMID) {
		return serviceError(401, "unauthorized", "The access token is missing, invalid or expired.")
	}
	return nil
}

func (c *Cloud) ceIfMatch(ifMatch, tag string) error {
	switch ifMatch {
	case "":
		return serviceError(c.switches.MissingIfMatchStatus, "bad_request", "The header If-Match is required.")
	case "*", tag:
		return nil
	case placeholder:
		if c.switches.SuitePlaceholders {
			return nil
		}
	}
	return serviceError(c.switches.StaleCodeEngineStatus, "resource_conflict", "The resource was changed: If-Match does not name its entity tag.")
}

func (c *Cloud) onProject(a Actor, p *project, roles ...string) bool {
	return c.may(a, target{service: serviceCodeEngine, instance: p.ID, region: p.Region, group: p.ResourceGroupID}, roles...)
}

func (c *Cloud) view(p *project) Project {
	out := p.Project
	switch {
	case p.deleted:
		out.Status = "soft_deleted"
	case c.now().Before(p.readyAt):
		out.Status = "creating"
	default:
		out.Status = "active"
	}
	return out
}

var (
	projectName = regexp.MustCompile(`^([^\x00-\x7F]|[-a-zA-Z0-9._: ]){1,128}$`)
	groupIDForm = regexp.MustCompile(`^[a-z0-9]{1,32}$`)
)

// purgeProjects deletes the projects for good that can no longer be restored.
func (c *Cloud) purgeProjects() {
	now := c.now()
	c.projectOrder = slices.DeleteFunc(c.projectOrder, func(p *project) bool {
		gone := p.deleted && !now.Before(p.deletedAt.Add(restorable))
		if gone {
			delete(c.projects, p.ID)
		}
		return gone
	})
}

// CreateProject creates a project. Its status is creating for
// Settings.ProjectDelay, and always in the answer.
func (c *Cloud) CreateProject(a Actor, n NewProject) (Project, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.ceKnown(a); err != nil {
		return Project{}, err
	}
	n.Region = cmp.Or(n.Region, "eu-de")
	if !c.may(a, target{service: serviceCodeEngine, region: n.Region, group: cmp.Or(n.ResourceGroupID, ResourceGroupID)}, "Editor") {
		return Project{}, ceForbidden()
	}
	if !projectName.MatchString(n.Name) {
		return Project{}, c.ceRefused(ceInvalid("The project name is not valid."))
	}
	if n.ResourceGroupID != "" && !groupIDForm.MatchString(n.ResourceGroupID) {
		return Project{}, c.ceRefused(ceInvalid("resource_group_id is not valid."))
	}
	inRegion := 0
	for _, p := range c.projectOrder {
		if p.Region == n.Region {
			inRegion++
			sameGroup := p.ResourceGroupID == cmp.Or(n.ResourceGroupID, ResourceGroupID)
			if p.Name == n.Name && (sameGroup || c.switches.ProjectNamesPerRegion) {
				return Project{}, serviceError(c.switches.ExistingCodeEngineStatus, "resource_already_exists", "A project of this name exists.")
			}
		}
	}
	if inRegion >= projectsPerRegion {
		return Project{}, c.ceQuota("projects in this region", projectsPerRegion)
	}
	p := c.putProject(n)
	c.changed(a, p, ProjectCreated, false)
	out := c.view(p)
	out.Status = "creating"
	return out, nil
}

// nextProject returns a sequence number that keeps the order of lists when an
// earlier project is purged.
func (c *Cloud) nextProject() int64 {
	if n := len(c.projectOrder); n > 0 {
		return c.projectOrder[n-1].seq + 1
	}
	return 1
}

func (c *Cloud) putProject(n NewProject) *project { return c.putProjectAs(n, c.uuid()) }

func (c *Cloud) putProjectAs(n NewProject, id string) *project {
	now := c.now()
	p := &project{
		Project: Project{
			ID: id, Name: n.Name, Region: cmp.Or(n.Region, "eu-de"), AccountID: AccountID, CreatedAt: now,
			ResourceGroupID: cmp.Or(n.ResourceGroupID, ResourceGroupID),
			CRN:             fmt.Sprintf("crn:v1:bluemix:public:codeengine:%s:a/%s:%s::", cmp.Or(n.Region, "eu-de"), AccountID, id),
		},
		seq: c.nextProject(), readyAt: now.Add(c.settings.ProjectDelay), secrets: map[string]*Secret{}, apps: map[string]*app{},
		tag: 2385407408,
	}
	c.projects[id] = p
	c.projectOrder = append(c.projectOrder, p)
	return p
}

func (p *project) nextTag() string {
	p.tag++
	return strconv.FormatUint(p.tag, 10)
}

// ListProjects returns one page of the projects in a region, or in all regions
// if region is empty. Projects that the identity may not view are left out.
func (c *Cloud) ListProjects(a Actor, region string, q ListQuery) (Page[Project], error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.ceKnown(a); err != nil {
		return Page[Project]{}, err
	}
	var visible []*project
	for _, p := range c.projectOrder {
		if !p.deleted && (region == "" || p.Region == region) && c.onProject(a, p, "Viewer", "Reader") {
			visible = append(visible, p)
		}
	}
	if len(visible) == 0 && !c.may(a, target{service: serviceCodeEngine, region: region, group: ResourceGroupID}, "Viewer", "Reader") {
		return Page[Project]{}, ceForbidden()
	}
	return ceCut(q, visible, func(p *project) string { return fmt.Sprintf("%08d", p.seq) }, c.view)
}

// ceCut takes a page from a slice that is sorted by key. The start token is the
// key of the page's first item.
func ceCut[T, U any](q ListQuery, sorted []T, key func(T) string, view func(T) U) (Page[U], error) {
	limit := cmp.Or(q.Limit, 100)
	if limit < 1 || limit > 100 {
		return Page[U]{}, ceInvalid("limit must be from 1 to 100")
	}
	from := 0
	if q.Start != "" {
		from, _ = slices.BinarySearchFunc(sorted, q.Start, func(v T, start string) int { return strings.Compare(key(v), start) })
	}
	to := min(from+limit, len(sorted))
	page := Page[U]{Limit: limit, Items: make([]U, 0, to-from)}
	for _, v := range sorted[from:to] {
		page.Items = append(page.Items, view(v))
	}
	if to < len(sorted) {
		page.Next = key(sorted[to])
	}
	return page, nil
}

func (c *Cloud) findProject(a Actor, id, region string, roles ...string) (*project, error) {
	if err := c.ceKnown(a); err != nil {
		return nil, err
	}
	p, ok := c.projects[id]
	if !ok || region != "" && p.Region != region {
		return nil, ceNotFound("Project")
	}
	if !c.onProject(a, p, roles...) {
		return nil, ceForbidden()
	}
	return p, nil
}

// activeProject finds a project that is neither deleted nor being created.
func (c *Cloud) activeProject(a Actor, id string, roles ...string) (*project, error) {
	p, err := c.findProject(a, id, "", roles...)
	if err != nil {
		return nil, err
	}
	if status := c.view(p).Status; status != "active" {
		return nil, serviceError(c.switches.InactiveProjectStatus, "project_not_active", "The project is "+status+".")
	}
	c.purgeBuildRuns(p)
	return p, nil
}

// GetProject returns one project. It is not found in another region, unless
// region is empty.
func (c *Cloud) GetProject(a Actor, id, region string) (Project, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.findProject(a, id, region, "Viewer", "Reader")
	if err != nil {
		return Project{}, err
	}
	return c.view(p), nil
}

// DeleteProject deletes a project softly. For seven days it keeps its name and
// can be restored in the console.
func (c *Cloud) DeleteProject(a Actor, id, region string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.findProject(a, id, region, "Editor")
	if err != nil {
		return err
	}
	if !p.deleted {
		p.deleted, p.deletedAt = true, c.now()
		c.changed(a, p, ProjectDeleted, false)
	}
	return nil
}

// The actions of a ProjectChange, as lifecycle events name them.
const (
	ProjectCreated  = "create"
	ProjectRestored = "restore"
	ProjectDeleted  = "delete"
)

// ProjectChange describes the creation, restoration or deletion of a project.
type ProjectChange struct {
	Action  string
	Project Project
	Actor   string // IAM ID
	At      time.Time
	ByHand  bool // in the console, not by an API call
}

func (c *Cloud) changed(a Actor, p *project, action string, byHand bool) {
	if c.notifyProject != nil {
		c.notifyProject(ProjectChange{Action: action, Project: c.view(p), Actor: a.IAMID, At: c.now(), ByHand: byHand})
	}
}
