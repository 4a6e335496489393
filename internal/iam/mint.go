package iam

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// How often and how long an unclear create is resolved.
const (
	mintTries    = 3
	mintPause    = 400 * time.Millisecond // doubled with each try
	lookUpPause  = 250 * time.Millisecond // doubled with each look-up
	lookUps      = 3                      // if the look-up itself fails
	patientFinds = 6                      // if the key should exist: 7.75 s in all
)

// newKey is the body of IAM's create_api_key. IAM does not keep the value.
type newKey struct {
	Name             string `json:"name"`
	IAMID            string `json:"iam_id"`
	AccountID        string `json:"account_id"`
	Description      string `json:"description"`
	Value            string `json:"apikey"`
	StoreValue       bool   `json:"store_value"`
	ExpiresAt        string `json:"expires_at"`
	ActionWhenLeaked string `json:"action_when_leaked,omitempty"`
}

// Mint creates a key with the value v. After an unclear answer it looks the key
// up by its value. If IAM does not have it, Mint sends the same request again.
// IAM rejects a second key with the same value, so even a look-up that lags
// never leads to two keys.
//
//	post ─ 201 ────────────────────────────────────▶ the key
//	  ├─── no answer, 401, 429, 5xx, unreadable ─┐
//	  ├─── 409, 400: the value may be taken ─────┤
//	  └─── 403, 404: no key                      ▼
//	  ▲                                       look up ─ there ─▶ the key
//	  └──── (unclear answer) ─ not there ────────┘
func (c *Client) Mint(ctx context.Context, m port.MintRequest, v secret.Value) (port.KeyRecord, error) {
	const doing = "creating a key"
	account, err := c.Account(ctx)
	if err != nil {
		return port.KeyRecord{}, fmt.Errorf("%s: %w", doing, err)
	}
	wanted := newKey{
		Name: m.Name, IAMID: m.IAMID, AccountID: account, Description: m.Description,
		Value: v.Expose(), ExpiresAt: roundUp(m.Expires), ActionWhenLeaked: m.OnLeak,
	}
	unclear := false // whether a key may exist although no look-up found it
	for try := range mintTries {
		if try > 0 {
			if serr := c.sleep(ctx, mintPause<<(try-1)); serr != nil {
				return port.KeyRecord{}, fmt.Errorf("%w: %w", err, serr)
			}
		}
		k, reply, cerr := upstream.Send[apiKey](ctx, c.api, upstream.Request{Method: http.MethodPost, Path: keyPath(), Body: wanted})
		if cerr == nil {
			made, rerr := c.born(ctx, k, m)
			switch {
			case rerr == nil:
				return made, nil
			case errors.Is(rerr, errCreator):
				// No later run would know the key as ours. Nobody has it yet.
				return port.KeyRecord{}, errors.Join(fmt.Errorf("%s: %w: %w", doing, port.ErrRefused, rerr), c.Retire(ctx, k.ID))
			}
			err = fmt.Errorf("%s: %w: %w", doing, port.ErrUnavailable, rerr)
		} else {
			err = fault(ctx, doing, reply, cerr, v)
		}
		gone := errors.Is(err, port.ErrDenied) || errors.Is(err, port.ErrNotFound)
		conflict := errors.Is(err, port.ErrConflict)
		lost := errors.Is(err, port.ErrUnavailable)
		if gone && !unclear {
			return port.KeyRecord{}, err
		}
		found, ferr := c.findByValue(ctx, m, v, !lost && (conflict || unclear))
		switch {
		case ferr == nil:
			return found, nil
		case errors.Is(ferr, port.ErrRefused): // the key belongs to another identity
			return port.KeyRecord{}, ferr
		case !errors.Is(ferr, port.ErrNotFound):
			return port.KeyRecord{}, unsure(err, ferr)
		case lost:
			unclear = true // and send the request again
		case conflict || unclear:
			return port.KeyRecord{}, unsure(err, ferr)
		default: // rejected at the first try, for another reason than the value
			return port.KeyRecord{}, err
		}
	}
	return port.KeyRecord{}, err
}

// unsure reports a create whose result is unknown. If a key was made, it expires
// by its fuse. The error has the texts of both calls but only one meaning.
func unsure(create, lookUp error) error {
	return fmt.Errorf("%w: %v; %v", port.ErrUnavailable, create, lookUp) //nolint:errorlint // see above
}

var (
	errElsewhere = errors.New("it belongs to another identity")
	// errCreator would make every key that we create foreign.
	errCreator = errors.New("IAM names another creator for a key of ours: list it in identity.formerly")
)

// born converts the answer to a create. A name or description that the answer omits is
// taken from the request.
func (c *Client) born(ctx context.Context, k *apiKey, m port.MintRequest) (port.KeyRecord, error) {
	ids, err := c.ownIDs(ctx)
	if err != nil {
		return port.KeyRecord{}, err
	}
	if k == nil {
		return port.KeyRecord{}, errors.New("the answer is empty")
	}
	own := *k
	own.Name = cmp.Or(own.Name, m.Name)
	own.Description = cmp.Or(own.Description, m.Description)
	own.CreatedBy = cmp.Or(own.CreatedBy, ids[0])
	r, err := c.read(&own, ids)
	switch {
	case err != nil:
		return port.KeyRecord{}, err
	case r.iamID != m.IAMID:
		return port.KeyRecord{}, errElsewhere
	case !slices.Contains(ids, r.creator):
		return port.KeyRecord{}, fmt.Errorf("%w: IAM says that %s made key %s, and we are %s", errCreator, r.creator, r.ID, ids[0])
	case r.Created.IsZero():
		return port.KeyRecord{}, fmt.Errorf("reading key %s: it has no created_at", r.ID)
	}
	return c.whole(r, k.EntityTag, time.Time{}), nil
}

// findByValue looks a key up by its value. If patient, the key should exist and
// findByValue waits for IAM's lag.
func (c *Client) findByValue(ctx context.Context, m port.MintRequest, v secret.Value, patient bool) (port.KeyRecord, error) {
	const doing = "looking a key up by its value"
	tries := lookUps
	if patient {
		tries = patientFinds
	}
	for try := 1; ; try++ {
		k, reply, err := c.keyOf(ctx, v, nil)
		if err == nil {
			found, rerr := c.born(ctx, k, m)
			switch {
			case errors.Is(rerr, errElsewhere), errors.Is(rerr, errCreator):
				return port.KeyRecord{}, fmt.Errorf("%s: %w: %w", doing, port.ErrRefused, rerr)
			case rerr == nil:
				return found, nil
			}
			err = fmt.Errorf("%s: %w: %w", doing, port.ErrUnavailable, rerr)
		} else if err = fault(ctx, doing, reply, err, v); errors.Is(err, port.ErrRefused) {
			// The look-up itself was invalid, so it proves nothing about the key.
			return port.KeyRecord{}, unsure(err, errors.New("the look-up was rejected"))
		}
		again := errors.Is(err, port.ErrUnavailable) || (patient && errors.Is(err, port.ErrNotFound))
		if !again || try == tries {
			return port.KeyRecord{}, err
		}
		if serr := c.sleep(ctx, lookUpPause<<(try-1)); serr != nil {
			return port.KeyRecord{}, fmt.Errorf("%s: %w: %w", doing, port.ErrUnavailable, serr)
		}
	}
}
