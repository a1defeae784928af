package providertest

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider"
)

// Refusal is one error that a vendor documents, how its simulator comes to it, and what
// becomes of it in the provider.
type Refusal struct {
	// Answer is the vendor's, as Answers writes it: "400 81058".
	Answer string
	// How says by which of the simulator's own states, and which call meets it.
	How string
	// Fault says why the simulator has no such state: then somebody has to ask for the answer.
	Fault string
	// Call opens a vendor whose answers go through seen, and makes the provider's call that
	// meets the refusal.
	Call func(t *testing.T, seen *Answers) error
	// Kind is the error's; "": there is none, since the provider knows what to do.
	Kind provider.ErrorKind
}

// Answers are the failures that a vendor answered with.
type Answers struct {
	code func(body []byte) string
	mu   sync.Mutex
	all  []string
}

// Tap puts it before a server's handler.
func (a *Answers) Tap(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(&tapped{ResponseWriter: w, of: a, status: http.StatusOK}, r)
	})
}

func (a *Answers) note(status int, body []byte) {
	code := a.code(body)
	if status < http.StatusBadRequest && code == "" {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = append(a.all, strings.TrimSpace(fmt.Sprintf("%d %s", status, code)))
}

type tapped struct {
	http.ResponseWriter
	of     *Answers
	status int
}

func (t *tapped) WriteHeader(status int) {
	t.status = status
	t.ResponseWriter.WriteHeader(status)
}

// Write notes an answer: simulators write each in one piece.
func (t *tapped) Write(body []byte) (int, error) {
	t.of.note(t.status, body)
	return t.ResponseWriter.Write(body)
}

// Refusals makes every call, checks that the vendor refused it with the answer and that the
// error is of the kind, and holds the whole as a table to a golden file. code is the vendor's own
// code in the body of a failure; "": it has none.
func Refusals(t *testing.T, file string, update bool, code func(body []byte) string, all []Refusal) {
	t.Helper()
	var table strings.Builder
	table.WriteString("# What the vendor documents to refuse, of what is used here: how its simulator comes to it (state), or why it has to be\n" +
		"# asked for (fault); what the provider makes of it, and the words that are shown. A test makes each of these calls.\n")
	for _, x := range all {
		t.Run(x.Answer+" "+x.How, func(t *testing.T) {
			seen := &Answers{code: code}
			err := x.Call(t, seen)
			if !slices.Contains(seen.all, x.Answer) {
				t.Errorf("the vendor refused with %q; the error is %v", seen.all, err)
			}
			by, why := "state", ""
			if x.Fault != "" {
				by, why = "fault", " ("+x.Fault+")"
			}
			var e *provider.Error
			switch {
			case x.Kind == "" && err == nil:
				fmt.Fprintf(&table, "\n%s, by %s: %s%s\n    no error\n", x.Answer, by, x.How, why)
			case !errors.As(err, &e) || e.Kind != x.Kind || strings.ContainsAny(err.Error(), "\n\x1b"):
				t.Errorf("it is %q, want %s", err, x.Kind)
			default:
				fmt.Fprintf(&table, "\n%s, by %s: %s%s\n    %s: %s\n", x.Answer, by, x.How, why, e.Kind, e.Message)
			}
		})
	}
	if t.Failed() {
		return
	}
	if update {
		if err := os.WriteFile(file, []byte(table.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := table.String(); got != string(want) {
		t.Errorf("the table is\n%s\nand in %s stands\n%s", got, file, want)
	}
}
