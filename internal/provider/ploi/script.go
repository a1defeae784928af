package ploi

import (
	"encoding/json"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// A deployment has no id at the vendor, and a site has one deploy script. So the script says
// which release it builds: its first lines are ours, comments to the shell.
//
//	# reconciler:0badcafe/c00001/1
//	# release c00001-0badcafe-8be01c22aa10
//	# try 2026-11-26T09:00:00.000000001Z
//	# since 2026-11-26 08:00:00
//	# was active
//	# serves c00001-0badcafe-51d7f0aa0012
//	# wish {"ref":"v1.4.2", …}
//
// try makes each deployment another one (the script says it into its log); since is the
// vendor's last_deploy_at, was the site's status when the script was written: another value
// of one of them means that it ran.
// serves is there while the site has traffic: what served before this release does. wish is
// what the release was asked to be, without secrets.

// header are those lines.
type header struct {
	mark    provider.Mark
	release string // "": none
	try     string
	since   string
	was     string
	serves  string
	wish    []provider.Input // sorted; no secrets
}

var onLine = regexp.MustCompile(`^[ -~]*$`)

// readScript takes a deploy script apart. One that does not begin with a mark is not ours,
// and all of it is body.
func readScript(text string) (header, string) {
	first, rest, _ := strings.Cut(text, "\n")
	mark, ok := strings.CutPrefix(first, "# ")
	h := header{mark: provider.ParseMark(mark)}
	if !ok || h.mark.IsZero() {
		return header{}, text
	}
	for {
		line, after, more := strings.Cut(rest, "\n")
		line, ok := strings.CutPrefix(line, "# ")
		if !ok {
			return h, rest
		}
		word, value, _ := strings.Cut(line, " ")
		switch word {
		case "release":
			if words.MatchString(value) {
				h.release = value
			}
		case "try":
			h.try = value
		case "since":
			h.since = value
		case "was":
			h.was = value
		case "serves":
			if words.MatchString(value) {
				h.serves = value
			}
		case "wish":
			h.wish = readWish(value)
		default:
			return h, rest
		}
		if !more {
			return h, ""
		}
		rest = after
	}
}

func readWish(text string) []provider.Input {
	var said map[string]string
	if json.Unmarshal([]byte(text), &said) != nil {
		return nil
	}
	var out []provider.Input
	for name, value := range said {
		out = append(out, provider.Input{Name: name, Text: value})
	}
	slices.SortFunc(out, func(a, b provider.Input) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// text are the lines; "" for a header that says nothing.
func (h header) text() string {
	if h.mark.IsZero() || h.release == "" && h.serves == "" {
		return ""
	}
	var b strings.Builder
	line := func(word, value string) {
		if value != "" && onLine.MatchString(value) {
			b.WriteString("# " + word + " " + value + "\n")
		}
	}
	b.WriteString("# " + h.mark.Text() + "\n")
	line("release", h.release)
	line("try", h.try)
	line("since", h.since)
	line("was", h.was)
	line("serves", h.serves)
	if len(h.wish) > 0 {
		said := map[string]string{}
		for _, i := range h.wish {
			said[i.Name] = i.Text
		}
		line("wish", ascii(said))
	}
	return b.String()
}

// ascii is JSON in which everything outside of ASCII is escaped.
func ascii(v map[string]string) string {
	data, err := json.Marshal(v)
	if err != nil {
		return "" // a map of texts can always be written
	}
	var b strings.Builder
	for _, r := range string(data) {
		if r < 0x7f {
			b.WriteRune(r)
			continue
		}
		for _, u := range utf16Of(r) {
			const digits = "0123456789abcdef"
			b.WriteString(`\u` + string([]byte{digits[u>>12], digits[u>>8&15], digits[u>>4&15], digits[u&15]}))
		}
	}
	return b.String()
}

func utf16Of(r rune) []uint16 {
	if r < 0x10000 {
		return []uint16{uint16(r)}
	}
	r -= 0x10000
	return []uint16{0xd800 + uint16(r>>10), 0xdc00 + uint16(r&0x3ff)}
}

// told is what a script says into its log, so that the log says which deployment it is of.
func told(h header) string { return "reconciler: release " + h.release + " " + h.try }

// shell quotes a word for a POSIX shell.
func shell(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// home is where the vendor keeps a site's files.
func home(s site) string {
	user := string(s.SystemUser)
	if !words.MatchString(user) {
		user = "ploi"
	}
	return "/home/" + user + "/" + s.Domain
}

// body is the script that builds a release where it serves. Everything is checked out and
// built at one commit; when that fails, what was there before is built again, so that the
// site goes on with it, and the deployment fails all the same.
func body(s site, h header, w provider.Wish) string {
	at := w.Get("commit")
	if at == "" {
		at = w.Get("ref")
	}
	var b strings.Builder
	line := func(parts ...string) { b.WriteString(strings.Join(parts, "") + "\n") }
	line("# Written by the reconciler, as a whole: what is changed here by hand is overwritten.")
	line("set -eu")
	line("cd ", shell(home(s)))
	line("echo ", shell(told(h)))
	for _, e := range [][2]string{{"TEMPLATE", "template"}, {"DISPLAY_NAME", "displayName"}, {"FEATURES", "features"}, {"DISABLED_COLLECTIONS", "collections"}, {"SETTINGS", "settings"}} {
		line("export RECONCILER_", e[0], "=", shell(w.Get(e[1])))
	}
	line("before=$(git rev-parse HEAD)")
	line("build() {")
	line("git checkout --force --detach \"$1\"")
	if d := path.Clean("/" + w.Get("directory")); d != "/" {
		line("cd ", shell(home(s)+d))
	}
	for _, command := range []string{"install", "command", "migrate", "start"} {
		if c := strings.TrimSpace(w.Get(command)); c != "" {
			line(c)
		}
	}
	line("}")
	line("git fetch --force --tags origin '+refs/heads/*:refs/remotes/origin/*'")
	// A branch is meant as it is at the source, a tag or commit as it is named.
	line("wanted=$(git rev-parse --verify --quiet ", shell("refs/remotes/origin/"+at+"^{commit}"), " || git rev-parse --verify ", shell(at+"^{commit}"), ")")
	// Not as a condition: a shell that tests a command goes on behind what fails in it.
	line("set +e")
	line("(set -e; build \"$wanted\")")
	line("failed=$?")
	line("if [ \"$failed\" != 0 ]; then")
	line("  echo 'reconciler: the build failed; what was there before is built again'")
	line("  (set -e; build \"$before\")")
	line("  exit 1")
	line("fi")
	line("echo ", shell("reconciler: built "+h.release))
	return b.String()
}

// releaseID is the id of a release on a site.
func (s siteID) releaseID(name string) string { return s.part(partRelease, name) }

// said are the inputs of a wish that a header keeps.
func said(w provider.Wish) []provider.Input {
	var out []provider.Input
	for _, i := range w.Inputs {
		if i.Secret == nil && i.Name != "site" {
			out = append(out, provider.Input{Name: i.Name, Text: strings.ToValidUTF8(i.Text, "\ufffd")})
		}
	}
	slices.SortFunc(out, func(a, b provider.Input) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// deploymentObject is the release that a script builds, without how far it is.
func deploymentObject(at siteID, s site, h header) *provider.Object {
	o := provider.Object{ID: at.releaseID(h.release), Kind: state.KindDeployment, Name: h.release, Mark: h.mark, Phase: provider.Ready}
	o.Attributes = append(o.Attributes, h.wish...)
	o.Attributes = append(o.Attributes, provider.Observed{Name: "site", Text: at.String()})
	slices.SortFunc(o.Attributes, func(a, b provider.Input) int { return strings.Compare(a.Name, b.Name) })
	address := ""
	if test := string(s.TestDomain); isHost(test) {
		address = "http://" + test
	}
	o.Outputs = []provider.Output{{Name: "id", Text: o.ID}, {Name: "url", Text: address}}
	return &o
}
