package cloud

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Rollout describes the revisions of an app, in the words of the SDK's AppStatus
// and AppRevisionStatus.
type Rollout struct {
	Status  string `json:"status"` // deploying, failed, ready or warning
	Reason  string `json:"reason"`
	Created string `json:"latest_created_revision"`
	Ready   string `json:"latest_ready_revision,omitempty"` // empty if none was ever ready
	// Revisions are in the order of App.Revisions.
	Revisions []RevisionStatus `json:"revisions"`
	// Next is the play of the next revision, or nil.
	Next *Play `json:"next,omitempty"`
}

// RevisionStatus is the status of a revision.
type RevisionStatus struct {
	Name   string `json:"name"`
	Status string `json:"status"` // failed, loading or ready
	Reason string `json:"reason"`
}

// The plays that a revision can be made to go through.
const (
	PlayFail    = "fail"    // it fails, after Delay
	PlayHold    = "hold"    // it is deploying until PlayRelease
	PlayLag     = "lag"     // it is deploying for Delay
	PlayEvict   = "evict"   // it waits for resources for Delay, or until PlayRelease
	PlayRelease = "release" // it is ready, and so is the next one
)

// Play is what happens to a revision of an app.
type Play struct {
	Kind string `json:"play"`
	// Reason of a failure is one of [FailReasons]. The default is
	// container_failed_exit_code_1.
	Reason string `json:"reason,omitempty"`
	// Delay is the time on the cloud's clock until the play ends; in a failure,
	// until the revision fails.
	Delay time.Duration `json:"-"`
	// Now makes it happen to the newest revision at once instead of to the next
	// one. A release always does.
	Now bool `json:"now,omitempty"`
}

// FailReasons lists the reasons of a failed revision that the SDK knows.
var FailReasons = []string{
	"container_failed_exit_code_0", "container_failed_exit_code_1", "container_failed_exit_code_24", "container_failed_exit_code_139",
	"fetch_image_failed_missing_pull_credentials", "fetch_image_failed_missing_pull_secret", "fetch_image_failed_registry_not_found",
	"fetch_image_failed_unknown_manifest", "fetch_image_failed_unknown_repository", "fetch_image_failed_wrong_pull_credentials",
	"image_pull_back_off", "initial_scale_never_achieved", "invalid_tar_header_image_pull_err",
}

// start is how a revision starts.
type start struct {
	play     Play
	at       time.Time
	wasReady bool // before the play
}

func (p Play) check() error {
	switch p.Kind {
	case PlayFail:
		if p.Reason != "" && !slices.Contains(FailReasons, p.Reason) {
			return fmt.Errorf("reason %q is not one of a failed revision: %s", p.Reason, strings.Join(FailReasons, ", "))
		}
	case PlayLag:
		if p.Delay == 0 {
			return errors.New("play lag needs a delay")
		}
	case PlayHold, PlayEvict, PlayRelease:
	default:
		return fmt.Errorf("unknown play %q: must be fail, hold, lag, evict or release", p.Kind)
	}
	if p.Kind != PlayFail && p.Reason != "" {
		return fmt.Errorf("play %s has no reason", p.Kind)
	}
	if p.Delay != 0 && (p.Kind == PlayHold || p.Kind == PlayRelease) {
		return fmt.Errorf("play %s has no delay", p.Kind)
	}
	if p.Delay < 0 {
		return errors.New("the delay must not be negative")
	}
	return nil
}

// PlayApp makes something happen to a revision of an app, which is given by the
// name or ID of its project and its own name.
func (c *Cloud) PlayApp(projectID, name string, p Play) (App, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := p.check(); err != nil {
		return App{}, err
	}
	i := slices.IndexFunc(c.projectOrder, func(x *project) bool { return x.ID == projectID || x.Name == projectID && !x.deleted })
	if i < 0 {
		return App{}, fmt.Errorf("there is no project %q", projectID)
	}
	x := c.projectOrder[i].apps[name]
	if x == nil {
		return App{}, fmt.Errorf("there is no app %q in the project %s", name, c.projectOrder[i].Name)
	}
	switch {
	case p.Kind == PlayRelease:
		x.next = nil
		delete(x.starts, x.Revision())
	case p.Now:
		c.play(x, p, c.reached(x, x.Revision()))
	default:
		x.next = &p
	}
	return c.viewApp(x), nil
}

