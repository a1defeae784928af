package takeover

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Limits on an export.
const (
	maxExport  = 64 << 20 // bytes
	maxEntries = 20_000
	maxField   = 4000 // characters of a field that is kept
	maxItems   = 200  // of a list or a map
	maxPairs   = 5000 // variables: far more than a manifest may have, which says so
)

// Entry is a client as a CMS has it. Values of Environment may be secrets: an Entry is
// neither printed nor sent.
type Entry struct {
	Name, DisplayName, Domain, Plan, Template string
	Aliases                                   []string
	SiteProvider, SiteID                      string
	DatabaseProvider, DatabaseID              string
	ContactName, ContactEmail, ContactPhone   string
	AdminEmail                                string
	EnabledFeatures, DisabledCollections      []string
	Environment                               map[string]string
	Settings                                  map[string]any
	Account                                   string // for payments
	Notes                                     string
	Unknown                                   []string // keys that mean nothing here, sorted
}

// errMany says that an export has more entries than are read.
var errMany = fmt.Errorf("more than %d clients", maxEntries)

// ReadExport reads what a CMS wrote: a list of clients, one client, or a list below "docs",
// "clients" or "data".
func ReadExport(r io.Reader) ([]Entry, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxExport+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the export: %w", err)
	case len(data) > maxExport:
		return nil, fmt.Errorf("read the export: it is larger than %d MB", maxExport>>20)
	}
	rows, err := rowsOf(data)
	if err != nil {
		return nil, fmt.Errorf("read the export: %w", err)
	}
	if len(rows) > maxEntries {
		return nil, fmt.Errorf("read the export: %w", errMany)
	}
	out := make([]Entry, 0, len(rows))
	for n, row := range rows {
		var fields map[string]json.RawMessage
		if json.Unmarshal(row, &fields) != nil || fields == nil {
			return nil, fmt.Errorf("read the export: entry %d is not an object", n+1)
		}
		out = append(out, entryOf(fields))
	}
	return out, nil
}

// rowsOf are the entries. No error repeats what the file says: it may hold secrets.
func rowsOf(data []byte) ([]json.RawMessage, error) {
	data = bytes.TrimPrefix(bytes.TrimSpace(data), []byte("\ufeff"))
	var rows []json.RawMessage
	if bytes.HasPrefix(data, []byte("[")) {
		if json.Unmarshal(data, &rows) != nil {
			return nil, errors.New("it is not JSON")
		}
		return rows, nil
	}
	var whole map[string]json.RawMessage
	if json.Unmarshal(data, &whole) != nil || whole == nil {
		return nil, errors.New("it is not JSON, or neither a list nor an object")
	}
	for _, key := range []string{"docs", "clients", "data"} {
		if json.Unmarshal(whole[key], &rows) == nil && rows != nil {
			return rows, nil
		}
	}
	return []json.RawMessage{data}, nil
}

// ignored are keys that the program finds out itself, or that are the CMS's own.
func ignored(key string) bool {
	switch key {
	case "id", "_id", "createdat", "updatedat", "status", "deploymentstatus", "deploymenturl", "adminurl", "stripeaccountstatus", "totalpaymentvolume",
		"lasthealthcheck", "lastdeployedat", "uptime", "initialadminpassword", "adminpassword", "healthstatus":
		return true
	}
	return false
}

func entryOf(fields map[string]json.RawMessage) Entry {
	e := Entry{}
	for _, k := range slices.Sorted(maps.Keys(fields)) {
		plain := strings.ToLower(strings.NewReplacer("_", "", "-", "", " ", "").Replace(k))
		if !e.text(plain, fields[k]) && !e.part(plain, fields[k]) && !ignored(plain) && len(e.Unknown) < maxItems {
			e.Unknown = append(e.Unknown, clean(k))
		}
	}
	return e
}

