package github

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of what is taken from a payload.
const (
	maxBranch = 255 // bytes
	maxNumber = 1<<31 - 1
)

// Hint is where a delivery says that there is something to look at. It holds nothing to
// believe: no commit, no author, no text.
type Hint struct {
	Delivery string // the same when it is sent again
	Event    string
	Known    bool // an event, and an action of it, that says something to us

	Repository   string // OWNER/NAME; "" in an event of an App, and when it isn't known
	Branch       string // that was pushed to or deleted
	Pull         int    // pull request
	Comment      bool   // a comment of it was written, edited or deleted
	Rerun        bool   // somebody asked for a check again
	Installation bool   // what we may do has changed
}

// Look says whether there is something to look at.
func (h Hint) Look() bool {
	return h.Known && (h.Branch != "" || h.Pull != 0 || h.Rerun || h.Installation)
}

// number is a pull request's; GitHub sends many fields beside it.
type number struct {
	Number int `json:"number"`
}

// payload is what is read of all events. Pointers tell what is missing.
type payload struct {
	Action     string `json:"action"`
	Ref        string `json:"ref"`
	Repository *struct {
		Name string `json:"full_name"`
	} `json:"repository"`
	PullRequest *number `json:"pull_request"`
	Issue       *struct {
		number
		PullRequest *struct{} `json:"pull_request"` // there: the issue is one
	} `json:"issue"`
	CheckRun     *checked  `json:"check_run"`
	CheckSuite   *checked  `json:"check_suite"`
	Installation *struct{} `json:"installation"`
}

type checked struct {
	PullRequests []number `json:"pull_requests"` // none of a fork's
}

// HintOf reads a delivery. An event that we don't use is no error, and not Known. Errors
// are ErrDelivery: an event that we use, and not as GitHub sends it.
func HintOf(d Delivery) (Hint, error) {
	h := Hint{Delivery: d.ID, Event: d.Event}
	if !used(d.Event) {
		return h, nil
	}
	var p payload
	if err := json.Unmarshal(d.Payload, &p); err != nil {
		return h, fmt.Errorf("%w: %s", ErrDelivery, d.Event)
	}
	if p.Repository != nil {
		if !fullName(p.Repository.Name) {
			return h, fmt.Errorf("%w: it names no repository", ErrDelivery)
		}
		h.Repository = p.Repository.Name
	}
	if err := h.read(p); err != nil {
		return Hint{Delivery: d.ID, Event: d.Event, Repository: h.Repository}, err
	}
	if h.Look() && !h.Installation && h.Repository == "" {
		return Hint{Delivery: d.ID, Event: d.Event}, fmt.Errorf("%w: %s of no repository", ErrDelivery, d.Event)
	}
	return h, nil
}

// used are the events that say something to us.
func used(event string) bool {
	switch event {
	case "push", "pull_request", "issue_comment", "check_run", "check_suite", "ping", "installation", "installation_repositories":
		return true
	}
	return false
}

func (h *Hint) read(p payload) error {
	switch h.Event {
	case "ping":
		h.Known = true
	case "installation", "installation_repositories":
		h.Known, h.Installation, h.Repository = true, true, ""
	case "push":
		branch, ok := strings.CutPrefix(p.Ref, "refs/heads/")
		if ok && !branchName(branch) || p.Ref == "" {
			return fmt.Errorf("%w: a push to no branch", ErrDelivery)
		}
		if ok { // a tag says nothing to us
			h.Known, h.Branch = true, branch
		}
	case "pull_request":
		if p.PullRequest == nil {
			return fmt.Errorf("%w: a pull request without one", ErrDelivery)
		}
		return h.pull(p.PullRequest.Number)
	case "issue_comment":
		if p.Issue == nil {
			return fmt.Errorf("%w: a comment on nothing", ErrDelivery)
		}
		if p.Issue.PullRequest != nil {
			h.Comment = true
			return h.pull(p.Issue.Number)
		}
	case "check_run":
		return h.rerun(p.Action, p.CheckRun)
	case "check_suite":
		return h.rerun(p.Action, p.CheckSuite)
	}
	return nil
}

func (h *Hint) pull(n int) error {
	if n <= 0 || n > maxNumber {
		return fmt.Errorf("%w: a pull request without a number", ErrDelivery)
	}
	h.Known, h.Pull = true, n
	return nil
}

// rerun: of several pull requests, or of a fork's, none is named: look at all.
func (h *Hint) rerun(action string, c *checked) error {
	if c == nil {
		return fmt.Errorf("%w: a check without one", ErrDelivery)
	}
	if action != "rerequested" {
		return nil
	}
	h.Known, h.Rerun = true, true
	if len(c.PullRequests) == 1 {
		return h.pull(c.PullRequests[0].Number)
	}
	return nil
}

func fullName(s string) bool {
	owner, repo, ok := strings.Cut(s, "/")
	return ok && name(owner) && name(repo)
}

// branchName says that a text can be a branch's name; Git's own rules are narrower.
func branchName(s string) bool {
	return s != "" && len(s) <= maxBranch && utf8.ValidString(s) && !strings.ContainsRune(s, utf8.RuneError) && strings.IndexFunc(s, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }) < 0
}
