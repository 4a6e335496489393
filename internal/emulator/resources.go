package emulator

import "github.com/latchkey-io/latchkey/internal/emulator/cloud"

// listInstances lists the service instances that the caller may see, on one page.
func (s *Server) listInstances(c *call) (answer, error) {
	list := []object{}
	for _, in := range s.cloud.ServiceInstances(c.actor) {
		list = append(list, object{
			"guid": in.ID, "name": in.Name, "region_id": in.Region, "state": "active", "type": "service_instance",
			"crn": "crn:v1:bluemix:public:" + in.Service + ":" + in.Region + ":a/" + cloud.AccountID + ":" + in.ID + "::",
		})
	}
	return answer{status: 200, body: object{"rows_count": len(list), "next_url": nil, "resources": list}}, nil
}
