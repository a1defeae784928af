package accept

import (
	"maps"
	"slices"
	"strings"

	"github.com/compassdigital/reconciler/internal/state"
)

// inheritedBy are the changed templates and platform file that a client may have its new
// wish from: who comes back has all of it from them, whatever they were when it went.
func (w *writer) inheritedBy(k *candidate, was state.Client) []string {
	if k.inherited || was.Removed || k.eff.TemplateBlob != was.TemplateBlob || w.now.platform != was.PlatformBlob {
		return w.inherits
	}
	return nil
}

// review is what pull requests of the range showed of files, with what those showed that
// brought one before, when it was not valid, and with what was shown of the wish before, if
// that is not done yet; nil: none brought anything. Where not all was merged as it was
// planned, exactly what was shown goes on, and a push that nobody proposed changes nothing
// of that. Whose plan is about files that are what they were before the range brought nothing of
// them (a conflict that was settled as the branch had it): it only adds to what others brought.
func (w *writer) review(files []string, late, before *state.Review) *state.Review {
	var out *state.Review
	whole := !slices.ContainsFunc(files, func(f string) bool { return w.changed[f] }) || w.reviewed(files)
	if late != nil {
		out = &state.Review{Pulls: slices.Clone(late.Pulls), Shown: slices.Clone(late.Shown), Sources: maps.Clone(late.Sources)}
		whole = whole && !late.Partial
	}
	brought := late != nil || before != nil && before.Partial || slices.ContainsFunc(w.in.Reviews, func(r Review) bool {
		return slices.ContainsFunc(files, func(f string) bool { return w.changed[f] && slices.Contains(r.Paths, f) })
	})
	for _, r := range w.in.Reviews {
		if !brought || !slices.ContainsFunc(files, func(f string) bool { return f != "" && slices.Contains(r.Paths, f) }) {
			continue
		}
		if out == nil {
			out = &state.Review{}
		}
		out.Pulls, out.Shown = append(out.Pulls, r.Pull), append(out.Shown, r.Shown...)
		whole = whole && r.Whole
		if r.Whole {
			out.Sources = merged(out.Sources, r.Sources)
		}
	}
	switch {
	case out == nil && (before == nil || !before.Partial):
		return nil
	case out == nil:
		out, whole = &state.Review{}, false
	}
	if before != nil {
		whole = whole && !before.Partial
		out.Pulls, out.Shown = append(slices.Clone(before.Pulls), out.Pulls...), append(slices.Clone(before.Shown), out.Shown...)
		slices.Sort(out.Shown)
		out.Shown = slices.Compact(out.Shown)
		out.Sources = merged(before.Sources, out.Sources)
	}
	if out.Partial = !whole; out.Partial {
		out.Shown = slices.DeleteFunc(slices.Clone(out.Shown), isClass)
	}
	return out
}

// merged are the commits of two reviews; the later one counts.
func merged(before, later map[string]string) map[string]string {
	if len(before) == 0 {
		return maps.Clone(later)
	}
	out := maps.Clone(before)
	maps.Copy(out, later)
	return out
}

// late is what pull requests showed of a file that an earlier head has, and that was not
// valid then.
func (w *writer) late(path, blob string) *state.Review {
	if w.in.Baseline == nil || w.changed[path] {
		return nil
	}
	for _, q := range w.in.Baseline.Problems {
		if q.Path == path && q.Blob == blob && q.Review != nil {
			return q.Review
		}
	}
	return nil
}

// earlier is what was shown of the wish before, with what pull requests showed of a version of
// the file that was not valid and that the range has changed since, there or where it was before:
// what they brought may be in the new one, too, as in that of a wish that is not done. In the
// version that the client of the file has all along it is not.
func (w *writer) earlier(path, blob string, before *state.Review) *state.Review {
	if w.in.Baseline == nil || !w.changed[path] {
		return before
	}
	if id, ok := w.byName[nameOf(path)]; ok && w.clients.get(id).Blob == blob {
		return before
	}
	for _, q := range w.in.Baseline.Problems {
		switch {
		case q.Review == nil || q.Path != path && !(w.deleted[q.Path] && w.wasNamed(path, nameOf(q.Path))):
		case before == nil:
			before = q.Review
		default:
			before = &state.Review{Pulls: append(slices.Clone(before.Pulls), q.Review.Pulls...), Shown: append(slices.Clone(before.Shown), q.Review.Shown...),
				Sources: merged(before.Sources, q.Review.Sources), Partial: before.Partial || q.Review.Partial}
		}
	}
	return before
}

// wasNamed says that a file may be what one of that name became, which the range took away: it
// moved to another folder, or it says so; what can't be read, and is nobody's so far, may say so
// of whoever's removal waits for it.
func (w *writer) wasNamed(path, name string) bool {
	if name == nameOf(path) {
		return true
	}
	i := slices.IndexFunc(w.files, func(k *candidate) bool { return k.path == path })
	if _, known := w.byName[nameOf(path)]; known || i < 0 {
		return false
	}
	if k := w.files[i]; k.hash != "" {
		return k.from == name
	}
	for _, t := range w.stones {
		if t.Part == "" && t.Name == name && slices.Contains(WaitsFor(t), path) {
			return true
		}
	}
	return false
}

// isClass says that a print stands for steps of a class: see plan.ClassPrint.
func isClass(print string) bool { return strings.HasPrefix(print, "~") }
