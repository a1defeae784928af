package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	gh "github.com/google/go-github/v60/github"

	"github.com/compassdigital/reconciler/internal/forge"
)

// events are those that a webhook needs; an App's stand in its settings, which nobody reads.
func events() []string { return []string{"pull_request", "push", "issue_comment", "check_run"} }

// HookAccess is how a webhook is set up, as far as GitHub says it.
type HookAccess struct {
	There     bool // one with our address
	Off       bool // it is not active
	Lacks     []string
	Form      bool // it sends forms, which are not read
	Insecure  bool // certificates are not verified
	Unchecked bool // we may not look
}

// CheckHook reads how the webhook is set up that leads to Options.Webhook. Its errors are
// those of Check.
func (a *API) CheckHook(ctx context.Context) (HookAccess, error) {
	const op = "check the webhook"
	if a.app {
		return a.checkAppHook(ctx, op)
	}
	var out HookAccess
	_, err := list(func(page gh.ListOptions) ([]*gh.Hook, *gh.Response, error) {
		return a.client.Repositories.ListHooks(ctx, a.owner, a.repo, &page)
	}, func(h *gh.Hook) (int64, int, error) {
		if !sameAddress(h.GetConfig().GetURL(), a.webhook) || out.There && out.well() {
			return 0, 0, nil
		}
		out = seen(h.GetConfig())
		out.Off = !h.GetActive()
		has := map[string]bool{}
		for _, e := range h.Events {
			has[e] = true
		}
		for _, e := range events()[:3] { // checks are an App's
			if !has[e] && !has["*"] {
				out.Lacks = append(out.Lacks, e)
			}
		}
		return h.GetID(), 0, nil
	})
	switch err = fail(ctx, op, err); {
	case errors.Is(err, forge.ErrDenied), errors.Is(err, forge.ErrNotFound):
		return HookAccess{Unchecked: true}, nil
	case err != nil:
		return out, err
	}
	return out, nil
}

func (a *API) checkAppHook(ctx context.Context, op string) (HookAccess, error) {
	r, err := a.client.NewRequest(http.MethodGet, "app/hook/config", nil)
	if err != nil {
		return HookAccess{}, fail(ctx, op, err)
	}
	var c gh.HookConfig
	_, err = a.client.Do(with(ctx, call{asApp: true}), r, &c)
	if err = fail(ctx, op, err); errors.Is(err, forge.ErrNotFound) {
		return HookAccess{}, nil
	}
	if err != nil {
		return HookAccess{}, err
	}
	if !sameAddress(c.GetURL(), a.webhook) {
		return HookAccess{}, nil
	}
	return seen(&c), nil
}

func seen(c *gh.HookConfig) HookAccess {
	return HookAccess{There: true, Form: c.GetContentType() != "json", Insecure: fmt.Sprint(c.GetInsecureSSL()) == "1"}
}

func (h HookAccess) well() bool { return !h.Off && !h.Form && !h.Insecure && len(h.Lacks) == 0 }
