package event

import (
	"cmp"
	"encoding/json"
	"regexp"
	"strings"
)

// lifecyclePrefix begins the event_type in the data of a lifecycle event.
const lifecyclePrefix = "resource-controller."

// lifecycle is the event of a resource that came to be, came back or went. Only
// where to look is taken from it: the project is looked up, not believed. What
// is no lifecycle event of a project is not for us, however it is written: the
// whole account's events come by here.
//
// https://cloud.ibm.com/docs/event-notifications?topic=event-notifications-en-resource-lifecycle-events
// shows the shape on another service; that a Code Engine project looks the same
// is inferred from it.
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
		return Request{}, malformed("data: context or event_properties is not of the shape of a lifecycle event")
	}
	state := rest.Properties.LastOperation.State
	if state == "" && rest.Context.Activity.Outcome == "success" {
		state = "succeeded"
	}
	service, project, fault := resource(rest.Properties.CRN)
	switch {
	case service == "":
		return Request{}, malformed("data.event_properties.crn %s is no CRN", quote(rest.Properties.CRN))
	case service != "codeengine":
		return Request{}, notForUs("service", service)
	case state != "succeeded":
		return Request{}, notForUs("operation", state)
	}
	project = cmp.Or(project, rest.Properties.GUID)
	if fault || !guid.MatchString(project) || (rest.Properties.GUID != "" && rest.Properties.GUID != project) {
		return Request{}, malformed("data.event_properties: crn %s and guid %s name no project", quote(rest.Properties.CRN), quote(rest.Properties.GUID))
	}
	return Request{Verb: Look, Project: project, Sender: SenderLifecycle}, nil
}

var guid = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// resource takes the CRN of a service instance apart. The service is empty
// when it is no CRN at all; fault says that it names more than an instance.
//
//	crn:v1:<cloud>:<public>:<service>:<region>:<scope>:<instance>::
func resource(crn string) (service, instance string, fault bool) {
	parts := strings.Split(crn, ":")
	if len(parts) < 10 || parts[0] != "crn" {
		return "", "", true
	}
	return parts[4], parts[7], len(parts) != 10 || parts[8] != "" || parts[9] != ""
}
