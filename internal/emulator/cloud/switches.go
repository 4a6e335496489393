package cloud

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
)

// Switches are the points where IBM's documents, SDK sources and recorded
// answers do not say what the service does. The tags of a field are all that is
// known of it: its name outside of Go, the guess that [DefaultSwitches] makes,
// and what it means. A program that is right about IBM Cloud must work with any
// other choice, too.
type Switches struct {
	DuplicateKeyValueStatus int    `json:"duplicateKeyValueStatus" guess:"409" help:"answers the creation of a key whose value is taken already"`
	StaleIdentityStatus     int    `json:"staleIdentityStatus" guess:"409" help:"answers a PUT on a service ID or key whose If-Match names another revision; 412 is the other candidate"`
	StalePolicyStatus       int    `json:"stalePolicyStatus" guess:"409" help:"is the same for policies and access groups"`
	StaleCodeEngineStatus   int    `json:"staleCodeEngineStatus" guess:"412" help:"is the same for Code Engine"`
	MissingIfMatchStatus    int    `json:"missingIfMatchStatus" guess:"400" help:"answers a PUT or PATCH without If-Match"`
	LockedStatus            int    `json:"lockedStatus" guess:"409" help:"answers a change or deletion of something locked"`
	LockedTakesKeys         bool   `json:"lockedTakesKeys" guess:"true" help:"lets keys be created for a locked service ID: the documents forbid its change, its deletion and its policies only"`
	IdentityLimitStatus     int    `json:"identityLimitStatus" guess:"409" help:"answers the 21st key of an identity, and the service ID, group or policy above its limit"`
	MissingIDGroupStatus    int    `json:"missingIDGroupStatus" guess:"404" help:"answers the creation of a service ID in a group that is not there"`
	IDGroupConflictStatus   int    `json:"idGroupConflictStatus" guess:"409" help:"answers a second service ID group of the same name, and the deletion of one that has service IDs"`
	UnusableKeyCode         string `json:"unusableKeyCode" guess:"BXNIM0415E" help:"is the errorCode for a disabled or expired key at /identity/token: that of an unknown key"`
	UnusableKeyStatus       int    `json:"unusableKeyStatus" guess:"400" help:"is the status that goes with it"`
	PastExpiryRefused       bool   `json:"pastExpiryRefused" guess:"true" help:"refuses, with 400, an expires_at that is not in the future"`
	DeletedKeysLive         bool   `json:"deletedKeysLive" guess:"true" help:"lets a deleted key authenticate for the key lag"`
	LagHidesServiceIDs      bool   `json:"lagHidesServiceIDs" guess:"true" help:"applies the list lag to lists of service IDs"`
	DeletedListed           bool   `json:"deletedListed" guess:"true" help:"keeps deleted service IDs and keys in lists for the list lag"`

	AskedRolesEchoed      bool   `json:"askedRolesEchoed" guess:"true" help:"makes the 201 of a policy show the roles that were asked for although the stored policy holds fewer, because its creator lacks some"`
	NothingGrantedRole    string `json:"nothingGrantedRole" guess:"crn:v1:bluemix:public:iam::::role:Viewer" help:"is what a policy keeps when its creator holds none of the roles it asked for"`
	ConflictComparesRoles bool   `json:"conflictComparesRoles" guess:"true" help:"makes two policies of the same type, subject and resource a conflict only if they ask for the same roles"`
	ConflictShowsPolicy   bool   `json:"conflictShowsPolicy" guess:"false" help:"puts the whole existing policy into the conflict's details where the SDK's model has its ID; answers recorded in 2023 do that"`
	PolicyPageSize        int    `json:"policyPageSize" guess:"50" help:"is the page size of a list of policies that names none"`
	PlaceholderText       string `json:"placeholderText" guess:"unsupported version" help:"stands in the roles and resources that version 1 shows for a policy of version 2"`
	GroupConflictStatus   int    `json:"groupConflictStatus" guess:"409" help:"answers a second access group of the same name, and the deletion, without force, of one that has members"`
	LockedSubjectStatus   int    `json:"lockedSubjectStatus" guess:"409" help:"answers a policy for a locked service ID"`

	ExistingCodeEngineStatus int  `json:"existingCodeEngineStatus" guess:"409" help:"answers a POST of something whose name is taken"`
	QuotaStatus              int  `json:"quotaStatus" guess:"403" help:"answers what exceeds a Code Engine quota"`
	InactiveProjectStatus    int  `json:"inactiveProjectStatus" guess:"409" help:"answers secrets and apps of a project that is not active"`
	VersionlessIsOldest      bool `json:"versionlessIsOldest" guess:"false" help:"treats a Code Engine request without ?version= as one of before 2024-05-13, when CE_ variables were mixed into run_env_variables"`

	ExistingSecretStatus   int  `json:"existingSecretStatus" guess:"409" help:"answers a POST to Secrets Manager of a secret, secret group or configuration whose name is taken"`
	SecretNamesPerGroup    bool `json:"secretNamesPerGroup" guess:"false" help:"lets secrets of one type have one name in several groups; the page of known issues says they can't"`
	SecretLimitStatus      int  `json:"secretLimitStatus" guess:"403" help:"answers the secret group or configuration above its limit"`
	GroupWithSecretsStatus int  `json:"groupWithSecretsStatus" guess:"409" help:"answers the deletion of a secret group or configuration that has secrets, and of a secret that a configuration refers to"`
	DestroyedSecretStatus  int  `json:"destroyedSecretStatus" guess:"412" help:"answers a new version or expiration date of a secret that has expired"`
	BusySecretStatus       int  `json:"busySecretStatus" guess:"409" help:"answers the rotation of custom credentials while a task makes some"`

	LogsSuccessBody string `json:"logsSuccessBody" guess:"{}" help:"is the body of a fully accepted ingestion"`
	LogsTokenStatus int    `json:"logsTokenStatus" guess:"401" help:"answers an ingestion with a bad or absent token"`
}

