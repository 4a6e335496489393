package emulator

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

// defaultReport is 30 days in hours: what the console calls inactive.
const defaultReport = 720

func (s *Server) createReport(c *call) (answer, error) {
	hours, err := c.number("duration")
	if err != nil {
		return answer{}, err
	}
	reference, err := s.cloud.CreateReport(c.actor, c.path("account"), c.query.Get("type"), cmp.Or(hours, defaultReport))
	if err != nil {
		return answer{}, err
	}
	return answer{status: 202, body: map[string]string{"reference": reference}}, nil
}

func (s *Server) getReport(c *call) (answer, error) {
	r, ready, err := s.cloud.GetReport(c.actor, c.path("account"), c.path("reference"))
	if err != nil {
		return answer{}, err
	}
	if !ready {
		return answer{status: 204}, nil
	}
	list := func(found []cloud.Inactive, view func(cloud.Inactive, map[string]any)) []map[string]any {
		out := []map[string]any{}
		for _, x := range found {
			one := map[string]any{"name": x.Name}
			if !x.LastAuthn.IsZero() {
				one["last_authn"] = cloud.FormatTime(x.LastAuthn)
			}
			view(x, one)
			out = append(out, one)
		}
		return out
	}
	entity := func(x cloud.Inactive, out map[string]any) { out["id"] = x.ID }
	return answer{status: 200, body: map[string]any{
		"created_by": r.CreatedBy, "reference": r.Reference, "report_duration": strconv.Itoa(r.Hours),
		"report_start_time": cloud.FormatTime(r.Start), "report_end_time": cloud.FormatTime(r.End),
		"users": list(r.Users, func(x cloud.Inactive, out map[string]any) {
			out["iam_id"], out["username"], out["email"] = x.ID, x.Name, x.Name
		}),
		"serviceids": list(r.ServiceIDs, entity), "profiles": list(r.Profiles, entity),
		"apikeys": list(r.Keys, func(x cloud.Inactive, out map[string]any) {
			out["id"] = x.ID
			if id, ok := strings.CutPrefix(x.Owner, "iam-"); ok {
				out["type"], out["serviceid"] = "serviceid", map[string]string{"id": id, "name": x.OwnerName}
			} else {
				out["type"], out["user"] = "user", map[string]string{"iam_id": x.Owner}
			}
		}),
	}}, nil
}
