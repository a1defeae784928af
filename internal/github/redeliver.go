package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	gh "github.com/google/go-github/v60/github"

	"github.com/compassdigital/reconciler/internal/forge"
)

// Bounds of asking again. GitHub keeps deliveries for three days.
const (
	maxRedelivered   = 100
	maxDeliveryPages = 20 // of a hundred
)

// Redeliver asks GitHub to send again what did not arrive since a time: the newest failure
// of each delivery that no later attempt of it mended, the oldest first. GitHub itself
// sends nothing twice. It returns how many it asked for. ErrDenied and ErrNotFound (we may
// not read the repository's webhooks, or have none) are no reason not to start: the poll
// sees what was missed.
func (a *API) Redeliver(ctx context.Context, since time.Time) (int, error) {
	const op = "ask for failed deliveries again"
	h, err := a.hook(ctx)
	if err != nil {
		return 0, fail(ctx, op, err)
	}
	failed, err := a.failed(ctx, h, since)
	if err != nil {
		return 0, fail(ctx, op, err)
	}
	for n, id := range failed {
		r, err := a.client.NewRequest(http.MethodPost, fmt.Sprintf("%s/deliveries/%d/attempts", h.path, id), nil)
		if err != nil {
			return n, fail(ctx, op, err)
		}
		_, err = a.client.Do(with(ctx, call{of: aside, asApp: h.app}), r, nil)
		var accepted *gh.AcceptedError // 202 is go-github's error, and what GitHub answers
		if err != nil && !errors.As(err, &accepted) {
			return n, fail(ctx, op, err)
		}
	}
	return len(failed), nil
}

// hookAt is where a webhook's deliveries are.
type hookAt struct {
	path string
	app  bool
}

// hook finds ours: an App has one; of a repository's it is the one with our address.
func (a *API) hook(ctx context.Context) (hookAt, error) {
	if a.app {
		return hookAt{"app/hook", true}, nil
	}
	if a.webhook == "" {
		return hookAt{}, &fault{kind: forge.ErrNotFound, words: "there is no webhook"}
	}
	ids, err := list(func(page gh.ListOptions) ([]*gh.Hook, *gh.Response, error) {
		return a.client.Repositories.ListHooks(ctx, a.owner, a.repo, &page)
	}, func(h *gh.Hook) (int64, int, error) {
		if !sameAddress(h.GetConfig().GetURL(), a.webhook) {
			return 0, 0, nil
		}
		return h.GetID(), 0, nil
	})
	if err != nil {
		return hookAt{}, err
	}
	ids = slices.DeleteFunc(ids, func(id int64) bool { return id <= 0 })
	if len(ids) == 0 {
		return hookAt{}, &fault{kind: forge.ErrNotFound, words: "the repository has no webhook with our address"}
	}
	return hookAt{fmt.Sprintf("repos/%s/%s/hooks/%d", a.owner, a.repo, slices.Max(ids)), false}, nil
}

func sameAddress(s, t string) bool {
	u, err := url.Parse(s)
	v, err2 := url.Parse(t)
	return err == nil && err2 == nil && u.Scheme == v.Scheme && strings.EqualFold(u.Host, v.Host) && strings.TrimSuffix(u.Path, "/") == strings.TrimSuffix(v.Path, "/")
}

// failed lists the attempts to repeat, the oldest first.
func (a *API) failed(ctx context.Context, h hookAt, since time.Time) ([]int64, error) {
	type attempt struct {
		id   int64
		at   time.Time
		guid string
	}
	var newest []attempt // failures
	settled := map[string]bool{}
	cursor := ""
	for range maxDeliveryPages {
		page, next, err := a.deliveries(ctx, h, cursor)
		if err == nil && page == nil {
			err = noList()
		}
		if err != nil {
			return nil, err
		}
		old := false
		for _, d := range page { // the newest first
			guid, code := d.GetGUID(), d.GetStatusCode()
			switch {
			case d.GetDeliveredAt().Before(since):
				old = true
			case d.GetID() <= 0 || guid == "" || !used(d.GetEvent()) || settled[guid]:
			case answered(code):
				settled[guid] = true
				newest = slices.DeleteFunc(newest, func(f attempt) bool { return f.guid == guid })
			case !slices.ContainsFunc(newest, func(f attempt) bool { return f.guid == guid }) && len(newest) < maxRedelivered:
				newest = append(newest, attempt{d.GetID(), d.GetDeliveredAt().Time, guid})
			}
		}
		if old || next == "" || next == cursor {
			break
		}
		cursor = next
	}
	slices.SortStableFunc(newest, func(f, g attempt) int { return f.at.Compare(g.at) })
	var ids []int64
	for _, f := range newest {
		ids = append(ids, f.id)
	}
	return ids, nil
}

// answered says that we got a delivery, and what we said to it: what we refused as another
// repository's, or as too large, we would refuse again.
func answered(code int) bool {
	return code/100 == 2 || code == http.StatusNotFound || code == http.StatusRequestEntityTooLarge
}

func (a *API) deliveries(ctx context.Context, h hookAt, cursor string) ([]*gh.HookDelivery, string, error) {
	query := url.Values{"per_page": {fmt.Sprint(perPage)}}
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	r, err := a.client.NewRequest(http.MethodGet, h.path+"/deliveries?"+query.Encode(), nil)
	if err != nil {
		return nil, "", err
	}
	var out []*gh.HookDelivery
	answer, err := a.client.Do(with(ctx, call{asApp: h.app}), r, &out)
	if err != nil {
		return nil, "", err
	}
	return out, answer.Cursor, nil
}
