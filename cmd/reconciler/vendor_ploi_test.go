package main

import (
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

// Ploi is opened with a token and a server, from the file or from an old .env, and never
// with one alone.
func TestPloiIsOpenedWithATokenAndAServer(t *testing.T) {
	token := sealed{Secret: state.NewSecret("invented-token")}
	for name, x := range map[string]struct {
		config PloiConfig
		opened int
		wrong  string
	}{
		"nothing":                      {PloiConfig{}, 0, ""},
		"servers":                      {PloiConfig{APIToken: token, Servers: map[string]string{"web-1": "1", "web-2": "2"}}, 1, ""},
		"one server":                   {PloiConfig{APIToken: token, ServerID: "7"}, 1, ""},
		"a token alone":                {PloiConfig{APIToken: token}, 0, ""},
		"a server without a token":     {PloiConfig{ServerID: "7"}, 0, ""},
		"servers without a token":      {PloiConfig{Servers: map[string]string{"web-1": "1"}}, 0, "apiToken"},
		"a server that is no number":   {PloiConfig{APIToken: token, ServerID: "royal-reef"}, 0, "no number"},
		"one server under two names":   {PloiConfig{APIToken: token, ServerID: "1", Servers: map[string]string{"web-1": "1"}}, 0, "the same one"},
		"a default beside a server ID": {PloiConfig{APIToken: token, ServerID: "2", Servers: map[string]string{"default": "1"}}, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := &program{vendors: newVendors(), now: time.Now, log: slog.New(slog.NewTextHandler(io.Discard, nil))}
			c := Config{Providers: ProvidersConfig{Ploi: x.config}}
			wrong := strings.Join(c.checkPloi(), "\n")
			if x.wrong == "" && wrong != "" || !strings.Contains(wrong, x.wrong) {
				t.Errorf("wrong is %q, want %q", wrong, x.wrong)
			}
			if wrong != "" {
				return
			}
			opened, err := p.openPloi(c)
			if err != nil {
				t.Error(err)
			}
			if len(opened) != x.opened {
				t.Fatalf("%d are opened, want %d", len(opened), x.opened)
			}
			if len(opened) == 1 && (opened[0].Name() != "ploi" || len(opened[0].Traits()) != 5) {
				t.Errorf("opened %s with %d kinds", opened[0].Name(), len(opened[0].Traits()))
			}
			if err := p.close(); err != nil {
				t.Error(err)
			}
		})
	}
}
