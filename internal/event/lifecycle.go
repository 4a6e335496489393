package event

import (
	"cmp"
	"encoding/json"
	"regexp"
	"strings"
	"sync"
)

// lifecyclePrefix starts the event_type in the data of a lifecycle event.
const lifecyclePrefix = "resource-controller."

// lifecycle reads the event of a resource that was created, restored or deleted. It
// takes only the project's ID from it; latchkey then looks the project up. Events
// of other resources are not for us in any form, since the events of the whole
// account arrive here.
//
// https://cloud.ibm.com/docs/event-notifications?topic=event-notifications-en-resource-lifecycle-events
// shows the event of another service. That a Code Engine project's event has the same
// shape is an assumption.
func lifecycle(e Event) (Request, error) {
	var data struct {
		EventType string `json:"event_type"`
	}
	if json.Unmarshal(e.Data(), &data) != nil || !strings.HasPrefix(data.EventType, lifecyclePrefix) {
		return Request{}, notForUs("type", e.Type())
	}
	switch strings.TrimPrefix(data.EventType, lifecyclePrefix) {
	case "instance.create", "instance.restore", "instance.delete":
	default:
		return Request{}, notForUs("event_type", data.EventType)
	}
	var rest struct {
		Context struct {
			Activity struct {
				Outcome string `json:"outcome"`
			} `json:"activity"`
		} `json:"context"`
		Properties struct {
			CRN           string `json:"crn"`
			GUID          string `json:"guid"`
			LastOperation struct {
				State string `json:"state"`
			} `json:"last_operation"`
		} `json:"event_properties"`
	}
	if err := checkJSON(e.Data()); err != nil {
		return Request{}, malformed("data: %w", err)
	}
	if json.Unmarshal(e.Data(), &rest) != nil {
		return Request{}, malformed("data: context or event_properties does not have the shape of a lifecycle event")
	}
	state := rest.Properties.LastOperation.State
	if state == "" && rest.Context.Activity.Outcome == "success" {
		state = "succeeded"
	}
	service, project, fault := resource(rest.Properties.CRN)
	switch {
	case service == "":
		return Request{}, malformed("data.event_properties.crn %s is not a CRN", quote(rest.Properties.CRN))
	case service != "codeengine":
		return Request{}, notForUs("service", service)
	case state != "succeeded":
		return Request{}, notForUs("operation", state)
	}
	project = cmp.Or(project, rest.Properties.GUID)
	if fault || !guid().MatchString(project) || (rest.Properties.GUID != "" && rest.Properties.GUID != project) {
		return Request{}, malformed("data.event_properties: crn %s and guid %s do not identify a project", quote(rest.Properties.CRN), quote(rest.Properties.GUID))
	}
	return Request{Verb: Look, Project: project, Sender: SenderLifecycle}, nil
}

var guid = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
})

// resource returns the service and the instance in the CRN of a service instance. The
// service is empty if crn is not a CRN; fault reports that it is not exactly the
// CRN of an instance.
//
//	crn:v1:<cloud>:<public>:<service>:<region>:<scope>:<instance>::
func resource(crn string) (service, instance string, fault bool) {
	parts := strings.Split(crn, ":")
	if len(parts) < 10 || parts[0] != "crn" {
		return "", "", true
	}
	return parts[4], parts[7], len(parts) != 10 || parts[8] != "" || parts[9] != ""
}
