package emulator_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

// use sends a request to the host of a service with the token of an identity.
func (w *world) use(token, method, url string, headers ...string) int {
	w.t.Helper()
	host, path, _ := strings.Cut(strings.TrimPrefix(url, "https://"), "/")
	req, err := http.NewRequest(method, w.URL()+"/"+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Host = host
	req.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	r, err := w.http.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	decode(w.t, r)
	return r.StatusCode
}

func TestWhoMayUseTheDataOfAService(t *testing.T) {
	const (
		bucket = "https://s3.eu-de.cloud-object-storage.appdomain.cloud/backups"
		topics = "https://a.svc01.eu-de.eventstreams.cloud.ibm.com"
		image  = "https://de.icr.io/api/v1/images/de.icr.io%2Fteam%2Fweb:1/inspect"
		roles  = "crn:v1:bluemix:public:iam::::serviceRole:"
		own    = "crn:v1:bluemix:public:cloud-object-storage::::serviceRole:"
	)
	for name, tc := range map[string]struct {
		service, role string
		want          map[string]int // by method and URL
	}{
		"an Object Writer only writes":   {"cloud-object-storage", own + "ObjectWriter", map[string]int{"PUT " + bucket + "/x": 200, "GET " + bucket + "/x": 403, "GET " + bucket: 403}},
		"an Object Reader cannot list":   {"cloud-object-storage", own + "ObjectReader", map[string]int{"PUT " + bucket + "/x": 403, "GET " + bucket + "/probe": 200, "GET " + bucket: 403}},
		"a Content Reader lists":         {"cloud-object-storage", own + "ContentReader", map[string]int{"PUT " + bucket + "/x": 403, "GET " + bucket + "/probe": 200, "GET " + bucket: 200}},
		"an object that is not there":    {"cloud-object-storage", roles + "Reader", map[string]int{"GET " + bucket + "/none": 404}},
		"a Writer may all of that":       {"cloud-object-storage", roles + "Writer", map[string]int{"PUT " + bucket + "/x": 200, "GET " + bucket + "/probe": 200, "GET " + bucket: 200}},
		"a Reader sees topics":           {"messagehub", roles + "Reader", map[string]int{"GET " + topics + "/admin/topics/orders": 200, "POST " + topics + "/v2/topics/orders/records": 403}},
		"a Writer writes records":        {"messagehub", roles + "Writer", map[string]int{"GET " + topics + "/admin/topics/orders": 200, "POST " + topics + "/v2/topics/orders/records": 200}},
		"a Reader pulls images":          {"container-registry", roles + "Reader", map[string]int{"GET " + image: 200}},
		"a role on another service":      {"logs", roles + "Manager", map[string]int{"GET " + bucket: 403, "GET " + topics + "/admin/topics/orders": 403, "GET " + image: 403}},
		"an operation that is not there": {"cloud-object-storage", roles + "Manager", map[string]int{"DELETE " + bucket: 404, "POST " + topics + "/topics/orders/records": 404, "GET https://de.icr.io/api/v1/images": 404}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if err := w.Cloud().Object(cloud.Actor{IAMID: cloud.OwnerIAMID}, "eu-de", "backups", "probe", true); err != nil {
				t.Fatal(err)
			}
			sid, key := w.Cloud().AddIdentity("consumer")
			w.Cloud().Grant(sid.IAMID, tc.service, tc.role)
			token := w.token(key.Value)
			for request, want := range tc.want {
				method, url, _ := strings.Cut(request, " ")
				if got := w.use(token, method, url, "Account", cloud.AccountID); got != want {
					t.Errorf("%s: %d, want %d", request, got, want)
				}
			}
			for request := range tc.want {
				method, url, _ := strings.Cut(request, " ")
				if got := w.use("nonsense", method, url, "Account", cloud.AccountID); got != 401 && got != 404 {
					t.Errorf("%s with a bad token: %d", request, got)
				}
			}
			if got := w.use(token, "GET", image, "Account", "another"); got != 400 {
				t.Errorf("another account: %d", got)
			}
		})
	}
}