// Switch is one of the [Switches].
type Switch struct {
	Name    string // as in JSON
	Guess   string // the default
	Meaning string // a sentence without its subject, which is the name
}

// SwitchList names all switches, in their order.
func SwitchList() []Switch {
	var list []Switch
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Switches]()) {
		list = append(list, Switch{Name: f.Tag.Get("json"), Guess: f.Tag.Get("guess"), Meaning: f.Tag.Get("help")})
	}
	return list
}

// DefaultSwitches are the documented guesses.
func DefaultSwitches() Switches { return guesses() }

var guesses = sync.OnceValue(func() Switches {
	var s Switches
	for _, w := range SwitchList() {
		if err := s.Turn(w.Name, w.Guess); err != nil {
			panic("reading a guess: " + err.Error()) // a mistake in a tag
		}
	}
	return s
})

// Turn sets the switch of the name to what the text says. An error names the
// switch, and nothing is changed.
func (s *Switches) Turn(name, text string) error {
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Switches]()) {
		if f.Tag.Get("json") != name {
			continue
		}
		next := *s
		v := reflect.ValueOf(&next).Elem().FieldByIndex(f.Index)
		switch v.Kind() {
		case reflect.Bool:
			on, err := strconv.ParseBool(text)
			if err != nil {
				return fmt.Errorf("switch %s: %q is neither true nor false", name, text)
			}
			v.SetBool(on)
		case reflect.Int:
			n, err := strconv.Atoi(text)
			if err != nil {
				return fmt.Errorf("switch %s: %q is no number", name, text)
			}
			v.SetInt(int64(n))
		default:
			v.SetString(text)
		}
		if err := next.Check(); err != nil {
			return err
		}
		*s = next
		return nil
	}
	return fmt.Errorf("there is no switch %q", name)
}

// Check refuses what no server can answer with. What is not set yet passes.
func (s Switches) Check() error {
	v := reflect.ValueOf(s)
	for _, f := range reflect.VisibleFields(v.Type()) {
		if f.Type.Kind() != reflect.Int {
			continue
		}
		n, name := v.FieldByIndex(f.Index).Int(), f.Tag.Get("json")
		switch status := strings.HasSuffix(name, "Status"); {
		case status && n != 0 && (n < 400 || n > 599):
			return fmt.Errorf("switch %s: %d is not the status of a refusal, from 400 to 599", name, n)
		case !status && (n < 0 || n > 100):
			return fmt.Errorf("switch %s: %d is not from 0 to 100", name, n)
		}
	}
	return nil
}
