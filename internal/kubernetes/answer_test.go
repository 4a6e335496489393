package kubernetes_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/internal/kubernetes"
	"github.com/latchkey-io/latchkey/internal/port"
)

// said is an answer with a Status.
func said(status int, reason, message string) string {
	return fmt.Sprintf(`%d {"kind":"Status","apiVersion":"v1","status":"Failure","code":%[1]d,"reason":%q,"message":%q}`, status, reason, message)
}

func TestAFailedAnswerSaysWhatMayBeDone(t *testing.T) {
	for _, c := range []struct {
		answer string
		want   error
		text   string
	}{
		{said(400, "BadRequest", "bad"), port.ErrRefused, "status 400 BadRequest bad"},
		{said(401, "Unauthorized", "Unauthorized"), port.ErrDenied, "it needs the permission patch on secrets in namespace ns: status 401 Unauthorized Unauthorized"},
		{said(403, "Forbidden", "who"), port.ErrDenied, "it needs the permission patch on secrets in namespace ns: status 403 Forbidden who"},
		{said(404, "NotFound", "none"), port.ErrConflict, "the Secret was deleted since it was read"},
		{said(409, "Conflict", "changed"), port.ErrConflict, "status 409 Conflict changed"},
		{said(410, "Expired", "old"), port.ErrRefused, "status 410 Expired old"},
		{said(422, "Invalid", "wrong"), port.ErrRefused, "status 422 Invalid wrong"},
		{said(429, "TooManyRequests", "slow"), port.ErrUnavailable, "status 429 TooManyRequests slow"},
		{said(500, "InternalError", "oops"), port.ErrUnavailable, "status 500 InternalError oops"},
		{said(503, "ServiceUnavailable", "later"), port.ErrUnavailable, "status 503 ServiceUnavailable later"},
		{said(504, "Timeout", "late"), port.ErrUnavailable, "status 504 Timeout late"},
		{said(422, "Invalid", "data is "+canary+"1"), port.ErrRefused, "status 422 (the message is left out because it quotes a secret)"},
		{said(403, "Forbidden", "exceeded quota: few"), port.ErrQuota, "status 403 Forbidden exceeded quota: few"},
		{
			`403 {"kind":"Status","status":"Failure","reason":"Forbidden","message":"x","details":{"causes":[{"reason":"Other"},{"reason":"NamespaceTerminating"}]}}`,
			port.ErrNotActive, "status 403 Forbidden x",
		},
		{`409 {"kind":"Status","status":"Failure","details":{"causes":"exceeded quota"}}`, port.ErrConflict, "status 409"},
		// Something on the way answers.
		{"401 <p>" + canary, port.ErrDenied, "it needs the permission patch on secrets in namespace ns: status 401 Unauthorized"},
		{`403 {"message":"exceeded quota"}`, port.ErrDenied, "it needs the permission patch on secrets in namespace ns: status 403 Forbidden"},
		{"404 <p>" + canary, port.ErrUnavailable, "status 404, but not in the words of Kubernetes"},
		{"409 ", port.ErrConflict, "status 409 Conflict"},
		{"422 {}", port.ErrRefused, "status 422 Unprocessable Entity"},
		{"429 <p>", port.ErrUnavailable, "status 429 Too Many Requests"},
		{`500 {"kind":"Status","status":"Success","message":"fine"}`, port.ErrUnavailable, "status 500 Internal Server Error"},
		{"503 <p>" + canary, port.ErrUnavailable, "status 503 Service Unavailable"},
		{"302 <p>", port.ErrUnavailable, "status 302 Found"},
		{`200 {"kind":"Secret","metadata":{"resourceVersion":"8"}}`, port.ErrUnavailable, "status 200, but the answer has no metadata.name"},
		{`200 {"kind":"Status","status":"Failure","reason":"Conflict"}`, port.ErrUnavailable, "status 200, but the answer has no metadata.name"},
		{`200 {"kind":"Status","status":"Success","metadata":{"name":"s"}}`, port.ErrUnavailable, "the answer has no Secret"},
		{`200 {"kind":"SecretList","metadata":{"name":"s"}}`, port.ErrUnavailable, "the answer has no Secret"},
		{`200 {"kind":"secret","metadata":{"name":"s"}}`, port.ErrUnavailable, "the answer has no Secret"},
		{`200 {"kind":["Secret"],"metadata":{"name":"s"}}`, port.ErrUnavailable, "the answer has no Secret"},
		{`200 {"metadata":{"name":"s","resourceVersion":"7"}}`, port.ErrUnavailable, "the answer has no Secret"},
		{`200 {"kind":"Secret","metadata":{"name":"t"}}`, port.ErrUnavailable, "status 200, but the answer has another metadata.name than the request"},
	} {
		s := &script{answers: []string{c.answer}}
		err := s.store(kubernetes.StoreConfig{}).Publish(t.Context(), entry(1), "7")
		if says(t, err, c.want); err.Error() != "writing Secret s of namespace ns in in-cluster: "+c.want.Error()+": "+c.text {
			t.Errorf("%s: %v", c.answer, err)
		}
	}
}

