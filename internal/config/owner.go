package config

// maxOwner bounds the owner of a credential, in characters.
const maxOwner = 100

var checkOwner = line(maxOwner)

// ownerOf reads whom outcomes about a credential are for. A literal is checked. What
// expressions yield is cleaned: a project's odd name keeps no key from being made.
func (d *decoder) ownerOf(v value, e *entryDraft) {
	e.owner = d.template(v, nil)
	if text, literal := e.owner.literal(); literal {
		if err := checkOwner(text); err != nil {
			d.fault(v, "%q %v", text, err)
		}
	}
}

func (x *expansion) owner() string {
	if x.entry.owner == nil {
		return ""
	}
	return cleaned(x.text(x.entry.owner), maxOwner)
}
