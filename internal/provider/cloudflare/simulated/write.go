package simulated

import (
	"net/http"
	"reflect"
	"slices"
)

// draft is a zone's records while a change is made: nothing is kept until all of it is right.
type draft struct {
	c   *call
	all []Record
}

func (c *call) draft() *draft { return &draft{c: c, all: c.v.state.Records.All()} }

// keep writes what differs into the table.
func (d *draft) keep() bool {
	table := d.c.v.state.Records
	still := map[string]bool{}
	for _, r := range d.all {
		still[r.ID] = true
		if had, ok := table.Get(r.ID); !ok || !reflect.DeepEqual(had, r) {
			table.Put(r.ID, r)
		}
	}
	for _, r := range table.All() {
		if !still[r.ID] {
			table.Delete(r.ID)
		}
	}
	return d.c.changed()
}

func (d *draft) find(id string) int {
	return slices.IndexFunc(d.all, func(r Record) bool { return r.ID == id && r.Zone == d.c.zoneIs.ID })
}

func (d *draft) create(f fields) (Record, *refusal) {
	now := d.c.v.o.Now()
	r := f.apply(Record{ID: d.c.v.state.IDs.Hex(32), Zone: d.c.zoneIs.ID, TTL: 1, Created: now, Modified: now}, d.c.zoneIs.Name)
	if r.Comment != "" {
		r.Commented = now
	}
	if f.Type == nil || f.Name == nil || *f.Name == "" {
		return r, invalid(9000, "DNS name is invalid.")
	}
	if no := check(r, f, d.c.zoneIs, d.all); no != nil {
		return r, no
	}
	d.all = withProxy(r, append(d.all, r))
	return r, nil
}

func (d *draft) change(id string, f fields, whole bool) (Record, *refusal) {
	i := d.find(id)
	if i < 0 {
		return Record{}, gone()
	}
	had := d.all[i]
	from := had
	if whole { // what a PUT leaves out is gone
		from = Record{ID: had.ID, Zone: had.Zone, TTL: 1, Created: had.Created}
	}
	r := f.apply(from, d.c.zoneIs.Name)
	r.Modified, r.Commented = d.c.v.o.Now(), had.Commented
	if r.Comment != had.Comment {
		r.Commented = r.Modified
	}
	if no := check(r, f, d.c.zoneIs, d.all); no != nil {
		return r, no
	}
	d.all[i] = r
	d.all = withProxy(r, d.all)
	return r, nil
}

func (d *draft) remove(id string) (Record, *refusal) {
	i := d.find(id)
	if i < 0 {
		return Record{}, gone()
	}
	r := d.all[i]
	d.all = slices.Delete(d.all, i, i+1)
	return r, nil
}

func gone() *refusal {
	return &refusal{status: http.StatusNotFound, code: 81044, text: "Record does not exist."}
}

// mayWrite asks for the token's permission.
func (c *call) mayWrite() bool {
	if c.zoneIs.ReadOnly {
		c.refuse(http.StatusForbidden, 10000, "Authentication error")
	}
	return !c.zoneIs.ReadOnly
}

// do makes one change and answers with what it came to.
func (c *call) do(result func(Record) any, act func(*draft) (Record, *refusal)) {
	if !c.mayWrite() {
		return
	}
	d := c.draft()
	r, no := act(d)
	if no != nil {
		c.refused(no)
		return
	}
	if d.keep() {
		c.ok(result(r))
	}
}

func shown(r Record) any { return r.show() }

func create(c *call) {
	var f fields
	if !c.read(&f) {
		return
	}
	c.do(shown, func(d *draft) (Record, *refusal) { return d.create(f) })
}

func change(c *call) {
	var f fields
	if !c.read(&f) {
		return
	}
	c.do(shown, func(d *draft) (Record, *refusal) {
		return d.change(c.r.PathValue("id"), f, c.r.Method == http.MethodPut)
	})
}

func remove(c *call) {
	c.do(func(r Record) any { return map[string]string{"id": r.ID} }, func(d *draft) (Record, *refusal) { return d.remove(c.r.PathValue("id")) })
}

// batch makes all changes, or none: deletes, patches, puts, posts.
func batch(c *call) {
	var in struct {
		Deletes, Patches, Puts, Posts []fields
	}
	if !c.read(&in) || !c.mayWrite() {
		return
	}
	if len(in.Deletes)+len(in.Patches)+len(in.Puts)+len(in.Posts) > maxBatch {
		c.refuse(http.StatusBadRequest, 1004, "A batch has at most 200 changes.")
		return
	}
	d := c.draft()
	out := map[string][]map[string]any{}
	var first *refusal
	each := func(name string, all []fields, act func(fields) (Record, *refusal)) {
		for _, f := range all {
			if first != nil {
				return
			}
			var r Record
			if r, first = act(f); first == nil {
				out[name] = append(out[name], r.show())
			}
		}
	}
	each("deletes", in.Deletes, func(f fields) (Record, *refusal) { return d.remove(f.ID) })
	each("patches", in.Patches, func(f fields) (Record, *refusal) { return d.change(f.ID, f, false) })
	each("puts", in.Puts, func(f fields) (Record, *refusal) { return d.change(f.ID, f, true) })
	each("posts", in.Posts, d.create)
	if first != nil {
		c.refused(first)
		return
	}
	if d.keep() {
		c.ok(out)
	}
}
