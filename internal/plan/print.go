package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sort"
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
	var w strings.Builder
	own := owner{s}
	fmt.Fprintf(&w, "%s\n%s\n%s\n%s\n%s\n", own.ref(s.Ref), s.Action, own.ref(s.From), s.Provider, s.Risk)
	if s.Wish != nil {
		for _, a := range s.Wish.Attributes {
			if a.Name == "secrets" && s.Ref.Kind == state.KindDeployment {
				continue // versions of secrets
			}
			fmt.Fprintf(&w, "%q=%s\n", a.Name, own.value(a.Value))
		}
		if s.Action == Adopt {
			fmt.Fprintf(&w, "adopt %q found %t\n", s.Wish.AdoptID, s.Wish.Found)
		}
	}
	if s.Outside {
		w.WriteString("outside\n")
	}
	return digest(w.String())
}

// releasePrint is what a review binds of a release.
func releasePrint(r state.Resource) string {
	return StepPrint(Step{Ref: state.Ref{Client: r.Ref.Client, Kind: r.Ref.Kind}, Client: " ", Provider: r.Provider, Wish: &r})
}

// owner writes ids of the step's client, and of who had it before, as their names.
type owner struct{ s Step }

func (o owner) id(c state.ClientID) string {
	switch {
	case c == o.s.Ref.Client && o.s.Client != "":
		return "name " + o.s.Client
	case c == o.s.From.Client && o.s.FromClient != "":
		return "name " + o.s.FromClient
	}
	return "id " + string(c)
}

func (o owner) ref(r state.Ref) string {
	if r.IsZero() {
		return ""
	}
	name := r.Name
	if r.Kind == state.KindDeployment && r.Client == o.s.Ref.Client && o.s.Release != "" {
		name = "release " + o.s.Release
	}
	return fmt.Sprintf("%q/%s/%q", o.id(r.Client), r.Kind, name)
}

func (o owner) value(v state.Value) string {
	switch {
	case v.Secret != nil:
		return fmt.Sprintf("secret:%q/%q", o.id(state.ClientID(v.Secret.Scope)), v.Secret.Name)
	case v.Ref != nil:
		return "output:" + o.ref(*v.Ref) + "." + v.Output
	}
	return v.Canonical()
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

// Fingerprints are those of every client that the plan has steps for, in one go.
func Fingerprints(p Plan) map[state.ClientID]string {
	prints := map[state.ClientID][]string{}
	for _, s := range p.Steps {
		prints[s.Ref.Client] = append(prints[s.Ref.Client], StepPrint(s))
	}
	out := make(map[state.ClientID]string, len(prints))
	for id, own := range prints {
		out[id] = printOf(own)
	}
	return out
}

func printOf(prints []string) string {
	sort.Strings(prints)
	return digest(strings.Join(prints, "\n"))
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:6])
}
