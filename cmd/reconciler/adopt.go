package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/compassdigital/reconciler/internal/daemon"
	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/secret"
	"github.com/compassdigital/reconciler/internal/state"
	"github.com/compassdigital/reconciler/internal/takeover"
)

// defaultBatch is how many clients a confirmation takes: as many as are looked through well.
const defaultBatch = 10

// adoptOptions are the command line of adopt.
type adoptOptions struct {
	from, out, template, contact string
	confirm                      bool
	batch                        int
}

func (a *app) adoptCommand() *cobra.Command {
	c := &cobra.Command{Use: "adopt [CLIENT...]", Short: "Take over what exists: write manifests, then mark", ValidArgsFunction: a.clients(many),
		Long: `Take over what exists at the providers, in two steps.

First, without --confirm: read the accounts that are configured (sites, databases, records,
accounts for payments), find out what is one client's, and write a manifest for each into
clients/ of the checkout at --out. Nothing is written at any provider, and no file that is
there is touched. Each manifest names what exists in ` + "`adopt:`" + `, is paused, and says in
comments how it was found: a site by its host name, its database by the DATABASE_URL in its
environment, its records by name, its account for payments by its business address. What is
ambiguous names choose-one-CLIENT, which can't exist: choose, or that client is held. --from
reads clients that a CMS exported as JSON; its ids come first.

Then commit, open a pull request, merge, and --confirm: the next --batch paused clients (or
those that are named) are recorded as they are and get our mark, where the provider has a
place for one: a comment, a description, metadata, a variable. Nothing else is changed. Their plans
are empty after that, and stay so when ` + "`paused: true`" + ` is taken out.

Ends with 1 when something can't be written or confirmed, with 3 when something waits for
you: to choose, or to look at what a plan would change.`,
		Example: "  reconciler adopt --out . --template ecommerce --contact ops@agency.example\n  reconciler adopt --from clients.json --out . -o json\n  reconciler adopt --confirm --batch 25"}
	o := output(c)
	var x adoptOptions
	f := c.Flags()
	f.StringVar(&x.from, "from", "", "a `file` of clients as a CMS exports them, JSON; - for the standard input")
	f.StringVar(&x.out, "out", ".", "a `folder`: the checkout that the manifests go into")
	f.StringVar(&x.template, "template", "", "the `template` of clients whose export names none")
	f.StringVar(&x.contact, "contact", "", "the `address` of clients without a contact")
	f.BoolVar(&x.confirm, "confirm", false, "record and mark what merged manifests adopt")
	f.IntVar(&x.batch, "batch", defaultBatch, "with --confirm: at most so many `clients`")
	c.RunE = func(c *cobra.Command, args []string) error {
		json, err := format(*o)
		switch {
		case err != nil:
			return err
		case x.confirm && (x.from != "" || f.Changed("out") || x.template != "" || x.contact != ""):
			return usageError{"--confirm is the second step: it takes clients and --batch, and nothing else"}
		case x.confirm && x.batch < 1:
			return usageError{fmt.Sprintf("--batch %d: at least 1", x.batch)}
		case x.confirm:
			return a.confirmAdoption(c.Context(), args, x.batch, json)
		case len(args) > 0:
			return usageError{"clients are named with --confirm alone; without it every client is written"}
		case f.Changed("batch"):
			return usageError{"--batch goes with --confirm"}
		}
		return a.adopt(c.Context(), x, json)
	}
	return c
}

// adopted is what adopt answers.
type adopted struct {
	Clients []adoptedRow `json:"clients"`
	Written int          `json:"written"`
}

type adoptedRow struct {
	takeover.Match
	Written string `json:"written,omitempty"` // the file
	Refused string `json:"refused,omitempty"` // why no manifest could be written
}

