package rotation

import (
	"slices"
)

func (v view) behind() bool {
	return slices.ContainsFunc(v.Stores, func(st Store) bool { return st.Fault == "" && st.Key != v.published.ID })
}

// copyable reports whether a store shows the published value.
func (v view) copyable() bool {
	return slices.ContainsFunc(v.Stores, func(st Store) bool {
		return st.Fault == "" && st.Key == v.published.ID && st.Readable
	})
}

// repairs copies the published key to the stores that are behind. The arbiter
// is filled only when it is empty: due sees to it when it names another key.
func (v view) repairs() (steps []Step) {
	if v.arbiter >= 0 && v.Stores[v.arbiter].Fault != "" {
		return nil // the store that decides may name a newer key
	}
	if !v.copyable() {
		return nil
	}
	for i, st := range v.order() {
		decides := v.arbiter >= 0 && i == 0 && st.Key != ""
		if st.Fault == "" && st.Key != v.published.ID && !decides {
			steps = append(steps, Step{Action: Copy, Key: v.published.ID, Target: st.Name, Reason: StoreBehind})
		}
	}
	return steps
}

// restarts catches up on consumers that an earlier run left behind. While as many
// keys as allowed are alive, the key that one holds on to may be what the next one
// waits for: then what its own store names is better, even a leaked key, which has
// to live until that store names another.
func (v view) restarts(full bool) (steps []Step) {
	current := map[string]bool{}
	for _, st := range v.Stores {
		current[st.Name] = st.Fault == "" && st.Key == v.published.ID
	}
	for _, copied := range v.repairs() {
		current[copied.Target] = true
	}
	for _, c := range v.Consumers {
		own, _ := v.own(c)
		switch {
		case c.Unknown || c.Key == v.published.ID:
		case v.reaches(c, current):
			steps = append(steps, Step{Action: RestartConsumer, Key: v.published.ID, Target: c.Name, Reason: ConsumerBehind})
		case full && own != "" && c.Key != own:
			steps = append(steps, Step{Action: RestartConsumer, Key: own, Target: c.Name, Reason: ConsumerBehind})
		}
	}
	return steps
}

// reaches reports whether a restart makes the consumer read the key: its store
// has it. One whose store is not known waits until every store does.
func (v view) reaches(c Consumer, has map[string]bool) bool {
	if c.Store != "" {
		return has[c.Store]
	}
	return !slices.ContainsFunc(v.Stores, func(st Store) bool { return !has[st.Name] })
}
