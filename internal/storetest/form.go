package storetest

import (
	"fmt"
	"time"

	"github.com/latchkey-io/latchkey/internal/format"
)

// Form returns a form for a run of the contract: a docker config and, if several is
// set, two further entries.
func Form(several bool) *format.Form {
	f := &format.Form{
		Facts: format.Facts{Credential: "storetest", Expire: 90 * 24 * time.Hour},
		First: text(format.DockerConfig("de.icr.io", format.IBMUser)),
	}
	if several {
		f.More = []format.Entry{{Name: "kafka.jaas", Text: text(format.JAAS("token"))}, {Name: "key-id", Text: text("{{.ID}} {{.Expires}}")}}
	}
	return f
}

func text(source string) *format.Text {
	t, err := format.Parse(source)
	if err != nil {
		panic(fmt.Sprintf("parsing a template of the suite: %v", err))
	}
	return t
}
