package verify

import (
	"context"
	"net/http"
	"net/url"
)

// Pod is a pod of a cluster, with its token. Trusted profiles without rights are made,
// and assumed with it.
type Pod struct {
	Type             string // IKS_SA or ROKS_SA
	Cluster          string // CRN
	Namespace, Owner string // of the service account
	Token            string
}

// links assumes two profiles with a pod's token. The link of one names the pod's service
// account, that of the other has another name.
func (b *bench) links(ctx context.Context) error {
	if b.Pod.Token == "" {
		return impossible("it takes the token of a pod: pass --pod-token, --pod and --cluster")
	}
	list, err := b.call(ctx, b.HTTP, http.MethodGet, b.profilesURL(), nil)
	if err != nil {
		return err
	}
	b.removeOld(list, "profiles", func(a answer) bool { return a.text("description") == about }, func(a answer) error {
		return b.remove(ctx, b.profileURL(a.text("id")))
	})
	right, err := b.linked(ctx, b.name, b.Pod.Owner)
	if err != nil {
		return err
	}
	wrong, err := b.linked(ctx, b.name+"-2", b.name)
	if err != nil {
		return err
	}
	assumed := func(profile string) func() (bool, answer, error) {
		return func() (bool, answer, error) {
			a, err := b.post(ctx, url.Values{"grant_type": {"urn:ibm:params:oauth:grant-type:cr-token"}, "cr_token": {b.Pod.Token}, "profile_id": {profile}})
			return a.status == http.StatusOK, a, err
		}
	}
	a, works, err := b.await(ctx, b.Patience, assumed(right))
	if err != nil {
		return err
	}
	if !works {
		return impossible("a profile that the pod is linked to was answered %d %s", a.status, a.text("errorCode"))
	}
	_, works, err = b.await(ctx, b.Patience/4, assumed(wrong))
	if err == nil {
		b.settle("linkNameChecked", !works)
	}
	return err
}

// linked returns the ID of a new trusted profile with a link to the pod's namespace.
func (b *bench) linked(ctx context.Context, name, account string) (id string, err error) {
	made, err := b.making("trusted profile "+name, func() (answer, error) {
		return b.call(ctx, b.HTTP, http.MethodPost, b.IAM+"/v1/profiles", map[string]any{"account_id": b.Account, "name": name, "description": about})
	}, func(ctx context.Context, made answer) error {
		if id := made.text("id"); id != "" {
			return b.remove(ctx, b.profileURL(id))
		}
		list, err := b.call(ctx, b.HTTP, http.MethodGet, b.profilesURL()+"&name="+url.QueryEscape(name), nil)
		if err != nil {
			return err
		}
		return b.removeThese(list, "profiles", func(a answer) bool { return a.text("name") == name }, func(a answer) error {
			return b.remove(ctx, b.profileURL(a.text("id")))
		})
	})
	switch {
	case err != nil:
		return "", err
	case made.status >= 300:
		return "", impossible("making a trusted profile was answered %d", made.status)
	}
	id = made.text("id")
	link, err := b.call(ctx, b.HTTP, http.MethodPost, b.profileURL(id)+"/links", map[string]any{
		"cr_type": b.Pod.Type, "link": map[string]any{"crn": b.Pod.Cluster, "namespace": b.Pod.Namespace, "name": account},
	})
	if err == nil && link.status >= 300 {
		err = impossible("linking a trusted profile was answered %d", link.status)
	}
	return id, err
}

func (b *bench) profilesURL() string {
	return b.IAM + "/v1/profiles?pagesize=100&account_id=" + url.QueryEscape(b.Account)
}

func (b *bench) profileURL(id string) string { return b.IAM + "/v1/profiles/" + url.PathEscape(id) }
