package codeengine

import "testing"

func TestALaterRevisionHasAHigherNumber(t *testing.T) {
	order := []string{"", "app-00001", "app-00002", "app-00010", "app-99999", "app-100000"}
	for i, earlier := range order {
		for j, name := range order {
			if got := later(name, earlier); got != (j > i) {
				t.Errorf("later(%q, %q) is %t", name, earlier, got)
			}
		}
	}
}
