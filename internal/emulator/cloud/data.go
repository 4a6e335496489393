package cloud

import (
	"fmt"
	"slices"
)

// The instances of services of which the emulator knows only who may use their data.
const (
	ObjectsInstanceID = "9c4e0d17-2a6b-4f83-8e15-7b3d9a0c5f21"
	StreamsInstanceID = "1b6f5c2e-7d0a-4a57-9c3e-5f2a8e6d4b10"
)

// Uses of data. Each needs one of the roles on its target. Sources:
// cloud.ibm.com/docs/cloud-object-storage (iam) and cloud.ibm.com/docs/EventStreams
// (security).
var (
	listsBucket   = []string{"Reader", "Content Reader"}
	readsObject   = []string{"Reader", "Content Reader", "Object Reader"}
	writesObject  = []string{"Writer", "Object Writer"}
	readsCluster  = []string{"Reader"}
	readsTopic    = []string{"Reader"}
	writesTopic   = []string{"Writer"}
	inspectsImage = []string{"Reader"}
)

func dataDenied(what string) *Error {
	return serviceError(403, "AccessDenied", "Access denied to "+what+".")
}

func (c *Cloud) permitted(a Actor, t target, roles []string) bool {
	t.group = ResourceGroupID
	return slices.ContainsFunc(roles, func(role string) bool { return c.may(a, t, role) })
}

// Object lists a bucket of Cloud Object Storage if object is empty. Otherwise it reads
// the object, or writes it. Every bucket is in one instance.
func (c *Cloud) Object(a Actor, region, bucket, object string, write bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.alive(a.IAMID) {
		return serviceError(401, "AccessDenied", "The access token is missing, invalid or expired.")
	}
	roles := readsObject
	switch {
	case object == "":
		roles = listsBucket
	case write:
		roles = writesObject
	}
	if !c.permitted(a, target{service: serviceObjects, instance: ObjectsInstanceID, region: region, kind: "bucket", id: bucket}, roles) {
		return dataDenied("the bucket " + bucket)
	}
	name := bucket + "/" + object
	if write {
		c.objects[name] = true
	}
	if object != "" && !c.objects[name] {
		return serviceError(404, "NoSuchKey", "The specified key does not exist.")
	}
	return nil
}

// Topic reads the settings of a topic of Event Streams, or writes a record. Each takes
// Reader of the cluster. Every topic is in one instance.
func (c *Cloud) Topic(a Actor, topic string, write bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.alive(a.IAMID) {
		return serviceError(401, "unauthorized", "The access token is missing, invalid or expired.")
	}
	cluster := target{service: serviceStreams, instance: StreamsInstanceID, kind: "cluster", id: StreamsInstanceID}
	if !c.permitted(a, cluster, readsCluster) {
		return dataDenied("the cluster")
	}
	roles := readsTopic
	if write {
		roles = writesTopic
	}
	if !c.permitted(a, target{service: serviceStreams, instance: StreamsInstanceID, kind: "topic", id: topic}, roles) {
		return dataDenied("the topic " + topic)
	}
	return nil
}

// Image inspects an image of Container Registry in a namespace of a region.
func (c *Cloud) Image(a Actor, account, region, namespace string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.alive(a.IAMID):
		return serviceError(401, "unauthorized", "The access token is missing, invalid or expired.")
	case account != AccountID:
		return serviceError(400, "bad_request", fmt.Sprintf("The header Account must be the account's ID, not %q.", account))
	case !c.permitted(a, target{service: serviceRegistry, region: region, kind: "namespace", id: namespace}, inspectsImage):
		return dataDenied("the namespace " + namespace)
	}
	return nil
}