// adopt writes manifests for what exists.
func (a *app) adopt(ctx context.Context, x adoptOptions, json bool) error {
	conf, err := a.load()
	if err != nil {
		return err
	}
	entries, err := a.export(x.from)
	if err != nil {
		return err
	}
	tree, err := readTree(x.out, conf)
	if err != nil {
		return err
	}
	if x.template == "" {
		x.template = tree.onlyTemplate()
	}
	var inv takeover.Inventory
	if _, err := a.ask(ctx, daemon.Ask{Op: "existing"}, &inv); err != nil {
		return err
	}
	matches := takeover.Matches(inv, entries, tree.KnownIn())
	drafts := takeover.Drafts(matches, takeover.Options{Template: x.template, Contact: x.contact})
	if err := x.enough(drafts); err != nil {
		return err
	}
	good, refused := takeover.Check(tree.Tree, drafts)
	v := adopted{Clients: []adoptedRow{}}
	files := map[string]string{}
	for _, d := range good {
		file := filepath.Join(x.out, filepath.FromSlash(tree.Path(d)))
		if err := writeNew(file, d.Bytes()); err != nil {
			return err
		}
		files[d.Name] = file
		v.Written++
	}
	waits := false
	for _, m := range matches {
		row := adoptedRow{Match: m}
		if m.Skipped == "" {
			row.Written, row.Refused = files[m.Name], refused[m.Name]
			waits = waits || m.State != takeover.Matched
		}
		v.Clients = append(v.Clients, row)
	}
	if json {
		err = a.json(v)
	} else {
		a.printAdopted(v)
	}
	switch {
	case err != nil:
		return err
	case len(refused) > 0:
		return codeError{code: exitFailed}
	case waits:
		return codeError{code: exitHeld}
	}
	return nil
}

// export reads what a CMS wrote; nil: nothing was named.
func (a *app) export(from string) ([]takeover.Entry, error) {
	r := a.in
	switch from {
	case "":
		return nil, nil
	case "-":
	default:
		f, err := os.Open(from)
		if err != nil {
			return nil, usageError{"--from: " + err.Error()}
		}
		defer f.Close()
		r = f
	}
	return takeover.ReadExport(r)
}

// enough says what nobody said and the manifests need.
func (x adoptOptions) enough(drafts []takeover.Draft) error {
	for _, d := range drafts {
		template, contact := d.Lacks()
		switch {
		case template:
			return usageError{"--template NAME is missing: " + d.Name + " needs a template, and there is not exactly one in templates/"}
		case contact:
			return usageError{"--contact ADDRESS is missing: nobody says whom mail about " + d.Name + " goes to"}
		}
	}
	return nil
}

// adoptTree is the checkout.
type adoptTree struct{ takeover.Tree }

// readTree reads the checkout that manifests go into. Its clients folder is made if there is
// none.
func readTree(dir string, conf Config) (adoptTree, error) {
	layout := manifest.LayoutOf(conf.Repository.Path)
	if fi, err := os.Stat(dir); err != nil || !fi.IsDir() {
		return adoptTree{}, usageError{fmt.Sprintf("--out %s is no folder: name a checkout of the repository", dir)}
	}
	if err := os.MkdirAll(filepath.Join(dir, filepath.FromSlash(layout.Clients)), 0o755); err != nil {
		return adoptTree{}, fmt.Errorf("make the clients folder: %w", err)
	}
	files, err := readDir(dir, conf.Repository.Path)
	if err != nil {
		return adoptTree{}, err
	}
	d := conf.Platform
	t := adoptTree{takeover.Tree{Layout: layout, Program: version,
		Defaults: manifest.Defaults{BaseDomain: d.BaseDomain, Deployment: d.Defaults.Deployment, Database: d.Defaults.Database, DNS: d.Defaults.DNS}}}
	for _, f := range files {
		t.Files = append(t.Files, manifest.File{Path: f.Path, Data: f.Data})
	}
	return t, nil
}

// onlyTemplate is the template where there is one and no other.
func (t adoptTree) onlyTemplate() string {
	name := ""
	for _, f := range t.Files {
		if t.Layout.Classify(f.Path) != manifest.ClassTemplate {
			continue
		}
		if name != "" {
			return ""
		}
		name = strings.TrimSuffix(filepath.Base(f.Path), ".yaml")
	}
	return name
}

// writeNew writes a file that is not there.
func writeNew(file string, data []byte) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("write a manifest: %w", err)
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write a manifest: %w", errors.Join(err, os.Remove(file)))
	}
	return nil
}

func (a *app) printAdopted(v adopted) {
	var rows [][]string
	have, more, paid := 0, "", false
	for _, r := range v.Clients {
		paid = paid || r.Money.State == takeover.Matched || r.Money.State == takeover.Ambiguous
	}
	for _, r := range v.Clients {
		state, next := string(r.State), r.Next
		switch {
		case r.File != "":
			have++
			continue
		case r.Skipped != "":
			state, next = "skipped", r.Skipped
		case r.Refused != "":
			state, next = "refused", r.Refused
		}
		row := []string{r.Name, state, partCell(r.Site), dash(r.Host), partCell(r.Data), partCell(r.DNS)}
		if paid {
			row = append(row, partCell(r.Money))
		}
		rows = append(rows, append(row, next))
	}
	if have > 0 {
		more = " else"
		fmt.Fprintf(a.out, "%s a manifest already; no file that is there is touched.\n", counted(have, "client has", "clients have"))
	}
	if len(rows) == 0 {
		fmt.Fprintf(a.out, "Nothing%s was found that could be adopted.\n", more)
		return
	}
	head := []string{"CLIENT", "STATE", "SITE", "DOMAIN", "DATABASE", "RECORDS"}
	if paid {
		head = append(head, "PAYMENTS")
	}
	a.table(append(head, "NEXT"), rows)
	fmt.Fprintf(a.out, "\n%s written. Look through %s, commit, and open a pull request: its plan only adopts.\n", counted(v.Written, "manifest was", "manifests were"), them(v.Written))
}

