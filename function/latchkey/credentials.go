package main

import (
	"context"
	"errors"

	"github.com/latchkey-io/latchkey/internal/catalog"
	"github.com/latchkey-io/latchkey/internal/codeengine"
	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/file"
	"github.com/latchkey-io/latchkey/internal/format"
	"github.com/latchkey-io/latchkey/internal/keyless"
	"github.com/latchkey-io/latchkey/internal/offboard"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/protocol"
	"github.com/latchkey-io/latchkey/internal/secretsmanager"
)

// credentialBuilder turns the config's entries into credentials with their
// adapters.
type credentialBuilder struct {
	cfg        *config.Config
	cloud      target
	codeengine *codeengine.Client
	secrets    func() *secretsmanager.Client // built by its first store
	stores     *storeClients
	account    func(context.Context) (string, error)
}

// catalogEntries returns the config's entries as the catalog expands them.
func (b *credentialBuilder) catalogEntries() (entries []catalog.Entry) {
	for _, e := range b.cfg.Entries {
		entries = append(entries, catalog.Entry{
			Name: e.Name, Formerly: e.Formerly, PerProject: e.ForEach != "", PerParameters: e.ForEach == "" && e.UsesWith(),
			RevokeGone: e.OnGone == config.GoneRevoke, RetireGone: e.OnGone == config.GoneRetire, Offboard: offboard.Rules(e.Offboarding), Paused: e.Paused(), Trusts: e.Trusts(),
			Rules:  func(credential string) protocol.Rules { return b.rotationRules(credential, e.Rotation) },
			Expand: func(in catalog.Input) (port.Credential, error) { return b.expand(e, in) }, Parameters: e.Parameters,
		})
	}
	return entries
}

func (b *credentialBuilder) expand(e *config.Entry, in catalog.Input) (port.Credential, error) {
	with := config.Input{With: in.With}
	if p := in.Project; p != nil {
		with.Project = &config.Project{ID: p.ID, Name: p.Name, Region: p.Region, ResourceGroup: p.ResourceGroup, CRN: p.CRN, Status: p.Status}
	}
	c, err := e.Expand(with)
	if errors.Is(err, config.ErrExcluded) {
		return port.Credential{}, catalog.ErrExcluded
	}
	if err != nil {
		return port.Credential{
			Name: c.Name, Entry: c.Entry, With: c.With, Rules: b.rotationRules(c.Name, c.Rotation), Paused: c.Paused, Former: c.Formerly, Owner: c.Owner,
		}, err
	}
	out := b.build(c)
	out.Offboard = offboard.Rules(e.Offboarding)
	return out, nil
}

// build builds the adapters of one expanded entry.
func (b *credentialBuilder) build(c config.Credential) port.Credential {
	out := port.Credential{
		Name: c.Name, Entry: c.Entry, With: c.With, ServiceIDName: c.ServiceIDName, OwnName: c.OwnName, Description: c.Description, KeyDescription: c.KeyDescription,
		Owner: c.Owner, OnLeak: c.Rotation.OnLeak, Rules: b.rotationRules(c.Name, c.Rotation), Paused: c.Paused, Overwrite: c.Overwrite,
		Kept: c.Kept, NotAgain: c.NotAgain, Ends: c.Ends, Given: c.ServiceID, Groups: c.AccessGroups, AdoptKey: c.AdoptKey, Former: c.Formerly,
		Policies: c.Policies, NarrowPolicies: c.NarrowPolicies, Profile: profileOf(c.Profile),
	}
	for _, s := range c.Stores {
		st, consumers := b.store(c, s)
		if consumers != nil {
			out.Consumers = append(out.Consumers, consumers)
		}
		out.Stores = append(out.Stores, st)
		name(&out.Optional, st, !s.Required)
		name(&out.ReadBack, st, s.ReadBack)
	}
	out.Provers = b.provers(c.Prove)
	return out
}

// name adds a store to those of which something holds. Most credentials have none.
func name(stores *map[string]bool, st port.Store, holds bool) {
	if !holds {
		return
	}
	if *stores == nil {
		*stores = map[string]bool{}
	}
	(*stores)[st.Name()] = true
}

// profileOf converts the trusted profile of the config.
func profileOf(p *config.TrustedProfile) *port.TrustedProfile {
	if p == nil {
		return nil
	}
	out := &port.TrustedProfile{Name: p.Name, Wanted: p.Wanted}
	for _, l := range p.Links {
		out.Links = append(out.Links, keyless.Link(l))
	}
	return out
}

// store builds one store, and the consumers that it restarts.
func (b *credentialBuilder) store(c config.Credential, s config.Store) (port.Store, port.Consumers) {
	owner, form := b.cfg.Owner, b.form(c, s.Format)
	switch {
	case s.CodeEngine != nil:
		cfg := codeengine.StoreConfig{
			Project: s.CodeEngine.Project, Region: s.CodeEngine.Region, Secret: s.CodeEngine.Secret, Entry: s.CodeEngine.Entry, Form: form,
			Owner: owner, Restart: codeengine.Restart{All: s.Restart.All, Names: s.Restart.Names},
		}
		if s.Format.Registry != "" {
			cfg.Registry = &codeengine.Registry{Server: s.Format.Registry, Username: format.IBMUser}
		}
		st := b.codeengine.Store(cfg)
		if consumers := st.Consumers(); consumers != nil {
			return st, consumers
		}
		return st, nil
	case s.SecretsManager != nil:
		sm := s.SecretsManager
		return b.secrets().Store(secretsmanager.StoreConfig{
			Instance: sm.Instance, Region: sm.Region, Group: sm.Group, Secret: sm.Name, Type: sm.Type, Entry: sm.Entry, Form: form,
			Owner: owner, Expire: c.Rotation.Expire, Lock: sm.Lock, Credential: c.Name,
		}), nil
	case s.Kubernetes != nil:
		st := b.stores.kubernetes(*s.Kubernetes, s.Restart, owner, form)
		if consumers := st.Consumers(); consumers != nil {
			return st, consumers
		}
		return st, nil
	case s.Vault != nil:
		return b.stores.vault(*s.Vault, owner, form), nil
	case s.File != nil && form != nil:
		return file.NewText(s.File.Path, owner, form), nil
	case s.File != nil:
		return file.New(s.File.Path, owner), nil
	}
	panic("building the stores of " + c.Name + ": one has no kind that is known here")
}

// form returns the texts of a store's entries, or nil if it has the value alone.
func (b *credentialBuilder) form(c config.Credential, f config.Format) *format.Form {
	if f.Text == nil && len(f.More) == 0 {
		return nil
	}
	form := &format.Form{First: f.Text, Facts: format.Facts{Credential: c.Name, Account: b.cfg.Account, Expire: c.Rotation.Expire}}
	if p := c.Project; p != nil {
		form.Facts.Project = format.Project{ID: p.ID, Name: p.Name, Region: p.Region}
	}
	for _, more := range f.More {
		form.More = append(form.More, format.Entry{Name: more.Entry, Text: more.Text})
	}
	return form
}

// rotationRules are the durations that the config sets, and the standard ones.
func (b *credentialBuilder) rotationRules(credential string, r config.Rotation) protocol.Rules {
	rules := protocol.Standard()
	rules.After, rules.Expire, rules.Overlap = r.After, r.Expire, r.Overlap
	rules.Jitter = protocol.Jitter(credential, r.After)
	rules.SweepEvery = b.cfg.SweepEvery
	rules.BlockDisabled = r.OnDisabled == "block"
	return rules
}
