package memory

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// Objects are all objects, or those of one provider when owner is given, sorted by
// kind, name and id. They are as they are now, whatever lists show. The mark of one that has no
// place for a mark, which its vendor tells nobody, is that of the wish that made it.
func (w *World) Objects(owner string) []provider.Object {
	w.lock()
	defer w.mu.Unlock()
	var out []provider.Object
	for _, o := range w.objects {
		if owner == "" || o.owner == owner {
			out = append(out, w.show(o))
		}
	}
	sort.Slice(out, func(i, j int) bool { return before(out[i], out[j]) })
	return out
}

func before(a, b provider.Object) bool {
	switch {
	case a.Kind != b.Kind:
		return a.Kind < b.Kind
	case a.Name != b.Name:
		return a.Name < b.Name
	}
	return a.ID < b.ID
}

// Object is the object of an id.
func (w *World) Object(id string) (provider.Object, bool) {
	w.lock()
	defer w.mu.Unlock()
	o, ok := w.objects[id]
	if !ok {
		return provider.Object{}, false
	}
	return w.show(o), true
}

// Snapshot is a text of the objects that match (nil: all) and their rows: equal texts
// mean that nothing of them changed. Secrets are hashes in it.
func (w *World) Snapshot(match func(provider.Object) bool) string {
	var b strings.Builder
	for _, o := range w.Objects("") {
		if match == nil || match(o) {
			w.print(&b, o, fmt.Sprintf(" phase %s %q", o.Phase, o.Message))
		}
	}
	return b.String()
}

// Written is a Snapshot of everything but for how far it is built, which goes on by looking
// alone: equal texts mean that nobody wrote.
func (w *World) Written() string {
	var b strings.Builder
	for _, o := range w.Objects("") {
		w.print(&b, o, "")
	}
	return b.String()
}

func (w *World) print(b *strings.Builder, o provider.Object, phase string) {
	if w.bare(o.ID) {
		o.Mark = provider.Mark{}
	}
	fmt.Fprintf(b, "%s %q %q mark %v%s\n", o.Kind, o.Name, o.ID, o.Mark, phase)
	for _, a := range o.Attributes {
		fmt.Fprintf(b, "  %q = %s\n", a.Name, shown(a))
	}
	for _, a := range o.Outputs {
		fmt.Fprintf(b, "  %q -> %s\n", a.Name, shown(provider.Input(a)))
	}
	if w.Frozen(o.ID) {
		b.WriteString("  frozen\n")
	}
	for _, row := range w.Rows(o.ID) {
		fmt.Fprintf(b, "  row %q\n", row)
	}
}

// bare says that an object has no place for a mark.
func (w *World) bare(id string) bool {
	w.lock()
	defer w.mu.Unlock()
	o, ok := w.objects[id]
	return ok && o.bare
}

func shown(i provider.Input) string {
	if i.Secret == nil {
		return strconv.Quote(i.Text)
	}
	sum := sha256.Sum256([]byte(i.Reveal()))
	return "secret " + hex.EncodeToString(sum[:8])
}

// Unmarked matches what bears no mark of the installation, for Snapshot.
func Unmarked(installation string) func(provider.Object) bool {
	return func(o provider.Object) bool { return o.Mark.Installation != installation }
}

// Rows are what was written to a database.
func (w *World) Rows(database string) []string {
	w.lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.rows[database]...)
}

// BuiltWith is the environment that a deployment was built with, by variable.
func (w *World) BuiltWith(deployment string) map[string]string {
	w.lock()
	defer w.mu.Unlock()
	o, ok := w.objects[deployment]
	if !ok {
		return nil
	}
	out := map[string]string{}
	for _, i := range o.built {
		if name, ok := strings.CutPrefix(i.Name, "env."); ok {
			out[name] = i.Reveal()
		}
	}
	return out
}

// maxHops is how many redirects of domains are followed.
const maxHops = 5

// Serves says which deployment answers at a host name. A host that is bound at two
// vendors is where its DNS record leads; a host without any record in this world is
// taken to lead to whoever has it bound. A host whose record leads elsewhere is not
// served.
func (w *World) Serves(host string) (deployment string, ok bool) {
	w.lock()
	defer w.mu.Unlock()
	_, d := w.way(host)
	if d == nil {
		return "", false
	}
	return w.serving(get(d.Attributes, "site"))
}

// Way is over which host names people come who ask for one: itself first, then what it redirects
// to.
func (w *World) Way(host string) []string {
	w.lock()
	defer w.mu.Unlock()
	hosts, _ := w.way(host)
	return hosts
}

// way also says which domain object is at the end; nil: the way ends nowhere.
func (w *World) way(host string) (hosts []string, end *object) {
	for range maxHops {
		hosts = append(hosts, strings.ToLower(host))
		d := w.bound(strings.ToLower(host))
		if d == nil {
			return hosts, nil
		}
		if host = get(d.Attributes, "redirect"); host == "" {
			return hosts, d
		}
	}
	return hosts, nil
}

// Answers says that a site serves a deployment that is ready.
func (w *World) Answers(site string) bool {
	w.lock()
	defer w.mu.Unlock()
	_, ok := w.serving(site)
	return ok
}

// bound is the domain object that a host leads to.
func (w *World) bound(host string) *object {
	contents := w.resolves(host)
	for _, d := range w.of("host " + host) {
		if len(contents) == 0 {
			return d
		}
		site, ok := w.objects[get(d.Attributes, "site")]
		if !ok {
			continue
		}
		for _, out := range site.Outputs {
			if out.Name != "address" && out.Name != "host" {
				continue
			}
			for _, c := range contents {
				if strings.TrimSuffix(c, ".") == out.Text {
					return d
				}
			}
		}
	}
	return nil
}

// serving is the deployment of a site that answers.
func (w *World) serving(site string) (string, bool) {
	var last *object
	for _, o := range w.of("site " + site) {
		switch o.Kind {
		case state.KindTraffic:
			d, ok := w.objects[get(o.Attributes, "deployment")]
			if ok && d.promotes && w.show(d).Phase == provider.Ready {
				return d.ID, true
			}
		case state.KindDeployment:
			if !o.promotes && w.show(o).Phase == provider.Ready {
				last = o // such a vendor serves what was built last
			}
		}
	}
	if last == nil {
		return "", false
	}
	return last.ID, true
}

// Resolves are the contents of the address and alias records of a name, sorted.
func (w *World) Resolves(name string) []string {
	w.lock()
	defer w.mu.Unlock()
	return w.resolves(strings.ToLower(name))
}

func (w *World) resolves(name string) []string {
	var out []string
	for _, o := range w.of("dns " + name) {
		switch get(o.Attributes, "type") {
		case "A", "AAAA", "CNAME":
			out = append(out, get(o.Attributes, "content"))
		}
	}
	sort.Strings(out)
	return out
}
