package verify

import (
	"context"
	"net/http"
	"strings"
	"time"
)

// Notifications is an instance of Event Notifications. Secrets Manager is registered with
// it, if it is not yet, and Source, an API source, gets two events.
type Notifications struct{ Origin, Host, Instance, CRN, Source string }

// registration registers Secrets Manager with Event Notifications twice. A registration of
// others stays as it is.
func (b *bench) registration(ctx context.Context) error {
	switch {
	case b.Secrets.Origin == "":
		return errNoSecrets
	case b.Notifications.CRN == "":
		return impossible("no instance of Event Notifications was given: pass --event-notifications")
	}
	const at = "/notifications/registration"
	source := func(ctx context.Context) (name string, status int, err error) {
		a, err := b.secretsCall(ctx, http.MethodGet, at, nil)
		return a.text("event_notifications_source_name"), a.status, err
	}
	name, status, err := source(ctx)
	if err == nil && strings.HasPrefix(name, prefix) { // a killed verification left it
		if err = b.dropFrom(ctx, at); err == nil {
			_, status, err = source(ctx)
		}
	}
	switch {
	case err != nil:
		return err
	case status == http.StatusOK:
		return impossible("the instance of Secrets Manager is registered, and verify leaves that alone")
	case status != http.StatusNotFound:
		return impossible("reading the registration was answered %d", status)
	}
	register := func() (answer, error) {
		return b.secretsCall(ctx, http.MethodPost, at, map[string]any{
			"event_notifications_instance_crn": b.Notifications.CRN, "event_notifications_source_name": b.name, "event_notifications_source_description": about,
		})
	}
	a, err := b.making("registration of Secrets Manager", register, func(ctx context.Context, _ answer) error {
		if name, _, err := source(ctx); err != nil || name != b.name {
			return err
		}
		return b.dropFrom(ctx, at)
	})
	if err != nil {
		return err
	}
	if a.status >= 300 {
		return impossible("registering with Event Notifications was answered %d", a.status)
	}
	if a, err = register(); err != nil {
		return err
	}
	b.settle("usedRegistrationStatus", a.status)
	return nil
}

// notification sends an event whose time has the form of RFC 3339, and one whose time has
// that of an example in IBM's documents.
func (b *bench) notification(ctx context.Context) error {
	if b.Notifications.Source == "" {
		return impossible("no source of Event Notifications was given: pass --event-notifications and --event-source")
	}
	send := func(at string) (answer, error) {
		return b.call(ctx, b.HTTP, http.MethodPost, b.Notifications.Origin+"/event-notifications/v1/instances/"+b.Notifications.Instance+"/notifications", map[string]any{
			"specversion": "1.0", "id": b.name, "source": b.name, "type": "dev.latchkey.verify", "time": at, "datacontenttype": "application/json",
			"ibmensourceid": b.Notifications.Source, "ibmenseverity": "LOW", "ibmendefaultshort": about, "ibmendefaultlong": about, "data": map[string]any{},
		}, "Host", b.Notifications.Host)
	}
	a, err := send(b.Now().UTC().Format(time.RFC3339))
	if err != nil {
		return err
	}
	if a.status >= 300 {
		return impossible("an event was answered %d", a.status)
	}
	if a, err = send(b.Now().UTC().String()); err != nil {
		return err
	}
	switch {
	case a.status < 300, a.status == http.StatusBadRequest, a.status == http.StatusUnprocessableEntity:
		b.settle("notificationTimeChecked", a.status >= 300)
		return nil
	}
	return impossible("an event with another form of time was answered %d", a.status)
}
