package main

import (
	"net/http"
	"regexp"

	"github.com/compassdigital/reconciler/internal/daemon"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/store"
	"github.com/compassdigital/reconciler/internal/web"
)

// pages are the dashboard, the API and the mailbox.
func (p *program) pages() (http.Handler, error) {
	o := web.Options{Read: reader{p.engine, p.control(true)}, Ready: p.daemon.PollError, Log: p.log, PublicURL: p.config.PublicURL, Metrics: p.vendors.handler()}
	if p.reviewer != nil {
		o.Reviews = reviews{p.store}
	}
	o.Mail = p.caught
	if p.sims != nil {
		o.Vendors = simulatedPath + "/"
	}
	if p.forge != nil {
		o.Forge = forgePath + "/"
	}
	if p.front != nil {
		o.Site = func(name string) string { return "/sites/" + name + "/" }
	}
	if p.payments != nil {
		o.Onboard = p.onboard
	}
	return web.Handler(o)
}

// reader is what the pages read.
type reader struct {
	*reconcile.Engine
	control *daemon.Control
}

// Overview is what commands get, too.
func (r reader) Overview() (reconcile.Overview, error) { return r.control.Overview() }

// Deployment returns one audit record.
func (r reader) Deployment(id string) (state.Deployment, error) {
	var d state.Deployment
	err := r.Store.View(func(tx store.Tx) error {
		found, ok, err := store.Deployment(tx, id)
		if err == nil && !ok {
			err = reconcile.ErrNoDeployment
		}
		d = found
		return err
	})
	return d, err
}

var anAddress = regexp.MustCompile(`http://\S+`)

// messages are the mailbox's, newest first, with the addresses that a browser finds here.
func (p *program) messages() ([]web.Message, error) {
	all, err := p.mail.Messages()
	if err != nil {
		return nil, err
	}
	out := make([]web.Message, 0, len(all))
	for i := len(all) - 1; i >= 0; i-- {
		out = append(out, web.Message{At: all[i].At, To: all[i].To, Subject: all[i].Subject, Text: anAddress.ReplaceAllStringFunc(all[i].Text, p.here)})
	}
	return out, nil
}