func TestAnAnswerOfAnotherKindIsNoAnswer(t *testing.T) {
	const secret = `200 {"kind":"Secret","metadata":{"name":"s","namespace":"ns","resourceVersion":"7"},"data":{"K":"dg=="}}`
	for name, c := range map[string]struct {
		answers []string
		do      func(context.Context, *script) error
		done    bool
	}{
		"a first one":                               {[]string{`201 {"kind":"Pod","metadata":{"name":"s"}}`}, publishFirst, false},
		"a first one, which the server made":        {[]string{strings.Replace(secret, "200", "201", 1)}, publishFirst, true},
		"a restart":                                 {[]string{`200 {"kind":"Deployment","metadata":{"name":"web"}}`, `200 {"kind":"Status","status":"Success","metadata":{"name":"web"}}`}, restartWeb, false},
		"the workload":                              {[]string{`200 {"kind":"DaemonSet","metadata":{"name":"web"}}`}, restartWeb, false},
		"the list of the workloads":                 {[]string{`200 {"kind":"DaemonSet","metadata":{},"items":[]}`}, listAll, false},
		"a deletion with a Status":                  {[]string{secret, `200 {"kind":"Status","status":"Success"}`}, removeEntry, true},
		"a deletion with the Secret":                {[]string{secret, secret}, removeEntry, true},
		"a deletion with a Status that says no":     {[]string{secret, `200 {"kind":"Status","status":"Failure"}`}, removeEntry, false},
		"a deletion with a Status that says little": {[]string{secret, `200 {"kind":"Status"}`}, removeEntry, false},
		"a deletion with another object":            {[]string{secret, `200 {"kind":"Pod","status":"Success"}`}, removeEntry, false},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.do(t.Context(), &script{answers: c.answers})
			if c.done && err != nil || !c.done && !errors.Is(err, port.ErrUnavailable) {
				t.Error(err)
			}
		})
	}
}

func publishFirst(ctx context.Context, s *script) error {
	return s.store(kubernetes.StoreConfig{}).Publish(ctx, entry(1), "")
}

func removeEntry(ctx context.Context, s *script) error {
	return s.store(kubernetes.StoreConfig{}).Remove(ctx, "7")
}

func restartWeb(ctx context.Context, s *script) error {
	return s.store(kubernetes.StoreConfig{Restart: kubernetes.Restart{All: true}}).Consumers().Restart(ctx, "deployment/ns/web", "ApiKey-1")
}

func listAll(ctx context.Context, s *script) error {
	_, err := s.store(kubernetes.StoreConfig{Restart: kubernetes.Restart{All: true}}).Consumers().Consumers(ctx)
	return err
}

// TestAMemberOfAnotherTypeIsAbsent: the rest of the object is read.
func TestAMemberOfAnotherTypeIsAbsent(t *testing.T) {
	for name, c := range map[string]struct {
		status string
		next   string // the key, if the rollout is not complete
		key    string
	}{
		"complete":               {`{"observedGeneration":3,"replicas":2,"updatedReplicas":2,"availableReplicas":2}`, "", "ApiKey-1"},
		"one old pod is left":    {`{"observedGeneration":3,"replicas":3,"updatedReplicas":2,"availableReplicas":2}`, "ApiKey-1", ""},
		"a number with an old":   {`{"observedGeneration":3,"replicas":"9","updatedReplicas":2,"availableReplicas":2}`, "", "ApiKey-1"},
		"not observed as a text": {`{"observedGeneration":"3","replicas":2,"updatedReplicas":2,"availableReplicas":2}`, "ApiKey-1", ""},
		"not observed, a float":  {`{"observedGeneration":3.5,"replicas":2,"updatedReplicas":2,"availableReplicas":2}`, "ApiKey-1", ""},
		"no status":              {`7`, "ApiKey-1", ""},
		"conditions that are none": {
			`{"observedGeneration":3,"replicas":3,"updatedReplicas":2,"conditions":[7,{"type":["Progressing"]}]}`, "ApiKey-1", "",
		},
		"blocked": {
			`{"observedGeneration":3,"replicas":3,"updatedReplicas":2,"conditions":[7,{"type":"Progressing","reason":"ProgressDeadlineExceeded"}]}`, "", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := &script{answers: []string{`200 {"kind":"Deployment","metadata":{"name":"web","namespace":"ns","generation":3,"annotations":[]},
				"spec":{"replicas":2,"template":{"metadata":{"annotations":{"a":1,"key-id.latchkey.dev/s.K":"ApiKey-1"}}}},"status":` + c.status + `}`}}
			all, err := s.store(kubernetes.StoreConfig{Restart: kubernetes.Restart{Names: []string{"deployment/web"}}}).Consumers().Consumers(t.Context())
			if err != nil || len(all) != 1 {
				t.Fatalf("%+v, %v", all, err)
			}
			if all[0].Key != c.key || all[0].Next != c.next {
				t.Errorf("%+v, want key %q, next %q", all[0], c.key, c.next)
			}
		})
	}
}
