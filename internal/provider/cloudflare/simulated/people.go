package simulated

import (
	"fmt"
	"slices"
	"strings"

	"github.com/compassdigital/reconciler/internal/simulator"
)

// Records are all records of a zone, as they are.
func (v *Vendor) Records(zone string) []Record {
	v.mu.Lock()
	defer v.mu.Unlock()
	var out []Record
	for _, r := range v.state.Records.All() {
		if r.Zone == zone {
			out = append(out, r)
		}
	}
	return out
}

// Add is a person who makes a record in the dashboard; its id comes back.
func (v *Vendor) Add(r Record) (string, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	z, ok := v.zone(r.Zone)
	if !ok {
		return "", fmt.Errorf("there is no zone %s", r.Zone)
	}
	if r.TTL == 0 {
		r.TTL = 1
	}
	r.ID, r.Created, r.Modified = v.state.IDs.Hex(32), v.o.Now(), v.o.Now()
	r = r.normal(z.Name)
	all := v.state.Records.All()
	if no := check(r, fields{}, z, all); no != nil {
		return "", fmt.Errorf("add %s %s: %d %s", r.Type, r.Name, no.code, no.text)
	}
	for _, o := range withProxy(r, append(all, r)) {
		v.state.Records.Put(o.ID, o)
	}
	return r.ID, simulator.Save(v.o.File, v.state)
}

// Edit is a person who changes one.
func (v *Vendor) Edit(id string, change func(*Record)) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	r, ok := v.state.Records.Get(id)
	if !ok {
		return fmt.Errorf("there is no record %s", id)
	}
	change(&r)
	r.Modified = v.o.Now()
	v.state.Records.Put(id, r)
	return simulator.Save(v.o.File, v.state)
}

// Remove is a person who deletes one.
func (v *Vendor) Remove(id string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.state.Records.Delete(id) {
		return fmt.Errorf("there is no record %s", id)
	}
	return simulator.Save(v.o.File, v.state)
}

// Change changes a zone: its status, what the token may do there.
func (v *Vendor) Change(zone string, change func(*Zone)) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	for i := range v.state.Zones {
		if v.state.Zones[i].ID == zone {
			change(&v.state.Zones[i])
			return simulator.Save(v.o.File, v.state)
		}
	}
	return fmt.Errorf("there is no zone %s", zone)
}

// Purged is what was taken out of the cache: addresses, hosts, names of whole zones.
func (v *Vendor) Purged() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.state.Purged)
}

// Calls is how many requests came, refused ones too.
func (v *Vendor) Calls() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.calls
}

// Answers is what the name servers of the vendor's active zones answer, as texts: the priority
// stands before a mail server and a service.
func (v *Vendor) Answers(recordType, name string) []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	var out []string
	for _, r := range v.state.Records.All() {
		if z, ok := v.zone(r.Zone); !ok || z.Status != "active" || r.Name != name || r.Type != recordType {
			continue
		}
		switch {
		case r.Proxied:
			out = append(out, "198.51.100.80") // the proxy's own
		case r.Type == "TXT":
			out = append(out, strings.ReplaceAll(strings.Trim(r.Content, `"`), `" "`, ""))
		case r.Priority != nil:
			out = append(out, fmt.Sprintf("%d %s", *r.Priority, strings.ReplaceAll(r.Content, "\t", " ")))
		default:
			out = append(out, r.Content)
		}
	}
	slices.Sort(out)
	return out
}

// AddZone is a person who adds a domain, or moves one here.
func (v *Vendor) AddZone(z Zone) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.addZone(z)
}