func them(n int) string {
	if n == 1 {
		return "it"
	}
	return "them"
}

// partCell is a finding in a cell.
func partCell(f takeover.Finding) string {
	switch {
	case f.State == takeover.Matched && f.ID != "":
		return f.Provider + " " + f.ID
	case f.State == "":
		return "-"
	}
	return string(f.State)
}

// confirmAdoption lets the daemon record and mark.
func (a *app) confirmAdoption(ctx context.Context, names []string, batch int, json bool) error {
	var v reconcile.Confirmation
	if _, err := a.ask(ctx, daemon.Ask{Op: "adopt-confirm", Names: names, Limit: batch}, &v); err != nil {
		return err
	}
	var err error
	if json {
		err = a.json(v)
	} else {
		a.printConfirmation(v)
	}
	if err != nil {
		return err
	}
	for _, t := range v.Clients {
		if !t.Done || !t.Empty {
			return codeError{code: exitHeld}
		}
	}
	return nil
}

func (a *app) printConfirmation(v reconcile.Confirmation) {
	if len(v.Clients) == 0 && v.Left == 0 {
		fmt.Fprintln(a.out, "No paused client of the accepted commit adopts anything that is not confirmed.")
		return
	}
	var rows [][]string
	differ := []string{}
	for _, t := range v.Clients {
		if t.Done && !t.Empty {
			differ = append(differ, t.Client)
		}
		state, why := "adopted", "its plan is empty"
		switch {
		case !t.Done:
			state, why = "waits", t.Because
			if t.Next != "" {
				why += "; " + t.Next
			}
		case !t.Empty && len(t.Changes) > 0:
			state, why = "differs", "its plan would "+strings.Join(t.Changes, "; ")
		case !t.Empty:
			state, why = "differs", t.Because
		}
		rows = append(rows, []string{t.Client, state, fmt.Sprint(t.Recorded), dash(strings.Join(t.Marked, ", ")), why})
	}
	a.table([]string{"CLIENT", "STATE", "RECORDED", "MARKED", "DETAIL"}, rows)
	switch {
	case v.Left > 0:
		fmt.Fprintf(a.out, "\n%s left: `reconciler adopt --confirm` again.\n", counted(v.Left, "client is", "clients are"))
	case len(differ) > 0:
		fmt.Fprintf(a.out, "\nAll are confirmed. `reconciler plan %s` shows what would change: mend the manifest where it should not, then take `paused: true` out.\n", safe(differ[0]))
	default:
		fmt.Fprintln(a.out, "\nAll are confirmed. Take `paused: true` out of their manifests: that plan is empty, too.")
	}
}

// existing is what the accounts hold, for whoever wants to adopt it.
func (p *program) existing(ctx context.Context) (any, error) {
	if len(p.listers) == 0 {
		return nil, errors.New("adopt: no provider that can be adopted from is configured: see providers in the configuration")
	}
	return takeover.Collect(ctx, p.listers, p.engine.Runner.Installation)
}

// keepHandles keeps what a provider can do beside its contract, before it is wrapped.
func (p *program) keepHandles(q provider.Provider, known *secret.Redactor) {
	if l, ok := q.(provider.Lister); ok && !slices.ContainsFunc(p.listers, func(s takeover.Source) bool { return s.Name == q.Name() }) {
		p.listers = append(p.listers, takeover.Source{Name: q.Name(), Lister: provider.ConcealLister(l, known)})
	}
	if m, ok := q.(provider.Marker); ok {
		for k := range q.Traits() {
			p.markers[key{q.Name(), k}] = provider.ConcealMarker(m, known)
		}
	}
}

// marker finds who writes marks on what others made.
func (p *program) marker(name string, k state.Kind) (provider.Marker, bool) {
	m, ok := p.markers[key{name, k}]
	return m, ok
}
