package doctor

// Secret is a secret that the config takes from a variable or a file.
type Secret struct {
	At    string // in the config, such as events.auth.bearerEnv
	Where string // the variable or the file
	// For says what needs it.
	For string
	// Missing is why it can't be read here, or nil. Another machine may have it.
	Missing error
	// Wrong is why it is of no use, or nil.
	Wrong error
}

// readable checks the secrets of every form, which need not run here.
func (d *examination) readable() {
	for _, s := range d.Secrets {
		switch {
		case s.Missing != nil:
			d.unsure("set it where that runs", "secret %s: %v here; %s", s.At, s.Missing, s.For)
		case s.Wrong != nil:
			d.fail("replace it", "secret %s: %s %v; %s", s.At, s.Where, s.Wrong, s.For)
		default:
			d.pass("secret %s: %s is set", s.At, s.Where)
		}
	}
}
