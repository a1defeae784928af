package stripe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
	"github.com/compassdigital/reconciler/internal/state"
)

// inUse is Stripe's code of a call whose key another one has that is under way.
const inUse = "idempotency_key_in_use"

const accountsPath = "/v1/accounts"

// errNoAccess is the cause of an answer that an account is not there, or not for this key:
// Stripe tells the two apart by nothing.
var errNoAccess = errors.New("stripe gives no access to the account")

// classify gives Stripe's meaning of an answer, by its status, type and code
// (docs.stripe.com/api/errors, docs.stripe.com/error-codes).
func classify(a httpapi.Answer) *provider.Error {
	var said struct {
		Error *struct{ Type, Code, Message string } `json:"error"`
	}
	if json.Unmarshal(a.Body, &said) != nil || said.Error == nil || said.Error.Type == "" {
		if a.Status == http.StatusNotFound || a.Status == http.StatusGone {
			return &provider.Error{Kind: provider.Invalid, Message: fmt.Sprintf("there is no API at its address (it answered %d): see providers.stripe.apiURL", a.Status)}
		}
		return nil
	}
	e := &provider.Error{Code: said.Error.Code, Message: said.Error.Message}
	if e.Code == "" {
		e.Code = said.Error.Type
	}
	switch {
	case said.Error.Code == "account_invalid": // 403
		e.Kind, e.Err = provider.NotFound, errNoAccess
	case a.Status == http.StatusNotFound && said.Error.Code != "resource_missing": // an address that it does not know
		e.Kind = provider.Invalid
	case said.Error.Type == "idempotency_error": // an earlier call had this key
		e.Kind = provider.Conflict
		if e.Code != inUse {
			e.Message += freeAgain
		}
	case said.Error.Code == "lock_timeout": // 429: somebody else is at the account
		e.Kind = provider.Transient
	case a.Status == http.StatusPaymentRequired: // "the parameters were valid but the request failed"
		e.Kind = provider.Invalid
	}
	if a.Header.Get(replayed) == "true" {
		e.Message += " (Stripe's first answer, which it repeats for a day)"
	}
	return e
}

// get reads an account. The error of one that is not there is of kind NotFound.
func (p *Provider) get(ctx context.Context, op, id string) (account, error) {
	var a account
	if _, err := p.api.Do(ctx, httpapi.Call{Op: opObserve, Method: http.MethodGet, Path: accountsPath + "/" + id, Header: header(""), Out: &a}); err != nil {
		return account{}, as(op, err)
	}
	switch {
	case a.Deleted && a.ID == id:
		return account{}, p.fail(provider.NotFound, op, "account "+id+" is closed", nil)
	case !a.good() || a.ID != id:
		return account{}, as(op, p.odd(opObserve))
	}
	return a, nil
}

// as is a read's error within another verb.
func as(op string, err error) error {
	var pe *provider.Error
	if !errors.As(err, &pe) {
		return err
	}
	e := *pe
	e.Op = op
	return &e
}

// mustGet reads an account that has to be there.
func (p *Provider) mustGet(ctx context.Context, op, id string) (account, error) {
	if !isAccount(id) {
		return account{}, p.fail(provider.NotFound, op, shown(id)+" is not the id of an account", nil)
	}
	a, err := p.get(ctx, op, id)
	if errors.Is(err, errNoAccess) {
		gone, own := p.believed(ctx)
		if own != nil {
			return account{}, as(op, own)
		}
		if !gone {
			return account{}, p.fail(provider.Invalid, op, noAccess(id), errNoAccess)
		}
	}
	return a, err
}

// byID looks for one account.
func (p *Provider) byID(ctx context.Context, id string) ([]provider.Object, error) {
	if !isAccount(id) {
		return nil, nil
	}
	a, err := p.get(ctx, opObserve, id)
	switch {
	case err == nil:
		return []provider.Object{a.object()}, nil
	case errors.Is(err, errNoAccess):
		gone, err := p.believed(ctx)
		if gone || err != nil {
			return nil, err
		}
		return []provider.Object{{ID: id, Kind: KindPayments, Phase: provider.Failed, Message: noAccess(id), Outputs: []provider.Output{{Name: "id", Text: id}}}}, nil
	case provider.KindOf(err) == provider.NotFound:
		return nil, nil
	}
	return nil, err
}

func noAccess(id string) string {
	return "Stripe gives no access to " + id + ": it was closed, its owner took the access away, or the key is of another platform; name the platform in providers.stripe.platform to tell these apart"
}

// believed says whether an account to which there is no access is gone: the key must be the
// platform's. With another one's everything would look gone.
func (p *Provider) believed(ctx context.Context) (bool, error) {
	if p.platform == "" {
		return false, nil
	}
	p.mu.Lock()
	seen := p.seen
	p.mu.Unlock()
	if seen {
		return true, nil
	}
	if _, err := p.whose(ctx); err != nil {
		return false, err
	}
	p.mu.Lock()
	p.seen = true // a key never changes hands
	p.mu.Unlock()
	return true, nil
}

