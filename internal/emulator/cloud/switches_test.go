package cloud_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/latchkey-io/latchkey/internal/emulator/cloud"
)

func TestEverySwitchIsNamedGuessedAndExplained(t *testing.T) {
	list := cloud.SwitchList()
	if n := reflect.TypeFor[cloud.Switches]().NumField(); len(list) != n {
		t.Fatalf("%d of %d fields are listed", len(list), n)
	}
	text, err := json.Marshal(cloud.DefaultSwitches())
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	if err := json.Unmarshal(text, &values); err != nil {
		t.Fatal(err)
	}
	for _, w := range list {
		if w.Name == "" || w.Guess == "" || len(w.Meaning) < 10 || strings.HasSuffix(w.Meaning, ".") {
			t.Errorf("switch %+v", w)
		}
		value, ok := values[w.Name]
		if s, isText := value.(string); !ok || isText && s != w.Guess {
			t.Errorf("the default of %s is %v, not %s", w.Name, value, w.Guess)
		} else if b, _ := json.Marshal(value); !isText && string(b) != w.Guess {
			t.Errorf("the default of %s is %s, not %s", w.Name, b, w.Guess)
		}
	}
}

func TestTurningASwitch(t *testing.T) {
	s := cloud.DefaultSwitches()
	for name, text := range map[string]string{
		"staleIdentityStatus": "412", "pastExpiryRefused": "false", "unusableKeyCode": "a = b", "policyPageSize": "7",
	} {
		if err := s.Turn(name, text); err != nil {
			t.Error(err)
		}
	}
	if s.StaleIdentityStatus != 412 || s.PastExpiryRefused || s.UnusableKeyCode != "a = b" || s.PolicyPageSize != 7 {
		t.Errorf("%+v", s)
	}
	before := s
	for name, text := range map[string]string{
		"staleIdentityStatus": "99", "quotaStatus": "200", "lockedStatus": "often", "pastExpiryRefused": "maybe",
		"policyPageSize": "101", "nothing": "1", "": "1",
	} {
		if err := s.Turn(name, text); err == nil {
			t.Errorf("%s=%s is accepted", name, text)
		}
	}
	if s != before {
		t.Errorf("a refused change changes %+v", s)
	}
}
