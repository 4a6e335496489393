package emulator

import (
	"os"
	"strings"
	"testing"
)

func TestTheDocumentListsEveryOperationOfTheControlAPI(t *testing.T) {
	text, err := os.ReadFile("../../docs/emulator.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range Controls() {
		if want := "| `" + c.Method + " " + c.Path + "` | " + c.Meaning + " |"; !strings.Contains(string(text), want) {
			t.Errorf("docs/emulator.md lacks %q", want)
		}
	}
}
