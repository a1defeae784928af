package sources

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"slices"
	"strings"

	"github.com/compassdigital/reconciler/internal/state"
)

// environment is the variables with a prefix.
type environment struct {
	prefix  string
	environ func() []string
}

// variableShape is an owner and a name in a variable. Neither has two underscores in a
// row, nor one at an end, so that what stands between them is found.
var variableShape = regexp.MustCompile(`^([A-Z0-9]+(?:_[A-Z0-9]+)*)__([A-Z0-9]+(?:_[A-Z0-9]+)*)$`)

// Variable is the variable, without its prefix, that holds a secret; false: its owner or
// name (one with two hyphens in a row) can't be given as a variable.
func Variable(owner, name string) (string, bool) {
	v := strings.ToUpper(strings.ReplaceAll(owner, "-", "_") + "__" + strings.ReplaceAll(name, "-", "_"))
	o, n, ok := parseVariable(v)
	return v, ok && o == owner && n == name
}

// parseVariable is whose secret a variable holds, and which.
func parseVariable(v string) (owner, name string, ok bool) {
	m := variableShape.FindStringSubmatch(v)
	if m == nil {
		return "", "", false
	}
	lower := func(s string) string { return strings.ToLower(strings.ReplaceAll(s, "_", "-")) }
	owner, name = lower(m[1]), lower(m[2])
	return owner, name, ownerShape.MatchString(owner) && nameShape.MatchString(name)
}

// ours are the variables with the prefix, sorted, the last of several that are one.
func (e environment) ours() []string {
	var out []string
	for _, v := range e.environ() {
		if strings.HasPrefix(v, e.prefix) && strings.Contains(v, "=") {
			out = append(out, v)
		}
	}
	slices.Sort(out)
	return out
}

func (e environment) stamp() string {
	sum := sha256.Sum256([]byte(strings.Join(e.ours(), "\x00")))
	return hex.EncodeToString(sum[:])
}

func (e environment) load(context.Context) (found, error) {
	var out found
	odd, first := 0, ""
	for _, v := range e.ours() {
		variable, text, _ := strings.Cut(v, "=")
		owner, name, ok := parseVariable(strings.TrimPrefix(variable, e.prefix))
		switch {
		case !ok:
			if odd++; first == "" {
				first = variable
			}
			continue
		case len(out.secrets) == MaxEntries:
			return found{}, errTooMany
		}
		out.secrets = append(out.secrets, use(state.OutsideSecret{Owner: owner, Name: name, Place: "the variable " + variable}, []byte(text)))
	}
	if odd > 0 {
		out.notes.add("secrets: %s not read as secrets, the first is %q: write %sCLIENT__NAME, or %sSHARED__NAME", count(odd, "variable is", "variables are"), first, e.prefix, e.prefix)
	}
	return out, nil
}
