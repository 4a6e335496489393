package iam

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/secret"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// maxAnswer bounds how many bytes of a token answer are read.
const maxAnswer = 1 << 20

// Exchange turns a key's value into a token, as a consumer does. No refusal is final:
// IAM gives the same answer for a key that it has not propagated yet.
func (c *Client) Exchange(ctx context.Context, v secret.Value) (port.Bearer, error) {
	const doing = "exchanging the key for a token"
	status, body, err := c.tokens.post(ctx, formOfKey(v))
	if err != nil {
		return port.Bearer{}, upstream.NoAnswer(ctx, doing, err)
	}
	if status != http.StatusOK {
		code := errorCode(body)
		no := upstream.NoToken(status, code)
		if (status == http.StatusBadRequest || status == http.StatusUnauthorized) && code != "" {
			return port.Bearer{}, fmt.Errorf("%s: %w: %w", doing, port.ErrNotYet, no)
		}
		return port.Bearer{}, fmt.Errorf("%s: %w: %w", doing, port.ErrUnavailable, no)
	}
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.AccessToken == "" {
		return port.Bearer{}, upstream.Incomplete(doing, "token")
	}
	claims, err := readClaims(answer.AccessToken)
	if err != nil {
		return port.Bearer{}, fmt.Errorf("%s: %w: %w", doing, port.ErrUnavailable, err)
	}
	return port.Bearer{IAMID: claims.IAMID, Account: claims.Account.BSS, Token: secret.New(answer.AccessToken)}, nil
}

// formOfKey requests a token for an API key.
func formOfKey(v secret.Value) url.Values {
	return url.Values{
		"grant_type":    {"urn:ibm:params:oauth:grant-type:apikey"},
		"response_type": {"cloud_iam"},
		"apikey":        {v.Expose()},
	}
}

// tokenServer is the part of IAM that issues tokens. Its client adds none of ours.
type tokenServer struct {
	url  string
	http *http.Client
}

// post requests a token. The form holds a secret, which appears in the body only.
func (s tokenServer) post(ctx context.Context, form url.Values) (status int, body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/identity/token", strings.NewReader(form.Encode()))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "latchkey")
	resp, err := s.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return resp.StatusCode, body, err
}

func errorCode(body []byte) string {
	var no struct {
		ErrorCode string `json:"errorCode"`
	}
	_ = json.Unmarshal(body, &no) // a body of another form has no code
	return upstream.PlainCode(no.ErrorCode)
}

// claims are the claims of a token. Their signature is not verified, since the
// token came from IAM over TLS.
type claims struct {
	IAMID   string `json:"iam_id"`
	Account struct {
		BSS string `json:"bss"`
	} `json:"account"`
}

var (
	errNoJWT    = errors.New("the token is not a JWT")
	errNoClaims = errors.New("the token has no iam_id or account")
)

func readClaims(jwt string) (claims, error) {
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		return claims{}, errNoJWT
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return claims{}, errNoJWT
	}
	var c claims
	if json.Unmarshal(payload, &c) != nil || c.IAMID == "" || c.Account.BSS == "" {
		return claims{}, errNoClaims
	}
	return c, nil
}
