package simulated

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

func verify(c *call) {
	c.send(http.StatusOK, envelope{Success: true, Result: map[string]string{"id": "ed17574386854bf78a67040be0a770b0", "status": "active"},
		Messages: []message{{Code: 10000, Message: "This API Token is valid and active"}}})
}

// show is a zone as an answer has it.
func (z Zone) show() map[string]any {
	made := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Format(time.RFC3339)
	account := map[string]string{"id": strings.Repeat("a", 32), "name": z.Account}
	out := map[string]any{"id": z.ID, "name": z.Name, "status": z.Status, "account": account, "owner": map[string]any{"id": account["id"], "name": z.Account, "type": "organization"},
		"development_mode": 0, "meta": map[string]any{}, "name_servers": z.NameServers, "original_name_servers": nil, "original_registrar": nil, "original_dnshost": nil,
		"created_on": made, "modified_on": made, "activated_on": made, "paused": false, "type": "full"}
	if z.Status != "active" {
		out["activated_on"] = nil
	}
	may := []string{"#zone:read", "#dns_records:read"}
	if !z.ReadOnly {
		may = append(may, "#dns_records:edit")
	}
	if !z.NoPurge {
		may = append(may, "#cache_purge:edit")
	}
	out["permissions"] = may
	return out
}

func oneZone(c *call) { c.ok(c.zoneIs.show()) }

func listZones(c *call) {
	q := c.r.URL.Query()
	var out []map[string]any
	for _, z := range c.v.state.Zones {
		if z.Hidden || q.Get("name") != "" && q.Get("name") != z.Name || q.Get("status") != "" && q.Get("status") != z.Status {
			continue
		}
		out = append(out, z.show())
	}
	c.page(out, q, 20, 5, 50)
}

// page answers with one page of a list.
func (c *call) page(all []map[string]any, q url.Values, each, least, most int) {
	number := func(name string, absent, from, to int) (int, bool) {
		if q.Get(name) == "" {
			return absent, true
		}
		n, err := strconv.Atoi(q.Get(name))
		return n, err == nil && n >= from && n <= to
	}
	page, ok := number("page", 1, 1, 1<<30)
	per, fine := number("per_page", each, least, most)
	if !ok || !fine {
		c.refuse(http.StatusBadRequest, 1004, "page or per_page is invalid")
		return
	}
	pages := (len(all) + per - 1) / per
	part := all[min((page-1)*per, len(all)):min(page*per, len(all))]
	if part == nil {
		part = []map[string]any{}
	}
	c.send(http.StatusOK, envelope{Success: true, Result: part, Info: &info{Page: page, PerPage: per, Count: len(part), TotalCount: len(all), TotalPages: pages}})
}

func one(c *call) {
	r, ok := c.v.state.Records.Get(c.r.PathValue("id"))
	if !ok || r.Zone != c.zoneIs.ID {
		c.refused(gone())
		return
	}
	c.ok(r.show())
}

// listRecords shows what lists show by now, by type and name.
func listRecords(c *call) {
	q := c.r.URL.Query()
	var found []Record
	for _, r := range c.v.state.Records.Seen() {
		if r.Zone == c.zoneIs.ID && fits(r, q) {
			found = append(found, r)
		}
	}
	slices.SortStableFunc(found, func(a, b Record) int {
		if a.Type != b.Type {
			return strings.Compare(a.Type, b.Type)
		}
		return strings.Compare(a.Name, b.Name)
	})
	var out []map[string]any
	for _, r := range found {
		out = append(out, r.show())
	}
	c.page(out, q, 100, 1, 5_000_000)
}

// fits says whether a record passes a list's filters, all of them.
func fits(r Record, q url.Values) bool {
	if t := q.Get("type"); t != "" && t != r.Type {
		return false
	}
	if p := q.Get("proxied"); p != "" && p != strconv.FormatBool(r.Proxied) {
		return false
	}
	if q.Has("comment.present") && r.Comment == "" || q.Has("comment.absent") && r.Comment != "" {
		return false
	}
	for field, text := range map[string]string{"name": r.Name, "content": r.Content, "comment": r.Comment} {
		text = strings.ToLower(text)
		for operator, holds := range map[string]func(string, string) bool{
			"": func(a, b string) bool { return a == b }, ".exact": func(a, b string) bool { return a == b },
			".contains": strings.Contains, ".startswith": strings.HasPrefix, ".endswith": strings.HasSuffix,
		} {
			if want := q.Get(field + operator); want != "" && !holds(text, strings.ToLower(want)) {
				return false
			}
		}
	}
	return true
}

// purge takes addresses, hosts or all out of the cache.
func purge(c *call) {
	var in struct {
		Everything bool `json:"purge_everything"`
		Files      []string
		Hosts      []string
	}
	if !c.read(&in) {
		return
	}
	switch {
	case c.zoneIs.NoPurge:
		c.refuse(http.StatusForbidden, 10000, "Authentication error")
		return
	case !in.Everything && len(in.Files)+len(in.Hosts) == 0:
		c.refuse(http.StatusBadRequest, 1012, "Request must contain one of \"purge_everything\", \"files\", \"tags\", \"hosts\" or \"prefixes\"")
		return
	case len(in.Files) > 30 || len(in.Hosts) > 30:
		c.refuse(http.StatusBadRequest, 1004, "Too many to purge at once")
		return
	}
	if in.Everything {
		c.v.state.Purged = append(c.v.state.Purged, c.zoneIs.Name)
	}
	c.v.state.Purged = append(append(c.v.state.Purged, in.Files...), in.Hosts...)
	if c.changed() {
		c.ok(map[string]string{"id": c.zoneIs.ID})
	}
}
