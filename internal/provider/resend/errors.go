package resend

import (
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
)

// Names of errors: resend.com/docs/api-reference/errors. The status alone does not tell them
// apart.
const (
	rateLimit    = "rate_limit_exceeded"
	dailyQuota   = "daily_quota_exceeded"
	monthlyQuota = "monthly_quota_exceeded"
	otherBody    = "invalid_idempotent_request"
	sameTime     = "concurrent_idempotent_requests"
	onlySends    = "restricted_api_key"
	notValid     = "validation_error"
	security     = "security_error"
)

// soon is when a request that another one of the same key kept off is made again.
const soon = 5 * time.Second

// classify gives Resend's own meaning of an answer.
func (p *Provider) classify(a httpapi.Answer) *provider.Error {
	var said struct {
		Name    string `json:"name"`
		Message string `json:"message"`
	}
	if ok := json.Unmarshal(a.Body, &said) == nil; !ok {
		return nil // a gateway's page: the status decides
	}
	e := &provider.Error{Code: said.Name, Message: said.Message}
	now := p.api.Now().UTC()
	switch said.Name {
	case rateLimit:
		e.Kind, e.Until = provider.RateLimited, httpapi.After(a.Header, now)
		if n, err := strconv.ParseUint(a.Header.Get("Ratelimit-Reset"), 10, 31); err == nil && e.Until.IsZero() {
			e.Until = now.Add(time.Duration(n) * time.Second)
		}
	case dailyQuota:
		e.Kind, e.Until = provider.RateLimited, time.Date(now.Year(), now.Month(), now.Day()+1, 0, 0, 0, 0, time.UTC)
		e.Message = "the quota of mails a day is used up; it goes on at midnight UTC, or with a larger plan at Resend"
	case monthlyQuota:
		e.Kind, e.Until = provider.RateLimited, time.Date(now.Year(), now.Month()+1, 1, 0, 0, 0, 0, time.UTC)
		e.Message = "the quota of mails a month is used up; it goes on with the next month, or with a larger plan at Resend"
	case otherBody:
		e.Kind, e.Message = provider.Conflict, "a mail of that name was sent, with other words"
	case sameTime:
		e.Kind, e.Message, e.Until = provider.Transient, "the same mail is being sent by another request", now.Add(soon)
	case notValid:
		if a.Status == 403 {
			e.Message = "the domain of " + p.from.Address + " is not verified at Resend, which therefore sends nothing: verify it at resend.com/domains, or set providers.resend.from to an address of a verified one. It says: " + said.Message
		}
	case security:
		e.Kind = provider.Denied
	}
	return e
}

// absent says that nothing is there.
func absent(err error) bool { return err != nil && provider.KindOf(err) == provider.NotFound }

// code is Resend's name of an error.
func code(err error) string {
	var e *provider.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}
