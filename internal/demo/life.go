package demo

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/event/sample"
	"github.com/latchkey-io/latchkey/internal/reason"
	"github.com/latchkey-io/latchkey/internal/result"
)

const secondStore = "logs-sender-copy"

var firstStore = regexp.MustCompile(`(?m)^ +restart: true.*\n`)

// withSecondStore adds a store to the example's only credential, and allows
// revoke events.
func withSecondStore(config string) string {
	at := firstStore.FindStringIndex(config)
	if at == nil {
		return config
	}
	config = config[:at[1]] + `      - codeEngine: {project: "${project.id}", region: "${project.region}", secret: ` + secondStore + ", entry: IAM_API_KEY}\n" + config[at[1]:]
	return strings.Replace(config, "verbs: [provision, rotate]", "verbs: [provision, rotate, revoke]", 1)
}

// ours returns the demo's credential from a sweep.
func ours(outcomes []result.Outcome, credential string) (result.Outcome, error) {
	for _, o := range outcomes {
		if o.Credential == credential {
			return o, nil
		}
	}
	return result.Outcome{}, fmt.Errorf("the sweep did not check %s", credential)
}

// tick sweeps and returns the demo's credential.
func (d *demo) tick(ctx context.Context, credential string, want result.Result) (o result.Outcome, err error) {
	outcomes, err := d.sendAll(ctx, sample.Tick(d.cloud.Now()), false)
	if err != nil {
		return o, err
	}
	if o, err = ours(outcomes, credential); err != nil {
		return o, err
	}
	return o, d.expect(o, want)
}

func (d *demo) life(ctx context.Context, credential string) error {
	for _, chapter := range []func(context.Context, string) error{d.addStore, d.overlap, d.leak, d.disable} {
		if err := chapter(ctx, credential); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) addStore(ctx context.Context, credential string) error {
	d.say("6. The config gets a second store for each project.")
	d.stop()
	d.config = withSecondStore(d.config)
	if err := d.start(ctx); err != nil {
		return err
	}
	o, err := d.tick(ctx, credential, result.Changed)
	if err != nil {
		return err
	}
	d.say("   filled       %s with a copy of the published key; nothing is rotated", o.Stores[len(o.Stores)-1].Name)
	d.say("   key          %s, as before\n", o.Key)
	return nil
}

func (d *demo) overlap(ctx context.Context, credential string) error {
	d.say("7. A ticket demands a new key, and one consumer keeps using the old one.")
	old, err := d.tick(ctx, credential, result.Unchanged)
	if err != nil {
		return err
	}
	o, err := d.send(ctx, sample.Rotate(credential, d.cloud.Now()), true)
	if err != nil {
		return err
	}
	if err := d.expect(o, result.Published); err != nil {
		return err
	}
	d.say("   new key      %s in %d stores; the old one works until %s", o.Key, len(o.Stores), o.ReplacedEnds.Format(time.DateTime))
	d.cloud.Advance(20 * time.Hour)
	for _, k := range d.cloud.State(true).APIKeys {
		if k.ID == old.Key {
			if _, err := d.cloud.Cloud().ExchangeAPIKey(k.Value); err != nil {
				return fmt.Errorf("using the old key: %w", err)
			}
		}
	}
	d.cloud.Advance(time.Hour)
	if o, err = d.tick(ctx, credential, result.Changed); err != nil {
		return err
	}
	if len(o.Notes) == 0 || o.Notes[0].Reason != reason.StillUsed {
		return fmt.Errorf("no note says that %s is still used: %+v", old.Key, o)
	}
	d.say("   20 h later   %s", o.Notes[0])
	d.say("   extended     until %s\n", o.Steps[0].At.Format(time.DateTime))
	return nil
}

func (d *demo) leak(ctx context.Context, credential string) error {
	d.say("8. The published key is found on a public page. A ticket revokes it.")
	before, err := d.tick(ctx, credential, result.Unchanged)
	if err != nil {
		return err
	}
	o, err := d.send(ctx, sample.Binary("dev.latchkey.revoke", "/tickets/4711", d.cloud.Now(), map[string]any{"credential": credential, "keyID": before.Key}), true)
	if err != nil {
		return err
	}
	if err := d.expect(o, result.Published); err != nil {
		return err
	}
	if o.Leaked != result.LeakedRevoked {
		return fmt.Errorf("the leaked key is %s", o.Leaked)
	}
	d.say("   new key      %s, proven and in every store before the old one is deleted", o.Key)
	for _, n := range o.Notes {
		whose := "older key"
		if n.Key == before.Key {
			whose = "leaked key"
		}
		d.say("   %-12s %s", whose, n)
	}
	d.say("")
	return nil
}

func (d *demo) disable(ctx context.Context, credential string) error {
	d.cloud.Advance(time.Hour) // IAM's lists no longer show the deleted keys
	d.say("9. A person disables the published key.")
	before, err := d.tick(ctx, credential, result.Unchanged)
	if err != nil {
		return err
	}
	d.cloud.Cloud().SetKeyDisabled(before.Key, true)
	o, err := d.tick(ctx, credential, result.Published)
	if err != nil {
		return err
	}
	if o.Key == before.Key {
		return errors.New("the disabled key is still published")
	}
	d.say("   replaced     consumers have another key; the disabled one stays disabled\n")
	return nil
}
