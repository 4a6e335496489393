package cloud

// Switches are the points where IBM's documents, SDK sources and recorded
// answers do not say what the service does. Each field carries the guess that
// [DefaultSwitches] makes; a program that is right about IBM Cloud must work
// with any other choice, too.
type Switches struct {
	// DuplicateKeyValueStatus answers the creation of a key whose value is
	// taken already. Guess: 409.
	DuplicateKeyValueStatus int `json:"duplicateKeyValueStatus"`
	// StaleIdentityStatus answers a PUT on a service ID or key whose If-Match
	// names another revision. Guess: 409; 412 is the other candidate.
	StaleIdentityStatus int `json:"staleIdentityStatus"`
	// StalePolicyStatus is the same for policies. Guess: 409.
	StalePolicyStatus int `json:"stalePolicyStatus"`
	// StaleCodeEngineStatus is the same for Code Engine. Guess: 412.
	StaleCodeEngineStatus int `json:"staleCodeEngineStatus"`
	// MissingIfMatchStatus answers a PUT or PATCH without If-Match. Guess: 400.
	MissingIfMatchStatus int `json:"missingIfMatchStatus"`
	// LockedStatus answers a change or deletion of something locked. Guess: 409.
	LockedStatus int `json:"lockedStatus"`
	// IdentityLimitStatus answers the 21st key of an identity and the service
	// ID above the account's limit. Guess: 409.
	IdentityLimitStatus int `json:"identityLimitStatus"`
	// MissingIDGroupStatus answers the creation of a service ID in a group that
	// is not there. Guess: 404.
	MissingIDGroupStatus int `json:"missingIDGroupStatus"`
	// IDGroupConflictStatus answers a second service ID group of the same name,
	// and the deletion of one that has service IDs. Guess: 409.
	IDGroupConflictStatus int `json:"idGroupConflictStatus"`
	// UnusableKeyCode is the errorCode for a disabled or expired key at
	// /identity/token. Guess: that of an unknown key.
	UnusableKeyCode string `json:"unusableKeyCode"`
	// UnusableKeyStatus is the status that goes with it. Guess: 400.
	UnusableKeyStatus int `json:"unusableKeyStatus"`
	// PastExpiryRefused refuses an expires_at that is not in the future.
	// Guess: true, with 400.
	PastExpiryRefused bool `json:"pastExpiryRefused"`
	// DeletedKeysLive lets a deleted key authenticate for the key lag.
	// Guess: true; it shows only with a lag.
	DeletedKeysLive bool `json:"deletedKeysLive"`
	// LagHidesServiceIDs applies the list lag to lists of service IDs.
	// Guess: true.
	LagHidesServiceIDs bool `json:"lagHidesServiceIDs"`
	// DeletedListed keeps deleted service IDs and keys in lists for the list
	// lag. Guess: true; it shows only with a lag.
	DeletedListed bool `json:"deletedListed"`

	// AskedRolesEchoed makes the 201 of a policy show the roles that were
	// asked for although the stored policy holds fewer, because its creator
	// lacks some. Guess: true, since "it might appear that permission is
	// granted".
	AskedRolesEchoed bool `json:"askedRolesEchoed"`
	// NothingGrantedRole is what a policy keeps when its creator holds none of
	// the roles it asked for. Guess: the platform role Viewer.
	NothingGrantedRole string `json:"nothingGrantedRole"`
	// ConflictComparesRoles makes two policies of the same type, subject and
	// resource a conflict only if they ask for the same roles. Guess: true.
	ConflictComparesRoles bool `json:"conflictComparesRoles"`
	// ConflictShowsPolicy puts the whole existing policy into the conflict's
	// details where the SDK's model has its ID; recorded answers of 2023 do
	// that. Guess: false, as the model says.
	ConflictShowsPolicy bool `json:"conflictShowsPolicy"`
	// PolicyPageSize is the page size of a list of policies that names none.
	// Guess: 50.
	PolicyPageSize int `json:"policyPageSize"`
	// PlaceholderText stands in the roles and resources that lists of version 1
	// show for a policy of version 2. Guess: "unsupported version".
	PlaceholderText string `json:"placeholderText"`
	// GroupConflictStatus answers a second access group of the same name, and
	// the deletion, without force, of one that has members. Guess: 409.
	GroupConflictStatus int `json:"groupConflictStatus"`
	// LockedSubjectStatus answers a policy for a locked service ID. Guess: 409.
	LockedSubjectStatus int `json:"lockedSubjectStatus"`

	// ExistingCodeEngineStatus answers a POST of something whose name is
	// taken. Guess: 409.
	ExistingCodeEngineStatus int `json:"existingCodeEngineStatus"`
	// QuotaStatus answers what exceeds a Code Engine quota. Guess: 403.
	QuotaStatus int `json:"quotaStatus"`
	// InactiveProjectStatus answers secrets and apps of a project that is not
	// active. Guess: 409.
	InactiveProjectStatus int `json:"inactiveProjectStatus"`
	// VersionlessIsOldest treats a Code Engine request without ?version= as
	// one of before 2024-05-13, when CE_ variables were mixed into
	// run_env_variables. Guess: false.
	VersionlessIsOldest bool `json:"versionlessIsOldest"`

	// LogsSuccessBody is the body of a fully accepted ingestion. Guess: {}.
	LogsSuccessBody string `json:"logsSuccessBody"`
	// LogsTokenStatus answers an ingestion with a bad or absent token.
	// Guess: 401.
	LogsTokenStatus int `json:"logsTokenStatus"`
}

// DefaultSwitches are the documented guesses.
func DefaultSwitches() Switches {
	return Switches{
		DuplicateKeyValueStatus: 409,
		StaleIdentityStatus:     409,
		StalePolicyStatus:       409,
		StaleCodeEngineStatus:   412,
		MissingIfMatchStatus:    400,
		LockedStatus:            409,
		IdentityLimitStatus:     409,
		MissingIDGroupStatus:    404,
		IDGroupConflictStatus:   409,
		UnusableKeyCode:         "BXNIM0415E",
		UnusableKeyStatus:       400,
		PastExpiryRefused:       true,
		DeletedKeysLive:         true,
		LagHidesServiceIDs:      true,
		DeletedListed:           true,

		AskedRolesEchoed:      true,
		NothingGrantedRole:    "crn:v1:bluemix:public:iam::::role:Viewer",
		ConflictComparesRoles: true,
		PolicyPageSize:        50,
		PlaceholderText:       "unsupported version",
		GroupConflictStatus:   409,
		LockedSubjectStatus:   409,

		ExistingCodeEngineStatus: 409,
		QuotaStatus:              403,
		InactiveProjectStatus:    409,

		LogsSuccessBody: "{}",
		LogsTokenStatus: 401,
	}
}
