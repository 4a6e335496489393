package reconcile

import (
	"context"
	"slices"

	"github.com/latchkey-io/latchkey/internal/rotation"
)

// rememberLate writes the demand on the published key when the caller is about
// to be answered while a new key is under way: from then on it outlives the
// process. The function that it returns ends the waiting.
func (ru *run) rememberLate(ctx context.Context, plan rotation.Plan) (stop func()) {
	t := ru.wanted
	i := slices.IndexFunc(ru.keys, func(k rotation.Key) bool { return k.ID == plan.Published })
	mints := slices.ContainsFunc(plan.Steps, func(s rotation.Step) bool { return s.Action == rotation.Mint })
	if ru.ask.Late == nil || ru.ask.Kept == nil || !mints || i < 0 || t.Leaked != "" || !ru.keys[i].Owes(t) {
		return func() {}
	}
	old := ru.keys[i]
	at := t.NewerThan
	if old.Meets(at) {
		at = old.After(old.Born()) // only NotKey is unmet: any newer key meets it
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-ru.ask.Late:
		case <-done:
			return
		}
		err := ru.change(ctx, old.ID, KeyChange{Renew: at}, func(k rotation.Key) bool { return !k.Renew.Before(at) })
		if err != nil {
			ru.log.Warn("writing a demand down before the caller is answered", "key", old.ID, "error", err.Error())
			return
		}
		ru.ask.Kept(ru.c.Name)
	}()
	return func() {
		close(done)
		<-ended
	}
}
