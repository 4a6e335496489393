package upstream

import (
	"net/http"

	"github.com/latchkey-io/latchkey/internal/port"
)

// The upstreams of latchkey.
var (
	// IAM is IBM Cloud IAM. Its documents name 409 for a stale version of a
	// service ID; HTTP specifies 412. They name neither status nor code of
	// an exceeded limit, such as 2,000 service IDs. The 21st key of an identity is a
	// 422 with the message code BXNIM0151E
	// (https://github.com/IBM-Cloud/terraform-provider-ibm/issues/3626).
	IAM = API{
		Name: "IAM", Absent: ownError, Routes: iamRoutes,
		Meanings: map[int]error{
			http.StatusPreconditionFailed: port.ErrConflict,
			http.StatusLocked:             port.ErrDenied,
		},
		QuotaCodes:    true,
		QuotaMessages: []string{"BXNIM0151E"},
		Redact:        true,
	}
	// CodeEngine is IBM Cloud Code Engine. Its documents name neither status nor
	// code of an exceeded quota, nor whether a stale entity tag is a 409 or a 412.
	CodeEngine = API{
		Name: "Code Engine", Absent: ownProject, Routes: codeEngineRoutes,
		Meanings:   map[int]error{http.StatusPreconditionFailed: port.ErrConflict},
		QuotaCodes: true,
	}
	// SecretsManager is IBM Cloud Secrets Manager. A 412 is a lock, which is
	// documented, or an expired secret, which is a guess. A person must resolve
	// both.
	SecretsManager = API{
		Name: "Secrets Manager", Absent: ownError, Routes: secretsManagerRoutes,
		Explain: map[int]string{
			http.StatusPreconditionFailed: "its previous version is locked as in use, or it has expired and must be deleted",
		},
		QuotaCodes: true,
	}
	// CloudLogs is the ingestion endpoint of IBM Cloud Logs. A 401 or 403 may be
	// the lag of a token or a policy. Neither the body of a success nor that of a
	// rejection is documented.
	CloudLogs = API{
		Name: "Cloud Logs", Absent: ownError, Routes: []Route{{Method: post, Path: "/logs/v1/singles", Free: true}},
		Meanings: map[int]error{
			http.StatusUnauthorized: port.ErrNotYet,
			http.StatusForbidden:    port.ErrNotYet,
			http.StatusNotFound:     port.ErrRefused,
			http.StatusConflict:     port.ErrRefused,
		},
		Explain: map[int]string{
			http.StatusUnauthorized: "the Sender role is not effective",
			http.StatusForbidden:    "the Sender role is not effective",
		},
		Redact: true,
	}
	// ResourceController lists the service instances of the account.
	ResourceController = API{
		Name: "the resource controller", Absent: ownError, Routes: []Route{{Method: get, Path: "/v2/resource_instances", Has: []string{"resources[]"}}},
	}
	// Kubernetes is an API server. A 401 means that our credential is not valid: a
	// person must replace it.
	Kubernetes = API{
		Name: "Kubernetes", Absent: ownStatus, Routes: kubernetesRoutes,
		Meanings: map[int]error{http.StatusUnauthorized: port.ErrDenied},
	}
	// Vault is HashiCorp Vault or OpenBao. A failed check-and-set is a 400; a 412
	// means that a standby has not caught up.
	// A mount may have slashes, so Vault's routes are in its adapter.
	Vault = API{
		Name: "a vault", Absent: ownList,
		Meanings: map[int]error{
			http.StatusUnauthorized:       port.ErrDenied,
			http.StatusConflict:           port.ErrRefused,
			http.StatusPreconditionFailed: port.ErrUnavailable,
		},
	}
)
