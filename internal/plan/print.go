package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/compassdigital/reconciler/internal/state"
)

// StepPrint is what a review binds of a step: whose, what, where, with which
// attributes (secrets by name, not by version) and which risk. Reasons, numbers of
// calls and dates are not part of it.
//
// Whose is the client's name, wherever its id would stand: a new client is reviewed
// before its id is minted, and what runs must bear the print that was reviewed. A
// rename asks anew.
func StepPrint(s Step) string {
	own := owner{&s}
	w := make([]byte, 0, 1024) // a text of many small parts, for every step of a plan
	line := func(text string) { w = append(append(w, text...), '\n') }
	w = append(own.ref(w, s.Ref), '\n')
	line(string(s.Action))
	w = append(own.ref(w, s.From), '\n')
	line(s.Provider)
	if s.Action == Transfer {
		line("from " + s.Prior.Provider)
	}
	line(string(s.Risk))
	if s.Wish != nil {
		for _, a := range s.Wish.Attributes {
			if a.Name == "secrets" && s.Ref.Kind == state.KindDeployment {
				continue // versions of secrets
			}
			w = append(strconv.AppendQuote(w, a.Name), '=')
			w = append(own.value(w, a.Value), '\n')
		}
		if s.Action == Adopt {
			w = fmt.Appendf(w, "adopt %q found %t\n", s.Wish.AdoptID, s.Wish.Found)
		}
	}
	if s.Release != "" && (s.Ref.Kind == state.KindDomain || s.Ref.Kind == state.KindRecord) {
		line("release " + s.Release)
	}
	if s.Outside {
		line("outside")
	}
	return digest(w)
}

// ClassPrint is what a step does without what it does it with: whose, what, where and which
// risk, but no attributes. It lets pull requests be merged together: each showed its own
// release, and what runs is one that holds both.
func ClassPrint(s Step) string {
	if s.Ref.Kind == state.KindDeployment {
		s.Ref.Name, s.Release = "", "" // they are of what it is built with
	}
	own := owner{&s}
	w := append(own.ref([]byte("class "), s.Ref), '\n')
	w = append(w, string(s.Action)+"\n"...)
	w = append(own.ref(w, s.From), '\n')
	w = append(w, s.Provider+"\n"+string(s.Risk)+"\n"...)
	return classMark + digest(w)
}

// classMark begins a ClassPrint.
const classMark = "~"

// IsClass says that a print is a ClassPrint.
func IsClass(print string) bool { return strings.HasPrefix(print, classMark) }

// releasePrint is what a review binds of a release.
func releasePrint(r state.Resource) string {
	return StepPrint(Step{Ref: state.Ref{Client: r.Ref.Client, Kind: r.Ref.Kind}, Client: " ", Provider: r.Provider, Wish: &r})
}

// owner writes ids of the step's client, and of who had it before, as their names.
type owner struct{ s *Step }

func (o owner) id(c state.ClientID) string {
	switch {
	case c == o.s.Ref.Client && o.s.Client != "":
		return "name " + o.s.Client
	case c == o.s.From.Client && o.s.FromClient != "":
		return "name " + o.s.FromClient
	}
	return "id " + string(c)
}

func (o owner) ref(w []byte, r state.Ref) []byte {
	if r.IsZero() {
		return w
	}
	name := r.Name
	if r.Kind == state.KindDeployment && r.Client == o.s.Ref.Client && o.s.Release != "" {
		name = "release " + o.s.Release
	}
	w = append(strconv.AppendQuote(w, o.id(r.Client)), '/')
	w = append(append(w, r.Kind...), '/')
	return strconv.AppendQuote(w, name)
}

func (o owner) value(w []byte, v state.Value) []byte {
	switch {
	case v.Secret != nil:
		w = append(w, "secret:"...)
		w = append(strconv.AppendQuote(w, o.id(state.ClientID(v.Secret.Scope))), '/')
		return strconv.AppendQuote(w, v.Secret.Name)
	case v.Ref != nil:
		w = append(o.ref(append(w, "output:"...), *v.Ref), '.')
		return append(w, v.Output...)
	}
	return v.AppendCanonical(w)
}

// Fingerprint is 12 hex digits over the prints of one client's steps; client ""
// takes all of them.
func Fingerprint(p Plan, client state.ClientID) string {
	var prints []string
	for _, s := range p.Steps {
		if client == "" || s.Ref.Client == client {
			prints = append(prints, StepPrint(s))
		}
	}
	return printOf(prints)
}

// Prints are the StepPrints of a plan's steps.
func Prints(p Plan) []string {
	prints := make([]string, len(p.Steps))
	for i, s := range p.Steps {
		prints[i] = StepPrint(s)
	}
	return prints
}

// Fingerprints are that of the whole plan and those of every client that it has steps
// for, from the prints of its steps.
func Fingerprints(p Plan, prints []string) (whole string, of map[state.ClientID]string) {
	own := map[state.ClientID][]string{}
	for i, print := range prints {
		id := p.Steps[i].Ref.Client
		own[id] = append(own[id], print)
	}
	of = make(map[state.ClientID]string, len(own))
	for id, prints := range own {
		of[id] = printOf(prints)
	}
	return printOf(slices.Clone(prints)), of
}

func printOf(prints []string) string {
	sort.Strings(prints)
	return digest([]byte(strings.Join(prints, "\n")))
}

func digest(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:6])
}
