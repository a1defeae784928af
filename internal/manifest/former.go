package manifest

import (
	"fmt"
	"reflect"
	"strings"

	"gopkg.in/yaml.v3"
)

// formerName is where a key of the platform that manifests came from went, "" for
// none. The key comes in small letters, without underscores and hyphens.
func formerName(key string) string {
	switch key {
	case "contactemail":
		return "contact.email"
	case "contactname":
		return "contact.name"
	case "contactphone":
		return "contact.phone"
	case "customenvironment", "environment", "environmentvariables", "envvars":
		return "env"
	case "customsettings", "config":
		return "settings"
	case "deploymentprovider", "hostingprovider":
		return "deployment.provider"
	case "databaseprovider":
		return "database.provider"
	case "databaseurl":
		return "database.external.url"
	case "dnsprovider":
		return "dns.provider"
	case "features":
		return "enabledFeatures"
	case "adminemail", "initialadminemail":
		return "admin.email"
	case "monthlyfee":
		return "billing.monthlyFee"
	case "billingstatus":
		return "billing.status"
	case "nextbillingdate":
		return "billing.nextDate"
	case "paymentsenabled":
		return "payments.enabled"
	case "pricingtier":
		return "payments.pricingTier"
	case "stripeaccountid":
		return "adopt.payments.account"
	case "internalnotes":
		return "notes"
	case "templateid":
		return "template"
	case "repo", "repository":
		return "deployment.repository"
	case "formernames", "previousname":
		return "previously"
	}
	return ""
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

// unknown tells of a key that isn't known, and which may be meant.
func (d *document) unknown(k *yaml.Node, at string, t reflect.Type) {
	if len(d.problems) >= maxProblems {
		return
	}
	s := specs[t]
	hint := ""
	if t == reflect.TypeFor[Client]() {
		plain := strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(k.Value))
		if former := formerName(plain); former != "" {
			hint = "it is " + former + " here"
		} else if recorded(plain) {
			hint = "remove it: the program finds it out and records it"
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
	if hint == "" {
		hint = "a newer version may know it; here are: " + some(s.keys)
	}
	d.node(k, "unknown-key", fmt.Sprintf("%s has no key %s", name(at), key(k.Value)), hint)
}

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
