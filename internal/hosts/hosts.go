// Package hosts names the hosts of IBM Cloud's services. Adapters call them, and the
// config lists those that it makes latchkey call.
//
// Private selects the host inside IBM's network. Source: the API documents of each service.
package hosts

// Any stands for a part of a host that is not known before latchkey runs.
const Any = "*"

// IAM returns the host of IAM: tokens, service IDs, keys, policies and access groups.
func IAM(private bool) string { return inside(private) + "iam.cloud.ibm.com" }

// ResourceController returns the host that lists service instances.
func ResourceController(private bool) string {
	return inside(private) + "resource-controller.cloud.ibm.com"
}

// CodeEngine returns the host of Code Engine in a region.
func CodeEngine(region string, private bool) string {
	return "api." + inside(private) + region + ".codeengine.cloud.ibm.com"
}

// SecretsManager returns the host of an instance of Secrets Manager.
func SecretsManager(instance, region string, private bool) string {
	return instance + "." + inside(private) + region + ".secrets-manager.appdomain.cloud"
}

// CloudLogs returns the host at which an instance of Cloud Logs takes lines.
func CloudLogs(instance, region string, private bool) string {
	return instance + ".ingress." + inside(private) + region + ".logs.cloud.ibm.com"
}

// EventNotifications returns the host of Event Notifications in a region.
func EventNotifications(region string, private bool) string {
	return inside(private) + region + ".event-notifications.cloud.ibm.com"
}

// ObjectStorage returns the host of Cloud Object Storage in a region.
func ObjectStorage(region string, private bool) string {
	return "s3." + inside(private) + region + ".cloud-object-storage.appdomain.cloud"
}

// ContainerRegistry returns the host at which a registry, such as de.icr.io, is called.
func ContainerRegistry(registry string, private bool) string { return inside(private) + registry }

// inside returns the part of a host that selects IBM's network.
func inside(private bool) string {
	if private {
		return "private."
	}
	return ""
}
