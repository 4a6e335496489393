package cloud

import (
	"cmp"
	"slices"
)

// ServiceInstance is an instance of a service, as the resource controller lists it.
type ServiceInstance struct{ Service, ID, Name, Region string }

// ServiceInstances lists the instances of Cloud Logs and Secrets Manager on which the
// actor has a platform role.
func (c *Cloud) ServiceInstances(a Actor) (list []ServiceInstance) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, in := range c.instances {
		list = append(list, ServiceInstance{serviceLogs, in.ID, "logs-" + in.Region, in.Region})
	}
	for _, in := range c.secretsInstances {
		list = append(list, ServiceInstance{serviceSecrets, in.ID, "secrets-" + in.Region, in.Region})
	}
	list = slices.DeleteFunc(list, func(in ServiceInstance) bool {
		return !c.may(a, target{service: in.Service, instance: in.ID, region: in.Region, group: ResourceGroupID}, "Viewer", "Operator", "Editor", "Administrator")
	})
	slices.SortFunc(list, func(x, y ServiceInstance) int {
		return cmp.Or(cmp.Compare(x.Service, y.Service), cmp.Compare(x.ID, y.ID))
	})
	return list
}
