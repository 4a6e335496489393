package cloud

import "regexp"

// Registration connects an instance of Secrets Manager with one of Event
// Notifications. The emulator sends the events of secrets with or without it.
type Registration struct {
	InstanceCRN string `json:"event_notifications_instance_crn"`
	SourceName  string `json:"event_notifications_source_name"`
	Description string `json:"event_notifications_source_description"`
}

var notificationsCRN = regexp.MustCompile(`^crn:v1:[^:]+:[^:]+:event-notifications:[^:]+:a/[^:]+:[^:]+::$`)

// CreateRegistration registers with an instance of Event Notifications, which
// may belong to another account.
func (c *Cloud) CreateRegistration(a Actor, instance string, n Registration) (Registration, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	in, err := c.allowed(a, instance, "", "notifications-registration.create")
	if err != nil {
		return Registration{}, err
	}
	switch {
	case !notificationsCRN.MatchString(n.InstanceCRN):
		return Registration{}, smInvalid("event_notifications_instance_crn must be the CRN of an instance of Event Notifications.")
	case n.SourceName == "":
		return Registration{}, smInvalid("event_notifications_source_name is required.")
	case in.events != nil:
		return Registration{}, smError(c.switches.UsedRegistrationStatus, "conflict", "The instance is registered already.")
	}
	in.events = &n
	return n, nil
}

func (c *Cloud) registration(a Actor, instance, verb string) (*secretsInstance, error) {
	in, err := c.allowed(a, instance, "", "notifications-registration."+verb)
	if err == nil && in.events == nil {
		err = smError(404, "not_found", "The instance is not registered with Event Notifications.")
	}
	return in, err
}

// GetRegistration returns the registration.
func (c *Cloud) GetRegistration(a Actor, instance string) (Registration, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	in, err := c.registration(a, instance, "read")
	if err != nil {
		return Registration{}, err
	}
	return *in.events, nil
}

// DeleteRegistration ends the registration.
func (c *Cloud) DeleteRegistration(a Actor, instance string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	in, err := c.registration(a, instance, "delete")
	if err != nil {
		return err
	}
	in.events = nil
	return nil
}

// TestRegistration sends a test event.
func (c *Cloud) TestRegistration(a Actor, instance string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	in, err := c.registration(a, instance, "test")
	if err != nil {
		return err
	}
	if c.notifySecret != nil {
		c.notifySecret(SecretEvent{Instance: in.SecretsInstance, Type: "test_event", At: c.now(), By: a.IAMID})
	}
	return nil
}
