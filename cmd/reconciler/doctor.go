package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/compassdigital/reconciler/internal/provider/external"
	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/secret"
	"github.com/compassdigital/reconciler/internal/state"
)

// doctorTime is how long one look of doctor may take.
const doctorTime = 30 * time.Second

// doctor looks at an installation, each thing by itself, and changes nothing: it opens no
// state for writing, makes no folder and no key, and of vendors it only reads.
type doctor struct {
	app   *app
	c     Config
	p     *program // with what vendors' clients are made of, and nothing else
	known secret.Redactor
	keys  *secret.Keys // nil: there are none yet, or none that can be read
	web   *http.Client // for publicURL; nil: none can be made
	// unopened says why there is no client for GitHub, where one is configured.
	unopened error
}

// look is one thing that is looked at; what it finds stands together.
type look func(context.Context) []report.Finding

func ok(about, format string, a ...any) report.Finding {
	return report.Finding{About: about, Level: report.OK, Text: fmt.Sprintf(format, a...)}
}

func warn(about, hint, format string, a ...any) report.Finding {
	return report.Finding{About: about, Level: report.Warn, Text: fmt.Sprintf(format, a...), Hint: hint}
}

func bad(about, hint, format string, a ...any) report.Finding {
	return report.Finding{About: about, Level: report.Fail, Text: fmt.Sprintf(format, a...), Hint: hint}
}

func (a *app) doctorCommand() *cobra.Command {
	c := &cobra.Command{Use: "doctor", Short: "Look at the configuration, the state and every account; change nothing", Args: noArgs,
		Long: `Look at what this installation needs, and say what is wrong with it and what to do: the
configuration, the key, the state, room on the disk, the repository with its credentials,
GitHub with its permissions and webhook, every provider's account, DNS, mail.

Everything is looked at side by side, and nothing is changed, here or there; it works
beside a running daemon and without one. What says warn runs all the same.

Ends with 0, with 1 when something fails.`,
		Example: "  reconciler doctor --config /etc/reconciler/reconciler.yaml\n  reconciler doctor -o json"}
	o := output(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		json, err := format(*o)
		if err != nil {
			return err
		}
		all, err := a.examine(c.Context())
		if err != nil {
			return err
		}
		failed, warned := report.Count(all, report.Fail), report.Count(all, report.Warn)
		if json {
			err = a.json(map[string]any{"findings": all, "failed": failed, "warnings": warned})
		} else {
			fmt.Fprint(a.out, report.Findings(all, a.look()))
			fmt.Fprintln(a.out, summary(failed, warned))
		}
		if err == nil && failed > 0 {
			return codeError{exitFailed}
		}
		return err
	}
	return c
}

func summary(failed, warned int) string {
	switch {
	case failed > 0 && warned > 0:
		return fmt.Sprintf("\n%s, %s.", counted(failed, "thing to mend", "things to mend"), counted(warned, "warning", "warnings"))
	case failed > 0:
		return fmt.Sprintf("\n%s.", counted(failed, "thing to mend", "things to mend"))
	case warned > 0:
		return fmt.Sprintf("\nNothing to mend, %s.", counted(warned, "warning", "warnings"))
	}
	return "\nAll is well."
}

// examine looks at everything, in an order of its own. An error is wrong usage.
func (a *app) examine(ctx context.Context) ([]report.Finding, error) {
	if a.config != "" && a.data != "" {
		return nil, usageError{"--config and --data exclude each other"}
	}
	path := a.configFile()
	c, wrong, err := readConfig(path, a.env)
	if errors.Is(err, os.ErrNotExist) {
		return nil, noConfiguration(path)
	}
	d := &doctor{app: a, c: c}
	learn(&d.known, reflect.ValueOf(c))
	if u, err := url.Parse(c.Repository.URL); err == nil {
		if password, ok := u.User.Password(); ok {
			d.known.Add(state.NewSecret(password))
		}
	}
	var out []report.Finding
	if err != nil {
		out = append(out, bad("configuration", "put right what it says; the rest is looked at then", "%v", err))
	}
	for _, w := range wrong {
		out = append(out, bad("configuration", "", "%s", w))
	}
	if len(out) > 0 {
		out[len(out)-1].Hint = "put " + path + " right; the rest is looked at then"
		return d.clean(out), nil
	}
	out = append(out, ok("configuration", "%s is right", path))
	for _, n := range c.notices() {
		out = append(out, warn("configuration", "", "%s", n))
	}
	key, keys := d.lookAtKey()
	out, d.keys = append(out, key...), keys
	if err := d.open(); err != nil {
		return nil, err
	}
	vendors, ready := d.vendors()
	all := append([]look{d.state, d.disk, d.secrets, d.repository, d.github, d.publicURL, d.dns}, vendors...)
	for _, f := range sideBySide(ctx, all) {
		out = append(out, f...)
	}
	out = append(append(out, ready...), d.clock()...)
	return d.clean(out), d.p.close()
}

// open makes what the looks share. It calls nobody.
func (d *doctor) open() (err error) {
	a, keys := d.app, d.keys
	if keys == nil { // a look at a PostgreSQL server needs no client's password
		if keys, err = secret.Open(secret.KeySource{Env: state.NewSecret(strings.Repeat("0", 64))}); err != nil {
			return err
		}
	}
	d.p = &program{config: d.c, log: slog.New(slog.NewTextHandler(io.Discard, nil)), vendors: newVendors(), now: a.now, sleep: a.sleep, quick: a.quick, public: a.public, keys: keys}
	if d.p.sleep == nil {
		d.p.sleep = sleep
	}
	if d.p.standIn = d.p.public != nil; !d.p.standIn {
		d.p.public = external.DNS(net.DefaultResolver)
	}
	d.unopened = d.p.openGitHub(d.c)
	if d.web, err = d.p.vendorHTTP(publicAbout, limit{}); err != nil {
		d.web = nil // network.proxy or caFile: every vendor says so
	}
	return nil
}

// sideBySide runs all looks at once, and returns what each found, in their order.
func sideBySide(ctx context.Context, all []look) [][]report.Finding {
	found := make([][]report.Finding, len(all))
	var wg sync.WaitGroup
	for i, l := range all {
		wg.Go(func() {
			ctx, cancel := context.WithTimeoutCause(ctx, doctorTime, fmt.Errorf("it took longer than %s", doctorTime))
			defer cancel()
			found[i] = l(ctx)
		})
	}
	wg.Wait()
	return found
}

// clean makes what was found fit to be shown: no secret, one line each.
func (d *doctor) clean(all []report.Finding) []report.Finding {
	for i, f := range all {
		all[i] = f.Clean(d.known.Redact)
	}
	return all
}

// learn tells every secret of a configuration to whom takes them out of text.
func learn(known *secret.Redactor, v reflect.Value) {
	switch v.Kind() {
	case reflect.Slice:
		for i := range v.Len() {
			learn(known, v.Index(i))
		}
	case reflect.Struct:
		if s, ok := v.Interface().(sealed); ok {
			known.Add(s.Secret)
			return
		}
		for t := range fieldsOf(v.Type()) {
			learn(known, v.FieldByIndex(t.Index))
		}
	}
}
