package emulator_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

// oneLine has the time of start.
const oneLine = `[{"applicationName":"key-proof","subsystemName":"s","severity":3,"timestamp":1795514430000,"text":{"event":"key_proof"}}]`

// sendLog sends with the token of the world's identity client.
func (w *world) sendLog(body string, headers ...string) int {
	w.t.Helper()
	req, err := http.NewRequest("POST", w.URL()+"/logs/v1/singles", strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if err := w.identity.Service.Options.Authenticator.Authenticate(req); err != nil {
		w.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
	}
	r, err := w.http.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	decode(w.t, r)
	return r.StatusCode
}

// sender is an identity that may send logs by the role with that CRN.
func (w *world) sender(role string) *world {
	w.t.Helper()
	sid, key := w.Cloud().AddIdentity("sender")
	w.Cloud().Grant(sid.IAMID, "logs", role)
	return w.as(w.token(key.Value))
}

func TestLogIngestion(t *testing.T) {
	w := newWorld(t)
	w.Cloud().AddLogsInstance("11111111-2222-4333-8444-555555555555", "us-south")
	sender := w.sender(senderRole)
	host := func(h string) []string { return []string{"Host", h} }
	for name, test := range map[string]struct {
		who     *world
		body    string
		headers []string
		want    int
	}{
		"a sender is accepted":                       {sender, oneLine, nil, 200},
		"the other spelling of the role is accepted": {w.sender(iamSender), oneLine, nil, 200},
		"text may be a string":                       {sender, strings.Replace(oneLine, `{"event":"key_proof"}`, `"t"`, 1), nil, 200},
		"no token is refused":                        {w.as(""), oneLine, nil, 401},
		"a forged token is refused":                  {w.as("a.b.c"), oneLine, nil, 401},
		"an identity without Sender is refused":      {w.stranger(), oneLine, nil, 403},
		"a manager is accepted":                      {w.sender("crn:v1:bluemix:public:iam::::serviceRole:Manager"), oneLine, nil, 200},
		"a writer is accepted":                       {w.sender("crn:v1:bluemix:public:iam::::serviceRole:Writer"), oneLine, nil, 200},
		"a reader is refused":                        {w.sender("crn:v1:bluemix:public:iam::::serviceRole:Reader"), oneLine, nil, 403},
		"an administrator is refused":                {w.sender("crn:v1:bluemix:public:iam::::role:Administrator"), oneLine, nil, 403},
		"an object is no list":                       {sender, `{}`, nil, 400},
		"broken JSON is refused":                     {sender, `[{`, nil, 400},
		"an entry without an application is refused": {sender, strings.Replace(oneLine, "key-proof", "", 1), nil, 400},
		"an entry without text is refused":           {sender, `[{"applicationName":"a","subsystemName":"s"}]`, nil, 400},
		"a severity of 7 is refused":                 {sender, strings.Replace(oneLine, `"severity":3`, `"severity":7`, 1), nil, 400},
		"more than 2 MB are refused":                 {sender, "[" + strings.Repeat(" ", 2<<20) + "]", nil, 413},
		"exactly 2 MB are accepted":                  {sender, oneLine + strings.Repeat(" ", 2<<20-len(oneLine)), nil, 200},
		"the instance may be named by the host":      {sender, oneLine, host("11111111-2222-4333-8444-555555555555.ingress.us-south.logs.cloud.ibm.com"), 200},
		"the private host is known":                  {sender, oneLine, host("11111111-2222-4333-8444-555555555555.ingress.private.us-south.logs.cloud.ibm.com:443"), 200},
		"an instance that is not there is not found": {sender, oneLine, host("11111111-2222-4333-8444-666666666666.ingress.us-south.logs.cloud.ibm.com"), 404},
		"an instance in another region is not found": {sender, oneLine, host("11111111-2222-4333-8444-555555555555.ingress.eu-de.logs.cloud.ibm.com"), 404},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(w.Lines())
			if got := test.who.sendLog(test.body, test.headers...); got != test.want {
				t.Errorf("status %d, want %d", got, test.want)
			}
			if kept := len(w.Lines()) - before; (kept == 1) != (test.want == 200) {
				t.Errorf("%d lines were kept", kept)
			}
		})
	}
}

