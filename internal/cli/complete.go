package cli

import (
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// completing is the first argument of a call by a completion script. The words of the
// command line up to the cursor follow.
const completing = "__complete"

// Completer completes command lines.
type Completer struct {
	Model *kong.Application
	// Credentials returns the names of the config entries in a config file; "" is the
	// file that commands look for.
	Credentials func(config string) []string
}

// Complete returns what the last word may become. None means a file's name.
func (c Completer) Complete(words []string) []string {
	if len(words) == 0 {
		words = []string{""}
	}
	last := words[len(words)-1]
	node, arguments, config := c.Model.Node, 0, ""
	var pending *kong.Flag // the flag whose value is next
	for _, word := range words[:len(words)-1] {
		name, value, given := strings.Cut(word, "=")
		switch flag := flagOf(node, name); {
		case pending != nil:
			if pending.Name == "config" {
				config = word
			}
			pending = nil
		case flag != nil && given && flag.Name == "config":
			config = value
		case flag != nil && !given && !flag.IsBool():
			pending = flag
		case strings.HasPrefix(word, "-"):
		default:
			if child := childOf(node, word); child != nil {
				node = child
			} else {
				arguments++
			}
		}
	}
	var found []string
	switch {
	case pending != nil:
		found = values(pending.Value)
	case strings.HasPrefix(last, "-"):
		found = flagNames(node)
	case node.Name == "help":
		found = commandNames(c.Model.Node)
	case len(node.Children) > 0:
		found = commandNames(node)
	case len(node.Positional) > 0:
		argument := node.Positional[min(arguments, len(node.Positional)-1)]
		found = values(argument)
		if strings.HasPrefix(argument.Name, "credential") && (arguments == 0 || argument.IsCumulative()) {
			found = c.Credentials(config)
		}
	}
	return slices.DeleteFunc(found, func(s string) bool { return !strings.HasPrefix(s, last) })
}

func childOf(node *kong.Node, name string) *kong.Node {
	for _, child := range node.Children {
		if child.Name == name {
			return child
		}
	}
	return nil
}

// flagsOf returns the flags that a command takes, its parents' included.
func flagsOf(node *kong.Node) (flags []*kong.Flag) {
	for _, group := range node.AllFlags(true) {
		flags = append(flags, group...)
	}
	return flags
}

func flagOf(node *kong.Node, word string) *kong.Flag {
	for _, flag := range flagsOf(node) {
		if word == "--"+flag.Name || flag.Short != 0 && word == "-"+string(flag.Short) {
			return flag
		}
	}
	return nil
}

func flagNames(node *kong.Node) (names []string) {
	for _, flag := range flagsOf(node) {
		names = append(names, "--"+flag.Name)
		if flag.Tag.Negatable != "" {
			names = append(names, "--no-"+flag.Name)
		}
	}
	return names
}

func commandNames(node *kong.Node) (names []string) {
	for _, child := range node.Children {
		if !child.Hidden {
			names = append(names, child.Name)
		}
	}
	return names
}

// values returns the words of a flag or argument that takes only certain ones.
func values(v *kong.Value) []string {
	if v.Enum == "" {
		return nil
	}
	return v.EnumSlice()
}

// CompletionScripts are the scripts of shells. Each asks latchkey itself.
var CompletionScripts = map[string]string{
	"bash": `_latchkey() {
	local IFS=$'\n'
	COMPREPLY=($(latchkey ` + completing + ` "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _latchkey latchkey
`,
	"zsh": `#compdef latchkey
_latchkey() {
	local -a found
	found=(${(f)"$(latchkey ` + completing + ` "${(@)words[2,CURRENT]}" 2>/dev/null)"})
	if (( $#found )); then compadd -a found; else _files; fi
}
compdef _latchkey latchkey
`,
	"fish": `function __latchkey_complete
	set -l before (commandline -opc)
	set -l found (latchkey ` + completing + ` $before[2..] (commandline -ct) 2>/dev/null)
	if test (count $found) -gt 0
		printf '%s\n' $found
	else
		__fish_complete_path (commandline -ct)
	end
end
complete -c latchkey -f -a '(__latchkey_complete)'
`,
}
