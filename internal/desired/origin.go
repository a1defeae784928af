package desired

import (
	"fmt"
	"slices"
	"strconv"
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
		switch v := in.Effective.Environment[name]; {
		case v.Secret != "":
			return why("it is the secret %s: `reconciler secret set` stores another value", v.Secret)
		case v.Generate != "":
			return why("it is generated, once, and kept")
		case v.From != "":
			return why("it comes from %s", v.From)
		case !manifest.IsVariable(name):
			return why("a manifest can't have a variable of this name")
		}
		return Origin{At: field}
	case state.KindDatabase:
		switch field {
		case "access":
			return Origin{At: "database.access"}
		case "disabled":
			return why("it is the list disabledCollections: edit it there")
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
	case state.KindPayments:
		switch field {
		case "country":
			return Origin{At: "payments.country"}
		case "tier":
			return Origin{At: "payments.pricingTier"}
		case "label":
			return Origin{At: "displayName"}
		case "email":
			return Origin{At: "contact.email"}
		}
	case state.KindDomain:
		return why("host names are what they are in domain and aliases")
	case state.KindTraffic:
		return why("which release serves follows from the manifest")
	}
	return why("no field of a manifest says it")
}

func (b *builder) originOfRecord(ref state.Ref, field string) Origin {
	i := slices.IndexFunc(b.in.Effective.DNS.Records, func(r manifest.Record) bool { return b.recordName(r) == ref.Name })
	if i >= 0 {
		return Origin{At: fmt.Sprintf("dns.records[%d].%s", i, field)}
	}
	kind, name, _ := strings.Cut(ref.Name, " ")
	at, ok := b.relative(name)
	if !ok {
		return Origin{Why: fmt.Sprintf("it follows the site, and dns.records names nothing outside %s: `reconciler retry %s` puts it back", b.in.Effective.Host, b.in.Client.Name)}
	}
	return Origin{Why: fmt.Sprintf("it follows the site; {type: %s, name: %q, content: …} in dns.records takes its place", kind, at)}
}

// relative is a full name as dns.records writes it.
func (b *builder) relative(name string) (at string, ok bool) {
	if name == b.in.Effective.Host {
		return "@", true
	}
	return strings.CutSuffix(name, "."+b.in.Effective.Host)
}

// Written is an attribute's value as the field of its Origin says it. why is the reason
// that no value of that field says it.
func Written(in Input, ref state.Ref, field, found string) (value, why string) {
	if ref.Kind != state.KindRecord {
		return found, ""
	}
	switch field {
	case "name":
		b := &builder{in: in}
		at, ok := b.relative(strings.ToLower(strings.TrimSuffix(found, ".")))
		if !ok {
			return "", fmt.Sprintf("dns.records names nothing outside %s: `reconciler retry %s` puts it back", in.Effective.Host, in.Client.Name)
		}
		return at, ""
	case "type":
		return strings.ToUpper(found), ""
	case "ttl", "priority":
		n, err := strconv.Atoi(found)
		switch {
		case err != nil:
		case n == 0 && field == "ttl":
			return "", fmt.Sprintf("a ttl of 0 in a manifest means the default of %d", defaultTTL)
		default:
			return strconv.Itoa(n), "" // without the zeros that a manifest refuses
		}
	}
	return found, ""
}

// RecordRef is the Ref of a record of the manifest, by its place in dns.records. With
// another name, type, or of those that a name may have several of another content or
// priority, it is another one.
func RecordRef(in Input, i int) (state.Ref, bool) {
	if i < 0 || i >= len(in.Effective.DNS.Records) {
		return state.Ref{}, false
	}
	b := &builder{in: in}
	return b.ref(state.KindRecord, b.recordName(in.Effective.DNS.Records[i])), true
}