func TestSenderOfOneInstanceIsNoSenderOfAnother(t *testing.T) {
	w := newWorld(t)
	const other = "11111111-2222-4333-8444-555555555555"
	w.Cloud().AddLogsInstance(other, "eu-de")
	sid, key := w.Cloud().AddIdentity("sender")
	done(w.policies.CreateV2Policy(w.senderPolicy(sid.IAMID)))(t)
	sender := w.as(w.token(key.Value))
	if got := sender.sendLog(oneLine); got != 200 {
		t.Errorf("its own instance: status %d", got)
	}
	if got := sender.sendLog(oneLine, "Host", other+".ingress.eu-de.logs.cloud.ibm.com"); got != 403 {
		t.Errorf("the other instance: status %d", got)
	}
	lines := w.Lines()
	if len(lines) != 1 || lines[0].Sender != sid.IAMID || lines[0].Instance != cloud.LogsInstanceID || string(lines[0].Text) != `{"event":"key_proof"}` {
		t.Errorf("lines %+v", lines)
	}
	w.Cloud().Revoke(sid.IAMID, "logs")
	if got := sender.sendLog(oneLine); got != 403 {
		t.Errorf("after the policy was taken away: status %d", got)
	}
}

func TestRejectedLogsAreReportedWith200(t *testing.T) {
	w := newWorld(t)
	w.raw("POST", "/emulator/settings", `{"rejectLogs":true}`)
	r, body := w.raw("POST", "/logs/v1/singles", oneLine, "Authorization", w.bearer())
	if r.StatusCode != 200 || body["rejected"] != 1.0 {
		t.Errorf("answer %d %v", r.StatusCode, body)
	}
	if len(w.Lines()) != 0 {
		t.Error("a rejected line was kept")
	}
}

func TestLogEntriesAreRejectedByTheirAge(t *testing.T) {
	w := newWorld(t)
	at := func(d time.Duration) string {
		return strings.Replace(strings.Trim(oneLine, "[]"), "1795514430000", strconv.FormatInt(start.Add(d).UnixMilli(), 10), 1)
	}
	for name, test := range map[string]struct {
		entries  []string
		rejected any
	}{
		"an entry of this moment is accepted":                {[]string{at(0)}, nil},
		"an entry of 24 hours ago is accepted":               {[]string{at(-24 * time.Hour)}, nil},
		"an entry older than 24 hours is rejected":           {[]string{at(-24*time.Hour - time.Millisecond)}, 1.0},
		"an entry of 4 hours ahead is accepted":              {[]string{at(4 * time.Hour)}, nil},
		"an entry more than 4 hours ahead is rejected":       {[]string{at(4*time.Hour + time.Millisecond)}, 1.0},
		"the others of the same request are accepted":        {[]string{at(-25 * time.Hour), at(0), at(5 * time.Hour)}, 2.0},
		"an entry without a timestamp has the time it comes": {[]string{`{"applicationName":"a","subsystemName":"s","text":"t"}`}, nil},
		"seconds instead of milliseconds are too old":        {[]string{strings.Replace(at(0), "000,", ",", 1)}, 1.0},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(w.Lines())
			r, body := w.raw("POST", "/logs/v1/singles", "["+strings.Join(test.entries, ",")+"]", "Authorization", w.bearer())
			if r.StatusCode != 200 || body["rejected"] != test.rejected {
				t.Errorf("answer %d %v, want %v rejected", r.StatusCode, body, test.rejected)
			}
			rejected, _ := test.rejected.(float64)
			if kept := len(w.Lines()) - before; kept != len(test.entries)-int(rejected) {
				t.Errorf("%d lines were kept", kept)
			}
		})
	}
	w.raw("POST", "/emulator/settings", `{"switches":{"logsAgeStatus":400}}`)
	if r, _ := w.raw("POST", "/logs/v1/singles", "["+at(0)+","+at(-25*time.Hour)+"]", "Authorization", w.bearer()); r.StatusCode != 400 {
		t.Errorf("with the switch: status %d", r.StatusCode)
	}
}
