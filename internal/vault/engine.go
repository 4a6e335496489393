package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/latchkey-io/latchkey/internal/entry"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// version is the current version of a secret.
type version struct {
	version int64
	data    map[string]any // nil if the version is deleted or does not exist
}

func (v version) exists() bool { return v.data != nil }

// fetch reads the data. An absent or deleted secret is not an error.
func (s *Store) fetch(ctx context.Context, doing string) (v version, err error) {
	got, err := s.get(ctx, doing, s.data())
	if err != nil || got == nil {
		return v, err
	}
	meta, _ := got["metadata"].(map[string]any)
	if v.version, err = integer(meta["version"]); err != nil || v.version < 1 {
		return v, fmt.Errorf("%s: %w: the answer has no version; the mount must be a key value engine, version 2", doing, port.ErrUnavailable)
	}
	v.data, _ = got["data"].(map[string]any)
	return v, nil
}

// get reads a path. The data is nil if the path does not exist.
func (s *Store) get(ctx context.Context, doing, path string) (data map[string]any, err error) {
	err = s.client.call(ctx, doing, func(v *conn) error {
		got, err := v.send(ctx, http.MethodGet, path, nil)
		var no *refusal
		switch {
		case err == nil:
			data = got.Data
		case !errors.As(err, &no) || no.status != http.StatusNotFound:
			return err
		case len(no.data) == 0 && len(no.errors) > 0 && no.errors[0] != "":
			return fmt.Errorf("%s: %w: %s", doing, port.ErrRefused, upstream.Vault.Quote(answer(no)))
		default:
			data = no.data // the metadata of a deleted version
		}
		return nil
	})
	if len(data) == 0 {
		data = nil
	}
	return data, fault(ctx, doing, "read on "+path, err)
}

func integer(v any) (int64, error) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, errors.New("not a number")
	}
	return n.Int64()
}

// write replaces the version at with check-and-set and returns the new version.
// If merge is set, the vault merges ours into data that the store can't read.
func (s *Store) write(ctx context.Context, doing string, keep, ours map[string]any, at int64, merge bool, hidden []secret.Value) (made int64, err error) {
	body := map[string]any{"options": map[string]any{"cas": at}}
	needs, method := "update", http.MethodPut
	switch {
	case merge:
		body["data"] = ours
		needs, method = "patch", http.MethodPatch
	default:
		all := map[string]any{}
		maps.Copy(all, keep)
		maps.Copy(all, ours)
		body["data"] = all
		if at == 0 {
			needs = "create"
		}
	}
	var got *answerOf
	err = s.client.call(ctx, doing, func(v *conn) (err error) {
		got, err = v.send(ctx, method, s.data(), body)
		return err
	})
	err = fault(ctx, doing, needs+" on "+s.data(), err, hidden...)
	if errors.Is(err, port.ErrNotFound) {
		return 0, fmt.Errorf("%s: %w: the secret was deleted since it was read", doing, port.ErrConflict)
	}
	if err != nil {
		return 0, err
	}
	made, err = integer(got.Data["version"])
	switch {
	case err != nil:
		return 0, fmt.Errorf("%s: %w: the answer has no version", doing, port.ErrUnavailable)
	case made <= at: // the version is deleted
		return 0, fmt.Errorf("%s: %w: the secret was deleted since it was read", doing, port.ErrConflict)
	}
	return made, nil
}

// describe writes the key's metadata to the secret's custom metadata and leaves
// everything else there unchanged.
func (s *Store) describe(ctx context.Context, doing string, m entry.Metadata) error {
	text, err := m.Encode()
	if err != nil {
		return fmt.Errorf("%s: %w: %w", doing, port.ErrRefused, err)
	}
	err = s.client.call(ctx, doing, func(v *conn) error {
		_, err := v.send(ctx, http.MethodPatch, s.metadata(), map[string]any{
			"custom_metadata": map[string]any{entry.VaultPrefix + s.cfg.Entry: text},
		})
		return err
	})
	return fault(ctx, doing, "patch on "+s.metadata(), err)
}

