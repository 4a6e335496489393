package main

import (
	"github.com/latchkey-io/latchkey/internal/config"
	"github.com/latchkey-io/latchkey/internal/logs"
	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/proof"
)

// provers builds the proofs of a credential.
func (b *credentialBuilder) provers(p config.Prove) (provers []port.Prover) {
	if p.Logs != nil {
		provers = append(provers, b.logsProver(*p.Logs))
	}
	return append(provers, b.httpProvers(p.HTTP)...)
}

func (b *credentialBuilder) logsProver(proof config.LogsProof) port.Prover {
	return logs.New(logs.Config{
		HTTP: b.cloud.http, Endpoint: b.cloud.endpoint, Instance: proof.Instance, Region: proof.Region, Private: b.cloud.private,
	})
}

// httpProvers builds the proofs by HTTP. Those of what the key may do come first: until
// IAM knows a key, it denies everything.
func (b *credentialBuilder) httpProvers(all []config.HTTPProof) (provers []port.Prover) {
	var denied []port.Prover
	for _, h := range all {
		p, err := proof.New(proof.Config{
			HTTP: b.cloud.http, Endpoint: b.cloud.endpoint, At: h.At, Request: b.request(h),
			Expect: h.Expect, Deny: h.Deny, RetryOn: h.RetryOn, Wait: h.Wait, Account: b.account,
		})
		switch {
		case err != nil:
			panic(err) // the config has checked the URL
		case h.Deny:
			denied = append(denied, p)
		default:
			provers = append(provers, p)
		}
	}
	return append(provers, denied...)
}

// request returns what a proof sends.
func (b *credentialBuilder) request(h config.HTTPProof) proof.Request {
	private := b.cloud.private
	switch {
	case h.Logs != nil:
		return proof.Logs(h.Logs.Instance, h.Logs.Region, private)
	case h.Objects != nil:
		return proof.Objects(h.Objects.Bucket, h.Objects.Region, h.Objects.Object, h.Objects.Do, private)
	case h.Topic != nil:
		return proof.Topic(h.Topic.Server, h.Topic.Topic, h.Topic.Do)
	case h.Image != nil:
		return proof.Image(h.Image.Host, h.Image.Image, private)
	case h.Secrets != nil:
		return proof.Secrets(h.Secrets.Instance, h.Secrets.Region, private)
	}
	return proof.Request{Method: h.Method, URL: h.URL, Body: h.Body, ContentType: "application/json"}
}
