package cloud

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
)

// Switches are the points where IBM's documents, SDK sources and recorded
// answers do not say what the service does. The tags of a field have its
// external name, the guess that [DefaultSwitches] makes, and its meaning. A
// correct program works with any other choice, too.
type Switches struct {
	DuplicateKeyValueStatus  int    `json:"duplicateKeyValueStatus" guess:"409" help:"is the status for creating a key with a value that another key has"`
	StaleIdentityStatus      int    `json:"staleIdentityStatus" guess:"409" help:"is the status for a PUT on a service ID or key whose If-Match names another revision; the other candidate is 412"`
	StalePolicyStatus        int    `json:"stalePolicyStatus" guess:"409" help:"is the same for policies and access groups"`
	StaleCodeEngineStatus    int    `json:"staleCodeEngineStatus" guess:"412" help:"is the same for Code Engine"`
	MissingIfMatchStatus     int    `json:"missingIfMatchStatus" guess:"400" help:"is the status for a PUT or PATCH without If-Match"`
	LockedStatus             int    `json:"lockedStatus" guess:"409" help:"is the status for changing or deleting something locked"`
	LockedTakesKeys          bool   `json:"lockedTakesKeys" guess:"true" help:"allows creating keys for a locked service ID: the documents forbid changes to it, its deletion and changes to its policies only"`
	IdentityLimitStatus      int    `json:"identityLimitStatus" guess:"409" help:"is the status for a service ID, group or policy above its limit; an API key above its limit gets 422"`
	KeyLimitCode             string `json:"keyLimitCode" guess:"unprocessable_entity" help:"is the code that goes with BXNIM0151E for an API key above the limit"`
	UpdateKeepsLeakAction    bool   `json:"updateKeepsLeakAction" guess:"true" help:"keeps the action_when_leaked of a key that is updated without it; false resets it to disable"`
	KeysNeedAdministrator    bool   `json:"keysNeedAdministrator" guess:"false" help:"lets only an Administrator change the API keys of other service IDs, as one page says; the table of roles names Operator and Editor, too"`
	ProgramsCreateServiceIDs bool   `json:"programsCreateServiceIDs" guess:"false" help:"lets service IDs and trusted profiles without a role create service IDs, as every user may"`
	MissingIDGroupStatus     int    `json:"missingIDGroupStatus" guess:"404" help:"is the status for creating a service ID in an unknown group"`
	IDGroupConflictStatus    int    `json:"idGroupConflictStatus" guess:"409" help:"is the status for a second service ID group with the same name, and for deleting one that has service IDs"`
	UnusableKeyCode          string `json:"unusableKeyCode" guess:"BXNIM0415E" help:"is the errorCode of /identity/token for a disabled or expired key; the guess is that of an unknown key"`
	UnusableKeyStatus        int    `json:"unusableKeyStatus" guess:"400" help:"is the status that goes with unusableKeyCode"`
	LinkNameChecked          bool   `json:"linkNameChecked" guess:"true" help:"compares the name in a profile's link to a cluster with the service account of the token; one page has the name of the cluster there"`
	PastExpiryRefused        bool   `json:"pastExpiryRefused" guess:"true" help:"rejects an expires_at that is not in the future with 400"`
	DeletedKeysLive          bool   `json:"deletedKeysLive" guess:"true" help:"lets a deleted key authenticate for the key lag"`
	LagHidesServiceIDs       bool   `json:"lagHidesServiceIDs" guess:"true" help:"applies the list lag to lists of service IDs"`
	DeletedListed            bool   `json:"deletedListed" guess:"true" help:"keeps deleted service IDs and keys in lists for the list lag"`

	AskedRolesEchoed          bool   `json:"askedRolesEchoed" guess:"true" help:"shows all requested roles in the 201 of a policy, even if the stored policy has fewer because its creator lacks some"`
	NothingGrantedRole        string `json:"nothingGrantedRole" guess:"crn:v1:bluemix:public:iam::::role:Viewer" help:"is the role of a policy whose creator holds none of the requested roles"`
	ConflictComparesRoles     bool   `json:"conflictComparesRoles" guess:"true" help:"makes two policies with the same type, subject and resource conflict only if they request the same roles"`
	ConflictShowsPolicy       bool   `json:"conflictShowsPolicy" guess:"true" help:"puts the whole existing policy into the conflict's details, as every recorded answer does, where the SDK's model has its ID"`
	SubjectNeedsAdministrator bool   `json:"subjectNeedsAdministrator" guess:"false" help:"takes an Administrator of IAM Identity or of access management, in addition to one of the policy's resource, to give a policy to a service ID that another identity created, as the table of roles can be read"`
	PolicyPageSize            int    `json:"policyPageSize" guess:"50" help:"is the default page size of lists of policies"`
	GroupConflictStatus       int    `json:"groupConflictStatus" guess:"409" help:"is the status for a second access group with the same name, and for deleting one that has members without force"`
	LockedSubjectStatus       int    `json:"lockedSubjectStatus" guess:"409" help:"is the status for a policy of a locked service ID"`

	ExistingCodeEngineStatus int    `json:"existingCodeEngineStatus" guess:"409" help:"is the status for a POST to Code Engine with a name that exists"`
	ProjectNamesPerRegion    bool   `json:"projectNamesPerRegion" guess:"false" help:"allows a project's name once in a region, as one sentence of the page on projects says; another one says once in a resource group and region"`
	QuotaStatus              int    `json:"quotaStatus" guess:"403" help:"is the status for exceeding a Code Engine quota"`
	InactiveProjectStatus    int    `json:"inactiveProjectStatus" guess:"409" help:"is the status for secrets and apps of a project that is not active"`
	InvalidCodeEngineStatus  int    `json:"invalidCodeEngineStatus" guess:"400" help:"is the status for a field of a Code Engine request that breaks a rule; the other candidate is 422"`
	NewestRevisionStatus     int    `json:"newestRevisionStatus" guess:"409" help:"is the status for deleting the newest revision of an app"`
	OversizedJobStatus       int    `json:"oversizedJobStatus" guess:"400" help:"is the status for a job or job run of more than 10 KiB"`
	AnyFunctionMemory        bool   `json:"anyFunctionMemory" guess:"false" help:"allows functions other pairs of CPU and memory than the three of the documents, such as 1 and 1G in the SDK's example"`
	FailedRolloutStatus      string `json:"failedRolloutStatus" guess:"warning" help:"is the status of an app whose newest revision failed while an older one serves; the other candidates are failed and ready"`
	VPENotEnabled            bool   `json:"vpeNotEnabled" guess:"false" help:"shows all Code Engine projects as not enabled for virtual private endpoints"`
	MissingBuildStatus       int    `json:"missingBuildStatus" guess:"0" help:"is the status for a build run of a build that does not exist; 0 accepts the run, which fails with build_not_found"`
	SuitePlaceholders        bool   `json:"suitePlaceholders" guess:"false" help:"accepts what the generated suite of IBM's Code Engine SDK sends and no service could take: the name or If-Match testString, and the deletion of something that is gone or in a deleted project"`
	VersionlessIsOldest      bool   `json:"versionlessIsOldest" guess:"false" help:"treats a Code Engine request without ?version= as one from before 2024-05-13, when run_env_variables included the CE_ variables"`

	ExistingSecretStatus   int  `json:"existingSecretStatus" guess:"409" help:"is the status for a POST to Secrets Manager of a secret, secret group or configuration with a name that exists"`
	SecretNamesPerGroup    bool `json:"secretNamesPerGroup" guess:"false" help:"allows secrets of one type to have the same name in several groups; the page of known issues says they cannot"`
	SecretLimitStatus      int  `json:"secretLimitStatus" guess:"403" help:"is the status for a secret group or configuration above its limit"`
	GroupWithSecretsStatus int  `json:"groupWithSecretsStatus" guess:"409" help:"is the status for deleting a secret group or configuration that has secrets, or a secret that a configuration refers to"`
	DestroyedSecretStatus  int  `json:"destroyedSecretStatus" guess:"412" help:"is the status for a new version or expiration date of an expired secret"`
	BusySecretStatus       int  `json:"busySecretStatus" guess:"409" help:"is the status for rotating custom credentials while a task creates some, and for locking a secret whose tasks are not done"`

	UndeletedCredentialsStatus int    `json:"undeletedCredentialsStatus" guess:"409" help:"is the status for deleting custom credentials without force_delete while a version has credentials at its provider"`
	UnderscoresInSecretNames   bool   `json:"underscoresInSecretNames" guess:"false" help:"allows underscores in names of secrets: the page of limits does not"`
	VersionDataDeleteRole      string `json:"versionDataDeleteRole" guess:"Manager" help:"is the role that may delete a version's data, which the page of roles does not have"`
	UsedRegistrationStatus     int    `json:"usedRegistrationStatus" guess:"409" help:"is the status for registering an instance of Secrets Manager with Event Notifications twice"`

	LeakIgnoresLock bool `json:"leakIgnoresLock" guess:"true" help:"lets IBM's scanner disable or delete a leaked key that is locked"`

	NotificationTimeChecked bool `json:"notificationTimeChecked" guess:"true" help:"rejects an event for Event Notifications whose time is not of RFC 3339: the specification of the payload asks for it, but an example of another page has another form"`

	LogsSuccessBody string `json:"logsSuccessBody" guess:"{}" help:"is the body of the answer when all log entries are accepted"`
	LogsAgeStatus   int    `json:"logsAgeStatus" guess:"0" help:"is the status for a request with a log entry older than 24 hours or more than 4 hours ahead; 0 accepts the others and reports it"`
	LogsTokenStatus int    `json:"logsTokenStatus" guess:"401" help:"is the status for sending logs with a bad or missing token"`
}

// Switch describes one field of [Switches].
type Switch struct {
	Name    string // as in JSON
	Guess   string // the default
	Meaning string // a predicate whose subject is the name
}

// SwitchList returns all switches in their order.
func SwitchList() []Switch {
	var list []Switch
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Switches]()) {
		list = append(list, Switch{Name: f.Tag.Get("json"), Guess: f.Tag.Get("guess"), Meaning: f.Tag.Get("help")})
	}
	return list
}

// DefaultSwitches returns the guesses.
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

// Turn sets the named switch. An error names the switch and leaves all switches
// unchanged.
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
				return fmt.Errorf("switch %s: %q must be true or false", name, text)
			}
			v.SetBool(on)
		case reflect.Int:
			n, err := strconv.Atoi(text)
			if err != nil {
				return fmt.Errorf("switch %s: %q is not a number", name, text)
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

// Check rejects values that no server can use. A zero status or number is
// valid.
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
