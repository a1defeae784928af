package manifest

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// former is where the keys of the platform that manifests came from went. They are in
// small letters, without underscores and hyphens.
var former = [][2]string{
	{"contactemail", "contact.email"},
	{"contactname", "contact.name"},
	{"contactphone", "contact.phone"},
	{"customenvironment", "env"},
	{"environment", "env"},
	{"environmentvariables", "env"},
	{"envvars", "env"},
	{"customsettings", "settings"},
	{"config", "settings"},
	{"deploymentprovider", "deployment.provider"},
	{"hostingprovider", "deployment.provider"},
	{"databaseprovider", "database.provider"},
	{"databaseurl", "database.external.url"},
	{"dnsprovider", "dns.provider"},
	{"features", "enabledFeatures"},
	{"adminemail", "admin.email"},
	{"initialadminemail", "admin.email"},
	{"monthlyfee", "billing.monthlyFee"},
	{"billingstatus", "billing.status"},
	{"nextbillingdate", "billing.nextDate"},
	{"paymentsenabled", "payments.enabled"},
	{"pricingtier", "payments.pricingTier"},
	{"stripeaccountid", "adopt.payments.account"},
	{"internalnotes", "notes"},
	{"templateid", "template"},
	{"repo", "deployment.repository"},
	{"repository", "deployment.repository"},
	{"formernames", "previously"},
	{"previousname", "previously"},
}

// formerName is where a key of the former platform went, "" for none. It forgives
// what didYouMean forgives.
func formerName(k string) string {
	words := make([]string, 0, len(former))
	for _, f := range former {
		if f[0] == k {
			return f[1]
		}
		words = append(words, f[0])
	}
	if len(k) < 6 {
		return ""
	}
	if meant := Suggest(k, words); meant != "" {
		return formerName(meant)
	}
	return ""
}

func isFormer(k string) bool {
	for _, f := range former {
		if f[0] == k {
			return true
		}
	}
	return false
}

// recorded says that a former key is something that the program finds out itself.
func recorded(key string) bool {
	switch key {
	case "status", "deploymentstatus", "deploymenturl", "adminurl", "deploymentproviderid", "databaseproviderid",
		"stripeaccountstatus", "totalpaymentvolume", "lasthealthcheck", "lastdeployedat", "uptime",
		"initialadminpassword", "adminpassword":
		return true
	}
	return false
}

// unknown tells of a key that isn't known, and returns the one of the same level that the hint
// says is meant; "": none.
func (d *document) unknown(k *yaml.Node, at string, t reflect.Type) (meant string) {
	if len(d.problems) >= maxProblems {
		return ""
	}
	s := specs[t]
	hint := ""
	if t == reflect.TypeFor[Client]() {
		plain := strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(k.Value))
		switch likely := didYouMean(k.Value, s.keys); {
		case recorded(plain):
			hint = "remove it: the program finds it out and records it"
		case likely != "" && !isFormer(plain):
			hint = likely
		case formerName(plain) != "":
			hint = "it is " + formerName(plain) + " here"
		}
	}
	if hint == "" {
		hint = didYouMean(k.Value, s.keys)
	}
	if hint == "" {
		if below := s.below(k.Value); below != "" {
			hint = "it is " + below + " here"
		}
	}
	if k, _, ok := strings.Cut(k.Value, ":"); ok && hint == "" && slices.Contains(s.keys, k) {
		hint, meant = spaceAfterColon, k
	}
	if top := specs[d.top]; hint == "" && at != "" && top != nil && slices.Contains(top.keys, k.Value) {
		hint = k.Value + " belongs to the top of the file: take its indentation away"
	}
	if hint == "" {
		hint = "a newer version may know it; here are: " + some(s.keys)
	}
	d.node(k, "unknown-key", fmt.Sprintf("%s has no key %s", name(at), key(k.Value)), hint)
	if said, ok := strings.CutPrefix(hint, meanFront); ok {
		meant = strings.TrimSuffix(said, meanEnd)
	}
	return meant
}

// spaceAfterColon is what to do about key:value, which is one word.
const spaceAfterColon = "write a space after the colon"

// below is the paths of the keys one level down that are called k.
func (s *spec) below(k string) string {
	var found []string
	for _, f := range s.fields {
		t := f.typ
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if in := specs[t]; in != nil {
			if _, ok := in.byKey[k]; ok {
				found = append(found, f.Key+"."+k)
			}
		}
	}
	return strings.Join(found, " or ")
}

// maxListed is how many names a hint lists.
const maxListed = 40

// some lists names, not too many of them.
func some(names []string) string {
	if len(names) > maxListed {
		return strings.Join(names[:maxListed], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}
