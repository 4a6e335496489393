package cloud

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
)

// GivenProject is a project with an ID that the caller chooses, as a suite with
// fixed IDs needs. An empty ID is generated.
type GivenProject struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Region string `json:"region"` // "" = eu-de
	// Example adds the resources that the examples of IBM's SDK expect to find.
	Example bool `json:"example"`
}

var projectIDForm = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// GiveProject adds a project that is active at once, without checking policies
// or quotas.
func (c *Cloud) GiveProject(n GivenProject) (Project, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.purgeProjects()
	n.Region = cmp.Or(n.Region, "eu-de")
	switch {
	case n.ID != "" && !projectIDForm.MatchString(n.ID):
		return Project{}, fmt.Errorf("adding a project: id %q is not a UUID in lower case", n.ID)
	case !projectName.MatchString(n.Name):
		return Project{}, fmt.Errorf("adding a project: name %q is not valid", n.Name)
	case c.projects[n.ID] != nil:
		return Project{}, fmt.Errorf("adding a project: id %q exists", n.ID)
	case slices.ContainsFunc(c.projectOrder, func(p *project) bool { return p.Name == n.Name && p.Region == n.Region }):
		return Project{}, fmt.Errorf("adding a project: name %q exists in %s", n.Name, n.Region)
	}
	p := c.putProjectAs(NewProject{Name: n.Name, Region: n.Region}, cmp.Or(n.ID, c.uuid()))
	p.readyAt = p.CreatedAt
	if n.Example {
		c.addExample(p)
	}
	c.changed(Owner(), p, ProjectCreated, true)
	return c.view(p), nil
}
