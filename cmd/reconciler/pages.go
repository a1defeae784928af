package main

import (
	"net/http"

	"github.com/compassdigital/reconciler/internal/web"
)

// pages puts the dashboard, the API and the mailbox on mux.
func (p *program) pages(mux *http.ServeMux) error {
	o := web.Options{Read: p.engine, Healthy: p.daemon.PollError, Log: p.log}
	if p.mail != nil {
		o.Mail = p.messages
	}
	if p.sites != nil {
		o.Site = func(name string) string { return "/sites/" + name + "/" }
	}
	return web.Register(mux, o)
}

// messages are the mailbox's, newest first.
func (p *program) messages() ([]web.Message, error) {
	all, err := p.mail.Messages()
	if err != nil {
		return nil, err
	}
	out := make([]web.Message, 0, len(all))
	for i := len(all) - 1; i >= 0; i-- {
		out = append(out, web.Message{At: all[i].At, To: all[i].To, Subject: all[i].Subject, Text: all[i].Text})
	}
	return out, nil
}