// text takes a field that is a text.
func (e *Entry) text(key string, raw json.RawMessage) bool {
	to, ok := map[string]*string{"name": &e.Name, "slug": &e.Name, "clientname": &e.Name, "displayname": &e.DisplayName, "title": &e.DisplayName, "domain": &e.Domain, "plan": &e.Plan, "template": &e.Template,
		"templateid": &e.Template, "deploymentprovider": &e.SiteProvider, "hostingprovider": &e.SiteProvider, "deploymentproviderid": &e.SiteID, "databaseprovider": &e.DatabaseProvider,
		"databaseproviderid": &e.DatabaseID, "contactname": &e.ContactName, "contactemail": &e.ContactEmail, "contactphone": &e.ContactPhone, "adminemail": &e.AdminEmail,
		"initialadminemail": &e.AdminEmail, "stripeaccountid": &e.Account, "notes": &e.Notes, "internalnotes": &e.Notes}[key]
	if !ok {
		return false
	}
	if s := scalar(raw); s != "" {
		*to = clean(bounded(s))
	}
	return true
}

// part takes a field that is a list, a map or an object.
func (e *Entry) part(key string, raw json.RawMessage) bool {
	switch key {
	case "enabledfeatures", "features":
		e.EnabledFeatures = words(raw)
	case "disabledcollections":
		e.DisabledCollections = words(raw)
	case "aliases":
		e.Aliases = words(raw)
	case "customenvironment", "environment", "environmentvariables", "envvars", "env":
		e.Environment = pairs(raw)
	case "customsettings", "settings", "config":
		d := json.NewDecoder(bytes.NewReader(raw))
		d.UseNumber() // a float64 would make another number of a long one
		if d.Decode(&e.Settings) != nil {
			e.Settings = nil
		}
	case "contact":
		var c struct{ Name, Email, Phone string }
		if json.Unmarshal(raw, &c) != nil {
			return false
		}
		e.ContactName, e.ContactEmail, e.ContactPhone = clean(c.Name), clean(c.Email), clean(c.Phone)
	default:
		return false
	}
	return true
}

// scalar is a text, a number or a truth value as it is written; "" for anything else.
func scalar(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	if t := strings.TrimSpace(string(raw)); t != "null" && t != "" && t[0] != '{' && t[0] != '[' {
		return t
	}
	return ""
}

func bounded(s string) string {
	if len(s) > maxField {
		return s[:maxField]
	}
	return s
}

// words are a list of texts, or of objects with one ({value: …}, as form builders write), or
// one text with commas.
func words(raw json.RawMessage) []string {
	var rows []json.RawMessage
	if json.Unmarshal(raw, &rows) != nil {
		for part := range strings.SplitSeq(scalar(raw), ",") {
			quoted, _ := json.Marshal(strings.TrimSpace(part)) // a text
			rows = append(rows, quoted)
		}
	}
	var out []string
	for _, r := range rows {
		s := scalar(r)
		var o map[string]json.RawMessage
		if json.Unmarshal(r, &o) == nil {
			for _, key := range []string{"value", "name", "feature", "collection", "slug"} {
				if s == "" {
					s = scalar(o[key])
				}
			}
		}
		if s = clean(s); s != "" && len(out) < maxItems && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// pairs are variables: an object, a list of {key, value}, or the text of a JSON object.
func pairs(raw json.RawMessage) map[string]string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		raw = json.RawMessage(text)
	}
	all := map[string]json.RawMessage{}
	if json.Unmarshal(raw, &all) != nil {
		var rows []struct {
			Key, Name string
			Value     json.RawMessage
		}
		if json.Unmarshal(raw, &rows) != nil {
			return nil
		}
		for _, r := range rows {
			if r.Key == "" {
				r.Key = r.Name
			}
			all[r.Key] = r.Value
		}
	}
	out := map[string]string{}
	for _, k := range slices.Sorted(maps.Keys(all)) {
		if len(out) < maxPairs && len(k) <= maxWord {
			out[k] = bounded(scalar(all[k]))
		}
	}
	return out
}
