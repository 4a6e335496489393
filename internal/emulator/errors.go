package emulator

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

type errorBody struct {
	Trace      string      `json:"trace"`
	Errors     []errorItem `json:"errors"`
	StatusCode int         `json:"status_code"`
}

type errorItem struct {
	Code        string `json:"code"`
	MessageCode string `json:"message_code,omitempty"`
	Message     string `json:"message"`
	Details     any    `json:"details,omitempty"`
	MoreInfo    string `json:"more_info,omitempty"`
}

type tokenErrorBody struct {
	Code    string       `json:"errorCode"`
	Message string       `json:"errorMessage"`
	Details string       `json:"errorDetails,omitempty"`
	Context tokenContext `json:"context"`
}

type tokenContext struct {
	RequestID   string `json:"requestId"`
	RequestType string `json:"requestType"`
	UserAgent   string `json:"userAgent"`
	URL         string `json:"url"`
	InstanceID  string `json:"instanceId"`
	ThreadID    string `json:"threadId"`
	Host        string `json:"host"`
	StartTime   string `json:"startTime"`
	EndTime     string `json:"endTime"`
	ElapsedTime string `json:"elapsedTime"`
	Locale      string `json:"locale"`
	ClusterName string `json:"clusterName"`
}

func trace() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// refuse writes an error in the format of the call's family.
func (s *Server) refuse(c *call, err error) answer {
	var e *cloud.Error
	if !errors.As(err, &e) {
		e = &cloud.Error{Status: 500, Code: "internal_error", Message: err.Error()}
	}
	if c.family == familyToken {
		code := e.MessageCode
		if code == "" {
			code = "BXNIM0011E" // any code but that of an unknown key
		}
		return answer{status: e.Status, body: tokenErrorBody{
			Code: code, Message: e.Message, Details: e.Details, Context: s.tokenErrorContext(c),
		}}
	}
	item := errorItem{Code: e.Code, MessageCode: e.MessageCode, Message: e.Message}
	if e.Details != "" {
		item.Details = e.Details
	}
	body := errorBody{Trace: c.transaction, StatusCode: e.Status}
	switch c.family {
	case familyIdentity:
		if e.Status == 403 && e.Details != "" {
			item.Details = e.Details + " Outbound transaction id '" + c.transaction + "'."
		}
	case familyPolicy:
		item.MoreInfo = "https://cloud.ibm.com/apidocs/iam-policy-management"
		if e.Conflict != nil {
			with := map[string]any{"etag": e.Conflict.ETag, "policy": e.Conflict.PolicyID}
			if e.Conflict.Policy != nil {
				with["policy"] = c.policyBody(*e.Conflict.Policy)
			}
			item.Details = map[string]any{"conflicts_with": with}
		}
	case familyCodeEngine:
		body.Trace = "codeengine-api-" + body.Trace
	}
	body.Errors = []errorItem{item}
	return answer{status: e.Status, body: body}
}

// faultAnswer is the error response of a fault.
func (s *Server) faultAnswer(c *call, status int) answer {
	code := map[int]string{
		400: "bad_request", 401: "unauthorized", 403: "forbidden", 404: "not_found", 409: "conflict", 412: "precondition_failed",
		429: "too_many_requests", 500: "internal_error", 502: "bad_gateway", 503: "service_unavailable", 504: "gateway_timeout",
	}[status]
	if code == "" {
		code = fmt.Sprintf("status_%d", status)
	}
	return s.refuse(c, &cloud.Error{Status: status, Code: code, Message: "The service cannot answer this request now."})
}
