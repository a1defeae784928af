package simulated

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Record is a DNS record as it is kept.
type Record struct {
	ID        string    `json:"id"`
	Zone      string    `json:"zone"`
	Type      string    `json:"type"`
	Name      string    `json:"name"` // full, without a dot at its end
	Content   string    `json:"content"`
	Data      *Data     `json:"data,omitempty"` // of CAA and SRV
	Priority  *int      `json:"priority,omitempty"`
	TTL       int       `json:"ttl"` // seconds; 1: automatic
	Proxied   bool      `json:"proxied"`
	Comment   string    `json:"comment,omitempty"`
	Created   time.Time `json:"created"`
	Modified  time.Time `json:"modified"`
	Commented time.Time `json:"commented,omitzero"`
}

// Data are the parts of a record's content.
type Data struct {
	Flags    *int   `json:"flags,omitempty"`
	Tag      string `json:"tag,omitempty"`
	Value    string `json:"value,omitempty"`
	Priority *int   `json:"priority,omitempty"`
	Weight   *int   `json:"weight,omitempty"`
	Port     *int   `json:"port,omitempty"`
	Target   string `json:"target,omitempty"`
}

// fields is what a request says of a record. nil: nothing.
type fields struct {
	ID       string          `json:"id"`
	Type     *string         `json:"type"`
	Name     *string         `json:"name"`
	Content  *string         `json:"content"`
	Data     *Data           `json:"data"`
	Priority *int            `json:"priority"`
	TTL      *int            `json:"ttl"`
	Proxied  *bool           `json:"proxied"`
	Comment  json.RawMessage `json:"comment"` // a string or null
	Tags     []string        `json:"tags"`
}

// comment reads the comment; said is false where the request leaves it out.
func (f fields) comment() (text string, said bool) {
	if len(f.Comment) == 0 {
		return "", false
	}
	_ = json.Unmarshal(f.Comment, &text) // null and nonsense are none
	return text, true
}

// apply is the record with what a request says.
func (f fields) apply(r Record, zone string) Record {
	set := func(to *string, from *string) {
		if from != nil {
			*to = *from
		}
	}
	set(&r.Type, f.Type)
	set(&r.Name, f.Name)
	set(&r.Content, f.Content)
	if f.Data != nil {
		r.Data = f.Data
	}
	if f.Priority != nil {
		r.Priority = f.Priority
	}
	if f.TTL != nil {
		r.TTL = *f.TTL
	}
	if f.Proxied != nil {
		r.Proxied = *f.Proxied
	}
	if text, said := f.comment(); said {
		r.Comment = text
	}
	return r.normal(zone)
}

// normal writes a record as Cloudflare keeps it.
func (r Record) normal(zone string) Record {
	r.Name = strings.ToLower(strings.TrimSuffix(r.Name, "."))
	if r.Name == "@" {
		r.Name = zone
	}
	if r.Name != zone && !strings.HasSuffix(r.Name, "."+zone) {
		r.Name += "." + zone // it takes every name for one below the zone
	}
	switch r.Type {
	case "TXT":
		r.Content = quoted(r.Content)
	case "CNAME", "MX", "NS":
		if r.Content != "." {
			r.Content = strings.TrimSuffix(r.Content, ".")
		}
	case "AAAA":
		if a, err := netip.ParseAddr(r.Content); err == nil {
			r.Content = a.String()
		}
	case "CAA":
		if d := r.Data; d != nil && d.Flags != nil {
			r.Content = fmt.Sprintf("%d %s %q", *d.Flags, d.Tag, d.Value)
		}
	case "SRV":
		if d := r.Data; d != nil && d.Priority != nil && d.Weight != nil && d.Port != nil {
			d.Target = strings.TrimSuffix(d.Target, ".")
			r.Content, r.Priority = fmt.Sprintf("%d\t%d\t%s", *d.Weight, *d.Port, d.Target), d.Priority
		}
	}
	if r.Proxied {
		r.TTL = 1
	}
	return r
}

// quoted puts a text into quotes and cuts it every 255 bytes.
func quoted(text string) string {
	if !strings.HasPrefix(text, `"`) {
		var b strings.Builder
		for len(text) > 255 {
			fmt.Fprintf(&b, `"%s" `, escape(text[:255]))
			text = text[255:]
		}
		return b.String() + `"` + escape(text) + `"`
	}
	return text
}

func escape(s string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s)
}

// proxiable says that requests for the name may go through the proxy.
func (r Record) proxiable() bool { return r.Type == "A" || r.Type == "AAAA" || r.Type == "CNAME" }

// show is a record as an answer has it.
func (r Record) show() map[string]any {
	out := map[string]any{"id": r.ID, "type": r.Type, "name": r.Name, "content": r.Content, "proxiable": r.proxiable(), "proxied": r.Proxied,
		"ttl": r.TTL, "settings": map[string]any{}, "meta": map[string]any{}, "comment": nil, "tags": []string{},
		"created_on": r.Created.UTC().Format(time.RFC3339Nano), "modified_on": r.Modified.UTC().Format(time.RFC3339Nano)}
	if r.Comment != "" {
		out["comment"], out["comment_modified_on"] = r.Comment, r.Commented.UTC().Format(time.RFC3339Nano)
	}
	if r.Data != nil {
		out["data"] = r.Data
	}
	if r.Priority != nil && (r.Type == "MX" || r.Type == "SRV") {
		out["priority"] = *r.Priority
	}
	return out
}
