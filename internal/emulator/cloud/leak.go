package cloud

import (
	"cmp"
	"fmt"
	"time"
)

// LeakScannerID is the IAM ID of IBM's scanner for leaked keys. Guessed.
const LeakScannerID = "crn-crn:v1:bluemix:public:iam-identity:::::"

// Leak is a key that the scanner found in public.
type Leak struct {
	KeyID  string `json:"id"`
	Where  string `json:"where"`
	Action string `json:"action"` // what was done: none, disable or delete
	Mail   Mail   `json:"mail"`
}

// Mail is a mail that IBM Cloud sends.
type Mail struct {
	Time    time.Time `json:"time"`
	To      string    `json:"to"`
	Subject string    `json:"subject"`
	Text    string    `json:"text"`
}

const mostMails = 1_000

// LeakKey makes the scanner find a key, by its ID or its value, and do what the
// key's action_when_leaked says; disable is the default. Guesses: a lock does
// not stop it, and the mail goes to the key's user or, for a service ID, to the
// account's owner.
func (c *Cloud) LeakKey(id, value, where string) (Leak, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.keys[id]
	if id == "" && value != "" {
		k = c.keyByValue[value]
	}
	if k == nil {
		return Leak{}, fmt.Errorf("leaking a key: there is no key %q with this value", id)
	}
	action := cmp.Or(k.ActionWhenLeaked, "disable")
	if k.Locked && !c.switches.LeakIgnoresLock {
		action = "none"
	}
	scanner := Actor{IAMID: LeakScannerID}
	done := "was not changed"
	switch action {
	case "disable":
		done = "was disabled"
		if !k.Disabled {
			k.Disabled = true
			c.touchKey(scanner, k, "DISABLED")
		}
	case "delete":
		done = "was deleted"
		c.dropKey(k, true)
	}
	to := OwnerIAMID
	if c.isUser(k.IAMID) {
		to = k.IAMID
	}
	if u, ok := c.users[to]; ok {
		to = u.Email
	}
	m := Mail{Time: c.now(), To: to, Subject: "An API key of your IBM Cloud account was found in public",
		Text: fmt.Sprintf("The API key %s (%s) of %s in account %s was found at %s. It %s.", k.Name, k.ID, k.IAMID, AccountID, where, done)}
	if len(c.mails) >= mostMails {
		c.mails = c.mails[mostMails/10:]
	}
	c.mails = append(c.mails, m)
	return Leak{KeyID: k.ID, Where: where, Action: action, Mail: m}, nil
}

// KeyResource describes the key with the value.
func (c *Cloud) KeyResource(value string) Resource {
	c.mu.Lock()
	id := ""
	if k := c.keyByValue[value]; k != nil {
		id = k.ID
	}
	c.mu.Unlock()
	return c.Resource(id)
}

// Mails returns the mails that were sent, oldest first.
func (c *Cloud) Mails() []Mail {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Mail{}, c.mails...)
}