// listed are the accounts that fit, as objects.
func (p *Provider) listed(ctx context.Context, fits func(account) bool) ([]provider.Object, error) {
	all, err := p.accounts(ctx, fits)
	var out []provider.Object
	for _, a := range all {
		out = append(out, a.object())
	}
	return out, err
}

// accounts reads all pages and returns the accounts that fit. A list that is cut off is an error.
func (p *Provider) accounts(ctx context.Context, fits func(account) bool) ([]account, error) {
	var out []account
	after := ""
	for range maxPages {
		query := url.Values{"limit": {strconv.Itoa(pageSize)}}
		if after != "" {
			query.Set("starting_after", after)
		}
		var page struct {
			Object  string     `json:"object"`
			Data    *[]account `json:"data"`
			HasMore *bool      `json:"has_more"`
		}
		if _, err := p.api.Do(ctx, httpapi.Call{Op: opObserve, Method: http.MethodGet, Path: accountsPath, Query: query, Header: header(""), Out: &page}); err != nil {
			return nil, err
		}
		if page.Object != "list" || page.Data == nil || page.HasMore == nil || *page.HasMore && len(*page.Data) == 0 {
			return nil, p.odd(opObserve)
		}
		for _, a := range *page.Data {
			if !a.good() || a.ID == after {
				return nil, p.odd(opObserve)
			}
			if fits(a) {
				out = append(out, a)
			}
		}
		if !*page.HasMore {
			return out, nil
		}
		after = (*page.Data)[len(*page.Data)-1].ID
	}
	return nil, p.fail(provider.Transient, opObserve, fmt.Sprintf("there are more than %d accounts: the list is not whole", maxPages*pageSize), nil)
}

// post changes an account. It sets values and so may be sent again: the key is a fresh one,
// since Stripe would answer a wish that comes back within a day (one, another, the first
// again) with its first answer and do nothing.
func (p *Provider) post(ctx context.Context, op, id string, form httpapi.Form) (account, error) {
	key, err := p.fresh(op, id)
	if err != nil {
		return account{}, err
	}
	var a account
	if _, err := p.api.Do(ctx, httpapi.Call{Op: op, Method: http.MethodPost, Path: accountsPath + "/" + id, Header: header(key), In: form, Out: &a}); err != nil {
		return account{}, err
	}
	if !a.good() || a.ID != id {
		return account{}, p.odd(op)
	}
	return a, nil
}

// Link returns an address where the account's owner tells Stripe what it wants to know. It is
// made anew by every call, works once, soon expires, and lets in whoever has it: it is for one
// redirect, and never for a mail, a log or a store. Stripe leads to refreshURL when it no
// longer works, which should lead to a fresh one, and to returnURL when its owner leaves, which
// says nothing of how far that one came. From the first link on the account's profile is its
// owner's (see doc.go). Errors are *provider.Error; an account without our mark is Invalid.
func (p *Provider) Link(ctx context.Context, account, refreshURL, returnURL string) (state.Secret, error) {
	if err := p.ready(ctx, opLink, KindPayments); err != nil {
		return state.Secret{}, err
	}
	if !p.isAddress(refreshURL) || !p.isAddress(returnURL) {
		return state.Secret{}, p.fail(provider.Invalid, opLink, "where to come back to are two https addresses", nil)
	}
	a, err := p.mustGet(ctx, opLink, account)
	if err != nil {
		return state.Secret{}, err
	}
	if a.mark().IsZero() {
		return state.Secret{}, p.fail(provider.Invalid, opLink, "account "+account+" bears no mark: it is not ours to onboard", nil)
	}
	if !a.begun() {
		if _, err := p.post(ctx, opLink, account, httpapi.Form{metadata(keyOnboarding): {begun}}); err != nil {
			return state.Secret{}, err
		}
	}
	key, err := p.fresh(opLink, account)
	if err != nil {
		return state.Secret{}, err
	}
	var made struct {
		Object string `json:"object"`
		URL    string `json:"url"`
	}
	if _, err := p.api.Do(ctx, httpapi.Call{Op: opLink, Method: http.MethodPost, Path: "/v1/account_links", Header: header(key), Out: &made,
		In: httpapi.Form{"account": {account}, "type": {"account_onboarding"}, "refresh_url": {refreshURL}, "return_url": {returnURL}}}); err != nil {
		return state.Secret{}, err
	}
	if made.Object != "account_link" || !p.isAddress(made.URL) {
		return state.Secret{}, p.odd(opLink)
	}
	return state.NewSecret(made.URL), nil
}

// isAddress says that a text is a whole address by TLS; without it, at a simulated Stripe.
func (p *Provider) isAddress(text string) bool {
	u, err := url.Parse(text)
	return err == nil && len(text) <= maxURL && u.Host != "" && u.User == nil && (u.Scheme == "https" || p.plain && u.Scheme == "http")
}