// readMetadata is Read for a policy that does not allow reading data. denied is
// the error of that attempt.
func (s *Store) readMetadata(ctx context.Context, doing string, denied error) (port.Entry, error) {
	meta, err := s.get(ctx, doing, s.metadata())
	if errors.Is(err, port.ErrDenied) {
		return port.Entry{}, fmt.Errorf("%w (or read on %s, for a store without access to values)", denied, s.metadata())
	}
	if err != nil {
		return port.Entry{}, err
	}
	now, _ := integer(meta["current_version"]) // 0 if there is no version
	gone := now > 0 && s.deleted(meta, now)
	if err := s.checkWritable(ctx, doing, now); err != nil {
		return port.Entry{}, err
	}
	e := port.Entry{Revision: revision(now, gone)}
	custom, _ := meta["custom_metadata"].(map[string]any)
	text, _ := custom[entry.VaultPrefix+s.cfg.Entry].(string)
	m := entry.Decode(text)
	if gone || m.Version != now || m.KeyID == "" {
		// The data may hold the key of another writer, but it can't be read.
		return e, fmt.Errorf("%s: entry %s: %w", doing, s.cfg.Entry, port.ErrNotFound)
	}
	e.KeyID, e.Owner, e.Created, e.IAMID = m.KeyID, m.Owner, m.Created, m.IAMID
	return e, nil
}

// deleted reports whether a version is deleted or destroyed.
func (s *Store) deleted(meta map[string]any, number int64) bool {
	all, _ := meta["versions"].(map[string]any)
	v, _ := all[fmt.Sprint(number)].(map[string]any)
	destroyed, _ := v["destroyed"].(bool)
	text, _ := v["deletion_time"].(string)
	at, err := time.Parse(time.RFC3339Nano, text)
	return destroyed || err == nil && at.Before(s.client.cfg.Now())
}

// checkWritable asks the vault whether the policy allows the write, so that no key
// is created for a location that rejects it. If the vault does not answer the
// question, checkWritable assumes that it does.
func (s *Store) checkWritable(ctx context.Context, doing string, at int64) error {
	if at == 0 {
		if err := s.checkEngine(ctx, doing); err != nil {
			return err
		}
	}
	var may map[string]any
	err := s.client.call(ctx, doing, func(v *conn) error {
		got, err := v.send(ctx, http.MethodPut, "sys/capabilities-self", map[string]any{"paths": []string{s.data(), s.metadata()}})
		if got != nil {
			may = got.Data
		}
		return err
	})
	if err = fault(ctx, doing, "update on sys/capabilities-self", err); errors.Is(err, port.ErrUnavailable) {
		return err
	}
	lacks := func(path, verb string) bool {
		have, _ := may[path].([]any)
		return len(have) > 0 && !slices.Contains(have, any(verb)) && !slices.Contains(have, any("root"))
	}
	needs := map[string]string{s.data(): "create"}
	switch {
	case !lacks(s.data(), "read"):
		if at > 0 {
			needs[s.data()] = "update"
		}
	case at > 0:
		needs = map[string]string{s.data(): "patch", s.metadata(): "patch"}
	default:
		needs[s.metadata()] = "patch"
	}
	for path, verb := range needs {
		if lacks(path, verb) {
			return fmt.Errorf("%s: %w: it needs the capability %s on %s", doing, port.ErrDenied, verb, path)
		}
	}
	return nil
}

// checkEngine checks the type of the mount if the secret was not found. It uses
// the same path as the vault command.
func (s *Store) checkEngine(ctx context.Context, doing string) error {
	mount, err := s.get(ctx, doing, "sys/internal/ui/mounts/"+s.cfg.Mount)
	if errors.Is(err, port.ErrUnavailable) {
		return err
	}
	if mount == nil {
		return nil // the policy hides the mount
	}
	options, _ := mount["options"].(map[string]any)
	if mount["type"] != "kv" || options["version"] != "2" {
		return fmt.Errorf("%s: %w: the mount %s is of type %v, version %v; it must be kv, version 2",
			doing, port.ErrRefused, s.cfg.Mount, mount["type"], options["version"])
	}
	return nil
}
