package local

import (
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strings"

	"github.com/compassdigital/reconciler/internal/provider"
)

// variable is one environment variable with its value in clear: it exists in memory
// and in files of mode 0600, and has no way to print itself.
type variable struct {
	name   string
	value  string
	secret bool
}

// Format keeps a value out of every message.
func (v variable) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, v.name) }

// variables are sorted by name.
type variables []variable

// envPrefix is what an attribute of an environment begins with.
const envPrefix = "env."

// readVariables takes the set out of an environment's attributes.
func readVariables(a attrs) (variables, error) {
	var out variables
	for _, i := range a {
		name, ok := strings.CutPrefix(i.Name, envPrefix)
		if !ok {
			continue
		}
		v := variable{name, i.Reveal(), i.Secret != nil}
		if len(v.value) > maxVariable {
			return nil, invalid(fmt.Sprintf("variable %s is %d bytes; at most %d", provider.Line(name, maxWord), len(v.value), maxVariable))
		}
		out = append(out, v)
	}
	if len(out) > maxVariables {
		return nil, invalid(fmt.Sprintf("%d variables; at most %d", len(out), maxVariables))
	}
	sort.Slice(out, func(i, j int) bool { return out[i].name < out[j].name })
	return out, nil
}

// get returns the value for the site's own use, secret or not.
func (v variables) get(name string) string {
	for _, x := range v {
		if x.name == name {
			return x.value
		}
	}
	return ""
}

// public says that a page may show the variable.
func (v variable) public() bool {
	return !v.secret && (strings.HasPrefix(v.name, "STORE_") || strings.HasPrefix(v.name, "NEXT_PUBLIC_"))
}

// shown returns the value if a page may show it.
func (v variables) shown(name string) string {
	for _, x := range v {
		if x.name == name && x.public() {
			return x.value
		}
	}
	return ""
}

// facts are the variables that a page shows, at most maxFacts.
func (v variables) facts() []fact {
	var out []fact
	for _, x := range v {
		if x.public() && len(out) < maxFacts {
			out = append(out, fact{provider.Line(x.name, maxWord), provider.Line(x.value, maxText)})
		}
	}
	return out
}

// snapshot is the file form of variables.
type snapshot struct {
	Variables []snapshotVariable `json:"variables"`
}

type snapshotVariable struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Secret bool   `json:"secret,omitempty"`
}

// save writes the snapshot, readable by nobody else, and makes it last.
func (v variables) save(path string) error {
	s := snapshot{Variables: make([]snapshotVariable, 0, len(v))}
	for _, x := range v {
		s.Variables = append(s.Variables, snapshotVariable{x.name, x.value, x.secret})
	}
	data, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encode environment: %w", err)
	}
	return writeFile(path, data, 0o600)
}

// loadVariables reads a snapshot.
func loadVariables(path string) (variables, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var s snapshot
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("environment %s is damaged", path) // the decoder's text could quote a value
	}
	out := make(variables, 0, len(s.Variables))
	for _, x := range s.Variables {
		out = append(out, variable{x.Name, x.Value, x.Secret})
	}
	return out, nil
}

// writeFile writes data so that after a crash the file is whole or not there under
// its name.
func writeFile(path string, data []byte, mode os.FileMode) error {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		_ = os.Remove(tmp) // the first error is the one that says something
	}
	return err
}
