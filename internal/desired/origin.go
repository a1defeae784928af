package desired

import (
	"fmt"
	"slices"
	"strings"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/state"
)

// Origin says where a wished attribute comes from: At is the field of a manifest that
// says it (in the client's own file, or in what it inherits); "" where no field does, and
// Why then says what else.
type Origin struct{ At, Why string }

// OriginOf returns the origin of one attribute of a wish.
func OriginOf(in Input, ref state.Ref, field string) Origin {
	b := &builder{in: in}
	why := func(format string, a ...any) Origin { return Origin{Why: fmt.Sprintf(format, a...)} }
	switch ref.Kind {
	case state.KindRecord:
		return b.originOfRecord(ref, field)
	case state.KindEnvironment:
		name, is := strings.CutPrefix(field, "env.")
		if !is {
			break
		}
		switch v, there := in.Effective.Environment[name]; {
		case v.Secret != "":
			return why("it is the secret %s: `reconciler secret set` stores another value", v.Secret)
		case v.Generate != "":
			return why("it is generated, once, and kept")
		case v.From != "":
			return why("it comes from %s", v.From)
		case !there:
			return why("the manifest does not mention it: add %s to env", name)
		}
		return Origin{At: field}
	case state.KindDatabase:
		switch field {
		case "access":
			return Origin{At: "database.access"}
		case "disabled":
			return why("it is the list disabledCollections")
		}
	case state.KindSite:
		switch field {
		case "repository":
			return Origin{At: "deployment.repository"}
		case "runtime":
			return why("it is build.runtime of the template %s", in.Effective.Template)
		case "label":
			return why("it is the client's name")
		}
	case state.KindDeployment:
		switch field {
		case "ref", "repository":
			return Origin{At: "deployment." + field}
		case "displayName":
			return Origin{At: field}
		}
		return why("a release follows from the manifest and the template %s", in.Effective.Template)
	case state.KindDomain:
		return why("host names are what they are in domain and aliases")
	case state.KindTraffic:
		return why("which release serves follows from the manifest")
	}
	return why("no field of a manifest says it")
}

func (b *builder) originOfRecord(ref state.Ref, field string) Origin {
	i := slices.IndexFunc(b.in.Effective.DNS.Records, func(r manifest.Record) bool { return b.recordName(r) == ref.Name })
	kind, name, _ := strings.Cut(ref.Name, " ")
	name, _, numbered := strings.Cut(name, " #")
	switch {
	case field == "name" || field == "type":
		return Origin{Why: "it is which record this is"}
	case i < 0:
		at := "@"
		if name != b.in.Effective.Host {
			at = name + "."
		}
		return Origin{Why: fmt.Sprintf("it follows the site; {type: %s, name: %q, content: …} in dns.records takes its place", kind, at)}
	case numbered && (field == "content" || field == "priority"):
		return Origin{Why: fmt.Sprintf("a %s record is known by what it says: dns.records[%d] with another %s is another record; put this one back with `reconciler retry`, then change the file", kind, i, field)}
	}
	return Origin{At: fmt.Sprintf("dns.records[%d].%s", i, field)}
}
