package emulator

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

// Where IAM's answers come from.
const (
	iamHost    = "emulator-iam"
	iamCluster = "emulator-iam-id-eu-de"
)

// iamHeaders sets the headers of IAM's answers as they were recorded. Those of
// the other services are not known to have them.
func (c *call) iamHeaders(h http.Header) {
	switch c.family {
	case familyToken:
		h.Set("Cache-Control", "no-store")
		h.Set("Pragma", "no-cache")
		h.Set("Expires", "0")
		h.Set("Content-Language", "en-US")
	case familyIdentity:
		h.Set("Content-Language", "en-US")
	case familyPolicy, familyGroup:
	default:
		return
	}
	h.Set("Transaction-Id", c.transaction)
}

// iamTime formats a time as IAM's contexts do.
func iamTime(t time.Time) string {
	t = t.UTC()
	return t.Format("02.01.2006 15:04:05") + fmt.Sprintf(":%03d UTC", t.Nanosecond()/int(time.Millisecond))
}

// tokenErrorContext is the context of an error of /identity/token, with all the
// fields of recorded answers.
func (s *Server) tokenErrorContext(c *call) tokenContext {
	end := s.Now()
	kind := "incoming.Identity_Token"
	if strings.HasSuffix(c.request.URL.Path, "/keys") {
		kind = "incoming.Identity_Keys"
	}
	return tokenContext{
		RequestID: c.transaction, RequestType: kind, UserAgent: c.header("User-Agent"), URL: c.origin(), InstanceID: iamHost,
		ThreadID: c.transaction[:6], Host: iamHost, StartTime: iamTime(c.began), EndTime: iamTime(end),
		ElapsedTime: strconv.FormatInt(max(0, end.Sub(c.began).Milliseconds()), 10), Locale: "en_US", ClusterName: iamCluster,
	}
}

// identityContext is the context that answers of IAM identity have.
func (c *call) identityContext(operation string) object {
	return object{"transaction_id": c.transaction, "operation": operation, "user_agent": c.header("User-Agent"), "url": c.origin(),
		"instance_id": iamHost, "thread_id": c.transaction[:6], "host": iamHost, "start_time": iamTime(c.began),
		"end_time": iamTime(c.began), "elapsed_time": "0", "cluster_name": iamCluster}
}

// unauthenticated is the rejection of a call without a valid token. IAM
// identity has a code of its own for a missing header.
func (c *call) unauthenticated() *cloud.Error {
	e := &cloud.Error{Status: 401, Code: c.family.unauthenticated, Message: "Provided access token is missing, invalid or expired."}
	if c.family == familyIdentity && c.header("Authorization") == "" {
		e.MessageCode, e.Message = "BXNIM0308E", "No authorization header found"
	}
	return e
}

// keys answers with the public keys of the tokens' signatures.
func (s *Server) keys(*call) (answer, error) {
	return answer{status: 200, body: object{"keys": s.cloud.Keys()}}, nil
}

// tokenMethods rejects the methods that /identity/token does not have.
var tokenMethods = route{pattern: "/identity/token", family: familyToken, handle: func(*Server, *call) (answer, error) {
	return answer{}, &cloud.Error{Status: 405, MessageCode: "BXNIM0060E",
		Message: "Web application exception 'javax.ws.rs.ClientErrorException' during request processing.",
		Details: "HTTP 405 Method Not Allowed"}
}}

func (s *Server) getAccountSettings(c *call) (answer, error) {
	x, err := s.cloud.AccountSettings(c.actor, c.path("account"), c.flag("include_history"))
	if err != nil {
		return answer{}, err
	}
	return c.accountSettings("get", x), nil
}

func (s *Server) updateAccountSettings(c *call) (answer, error) {
	var change cloud.AccountSettingsChange
	if err := c.json(&change); err != nil {
		return answer{}, err
	}
	x, err := s.cloud.UpdateAccountSettings(c.actor, c.path("account"), c.header("If-Match"), change)
	if err != nil {
		return answer{}, err
	}
	return c.accountSettings("update", x), nil
}

func (c *call) accountSettings(operation string, x cloud.AccountSettings) answer {
	out := fields(x, cloud.FormatTime, "history")
	out["history"], out["context"] = views(x.History, historyBody), c.identityContext(operation)
	return answer{status: 200, etag: x.EntityTag, body: out, id: x.AccountID}
}