// play makes it happen to the newest revision.
func (c *Cloud) play(x *app, p Play, wasReady bool) {
	if x.starts == nil {
		x.starts = map[string]*start{}
	}
	x.starts[x.Revision()] = &start{play: p, at: c.now(), wasReady: wasReady}
}

// reached reports whether a revision is ready or was before its last play.
func (c *Cloud) reached(x *app, name string) bool {
	s := x.starts[name]
	return c.revision(x, name).Status == "ready" || s != nil && s.wasReady
}

// addRevision adds the next revision of an app.
func (c *Cloud) addRevision(x *app) {
	n := 0
	if last := x.Revision(); last != "" {
		n, _ = strconv.Atoi(last[len(last)-5:])
	}
	x.Revisions = append(x.Revisions, fmt.Sprintf("%s-%05d", x.Name, n+1))
	if x.Specs == nil {
		x.Specs = map[string]map[string]any{}
	}
	x.Specs[x.Revision()] = cloneJSON(x.Spec).(map[string]any)
	switch {
	case x.next != nil:
		c.play(x, *x.next, false)
		x.next = nil
	case unreachable(x.Spec):
		c.play(x, Play{Kind: PlayFail, Reason: "fetch_image_failed_registry_not_found"}, false)
	}
}

// unreachable reports whether an image is in a registry that cannot exist: no host is
// below .invalid (RFC 2606).
func unreachable(spec map[string]any) bool {
	image, _ := spec["image_reference"].(string)
	registry, _, _ := strings.Cut(image, "/")
	return strings.HasSuffix(registry, ".invalid")
}

// revision returns the status of one revision now.
func (c *Cloud) revision(x *app, name string) RevisionStatus {
	out := RevisionStatus{Name: name, Status: "ready", Reason: "ready"}
	s := x.starts[name]
	if s == nil {
		return out
	}
	over := s.play.Delay > 0 && !c.now().Before(s.at.Add(s.play.Delay))
	switch {
	case s.play.Kind == PlayFail && (over || s.play.Delay == 0):
		out.Status, out.Reason = "failed", cmp.Or(s.play.Reason, "container_failed_exit_code_1")
	case over:
	case s.play.Kind == PlayEvict:
		out.Status, out.Reason = "loading", "deploying_waiting_for_resources"
	default:
		out.Status, out.Reason = "loading", "deploying"
	}
	return out
}

func (c *Cloud) rollout(x *app) Rollout {
	out := Rollout{Status: "ready", Reason: "ready", Created: x.Revision()}
	if x.next != nil {
		next := *x.next
		out.Next = &next
	}
	for _, name := range x.Revisions {
		out.Revisions = append(out.Revisions, c.revision(x, name))
		if c.reached(x, name) {
			out.Ready = name
		}
	}
	if len(out.Revisions) == 0 {
		return out
	}
	switch newest := out.Revisions[len(out.Revisions)-1]; {
	case newest.Reason == "deploying_waiting_for_resources":
		out.Status, out.Reason = "deploying", "waiting_for_resources"
	case newest.Status == "loading":
		out.Status, out.Reason = "deploying", "deploying"
	case newest.Status == "failed" && out.Ready != "" && out.Ready != newest.Name:
		out.Status, out.Reason = c.switches.FailedRolloutStatus, "ready_but_latest_revision_failed"
	case newest.Status == "failed":
		out.Status, out.Reason = "failed", "no_revision_ready"
	}
	return out
}
