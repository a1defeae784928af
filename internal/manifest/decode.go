package manifest

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// into decodes a mapping into a struct value. partial leaves required keys out of it.
func (d *document) into(n *yaml.Node, v reflect.Value, at string, partial bool) {
	if n.Kind != yaml.MappingNode {
		hint := "its keys are: " + some(specs[v.Type()].keys)
		if k, _, ok := strings.Cut(n.Value, ":"); ok && n.Kind == yaml.ScalarNode && slices.Contains(specs[v.Type()].keys, k) {
			hint = spaceAfterColon
		}
		d.node(n, "type", fmt.Sprintf("%s must be keys with values", name(at)), hint)
		return
	}
	if at == "" {
		d.top = v.Type()
	}
	s := specs[v.Type()]
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, value := n.Content[i], n.Content[i+1]
		if seen[k.Value] {
			d.node(k, "duplicate-key", fmt.Sprintf("%s is said twice", key(k.Value)), "keep one of them")
			continue
		}
		seen[k.Value] = true
		index, ok := s.byKey[k.Value]
		if !ok {
			if meant := d.unknown(k, at, v.Type()); meant != "" {
				d.meant = append(d.meant, join(at, meant))
			}
			continue
		}
		f := s.fields[index]
		d.value(value, v.Field(f.index), f, join(at, f.Key), partial)
	}
	if partial {
		return
	}
	for _, f := range s.fields {
		if f.Required && !seen[f.Key] && !slices.Contains(d.meant, join(at, f.Key)) { // one slip is one problem
			d.node(n, "required", fmt.Sprintf("%s is missing", join(at, f.Key)), strings.TrimSpace("add "+f.Key+": "+example(f)))
		}
	}
}

// value decodes one field's value. null is the same as left out.
func (d *document) value(n *yaml.Node, v reflect.Value, f Field, at string, partial bool) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		if f.Required && !partial {
			d.node(n, "required", at+" is empty", "")
		}
		return
	}
	switch p := v.Addr().Interface().(type) {
	case *Duration:
		if t, ok := d.duration(n, f, at); ok {
			*p = t
		}
		return
	case *Retain:
		d.retain(n, p, at)
		return
	case *EnvValue:
		d.envValue(n, p, at)
		return
	case *Tree:
		d.defaults(n, p, at)
		return
	case *map[string]any:
		if n.Kind != yaml.MappingNode {
			d.node(n, "type", at+" must be keys with values", "")
			return
		}
		*p, _ = d.any(n, at).(map[string]any)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		e := reflect.New(v.Type().Elem())
		d.value(n, e.Elem(), f, at, partial)
		v.Set(e)
	case reflect.Struct:
		d.into(n, v, at, partial)
	case reflect.Slice:
		d.list(n, v, f, at, partial)
	case reflect.Map:
		d.mapping(n, v, f, at, partial)
	case reflect.Bool:
		if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" {
			d.node(n, "type", at+" must be true or false", "")
			return
		}
		v.SetBool(strings.EqualFold(n.Value, "true"))
	case reflect.Int:
		d.int(n, v, f, at)
	default:
		if s, ok := d.text(n, f, at); ok {
			v.SetString(s)
		}
	}
}

func (d *document) list(n *yaml.Node, v reflect.Value, f Field, at string, partial bool) {
	if n.Kind != yaml.SequenceNode {
		d.node(n, "type", at+" must be a list", "write "+f.Key+": [ … ]")
		return
	}
	if f.Max > 0 && len(n.Content) > f.Max {
		d.node(n, "size", fmt.Sprintf("%s has more than %d entries", at, f.Max), "")
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	one := f
	one.Max = 0
	seen := map[string]bool{}
	for i, c := range n.Content {
		where := fmt.Sprintf("%s[%d]", at, i)
		if c.Kind == yaml.ScalarNode && c.Tag == "!!null" {
			d.node(c, "type", where+" is empty", "")
			continue
		}
		d.value(c, out.Index(i), one, where, partial && out.Index(i).Kind() != reflect.Struct)
		if c.Kind == yaml.ScalarNode {
			if seen[c.Value] {
				d.node(c, "duplicate", where+" is in the list already", "")
			}
			seen[c.Value] = true
		}
	}
	v.Set(out)
}

// mapping decodes a map with free keys: env, labels, adopt, plans.
func (d *document) mapping(n *yaml.Node, v reflect.Value, f Field, at string, partial bool) {
	if n.Kind != yaml.MappingNode {
		d.node(n, "type", at+" must be keys with values", "")
		return
	}
	if f.Max > 0 && len(n.Content) > 2*f.Max {
		d.node(n, "size", fmt.Sprintf("%s has more than %d entries", at, f.Max), "")
		return
	}
	out := reflect.MakeMapWithSize(v.Type(), len(n.Content)/2)
	inner := Field{Key: f.Key}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, value := n.Content[i], n.Content[i+1]
		if out.MapIndex(reflect.ValueOf(k.Value)).IsValid() {
			d.node(k, "duplicate-key", fmt.Sprintf("%s is said twice", key(k.Value)), "keep one of them")
			continue
		}
		if problem, hint := d.checkKey(f.Format, k.Value); problem != "" {
			d.node(k, "key", at+": "+problem, hint)
			continue
		}
		if value.Kind == yaml.ScalarNode && value.Tag == "!!null" {
			continue // left out
		}
		e := reflect.New(v.Type().Elem()).Elem()
		where := join(at, k.Value)
		if f.Format == "label" {
			inner.Format, inner.Max = "text", 200
		}
		d.value(value, e, inner, where, partial)
		if p, ok := e.Interface().(EnvValue); ok && !d.sound {
			d.pasted(value, k.Value, p.Literal, where)
		}
		out.SetMapIndex(reflect.ValueOf(k.Value), e)
	}
	v.Set(out)
}

func (d *document) int(n *yaml.Node, v reflect.Value, f Field, at string) {
	i, err := strconv.Atoi(n.Value)
	if n.Kind != yaml.ScalarNode || n.Tag != "!!int" || err != nil || odd(n.Value) {
		d.node(n, "type", at+" must be a whole number, written plainly", "")
		return
	}
	least, _ := strconv.Atoi(f.Least)
	most, err := strconv.Atoi(f.Most)
	if err != nil {
		most = math.MaxInt32
	}
	if i < least || i > most {
		d.node(n, "range", fmt.Sprintf("%s must be from %d to %d", at, least, most), "")
		return
	}
	v.SetInt(int64(i))
}

func (d *document) duration(n *yaml.Node, f Field, at string) (Duration, bool) {
	t, err := ParseDuration(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil {
		d.node(n, "type", at+" must be a duration", errDuration.Error())
		return 0, false
	}
	least, errLeast := ParseDuration(f.Least)
	most, errMost := ParseDuration(f.Most)
	if errLeast == nil && t < least || errMost == nil && t > most {
		d.node(n, "range", fmt.Sprintf("%s must be from %s to %s", at, f.Least, f.Most), "")
		return 0, false
	}
	return t, true
}

func (d *document) retain(n *yaml.Node, r *Retain, at string) {
	if n.Kind == yaml.ScalarNode && n.Value == forever {
		r.Forever = true
		return
	}
	t, err := ParseDuration(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil {
		d.node(n, "type", at+" must be a duration or forever", "write 30d, or forever")
		return
	}
	if t == 0 {
		d.node(n, "range", at+" can't be nothing: a database is always kept for a while", "write at least 1s, or 30d")
		return
	}
	r.For = t
}

// odd says that a number is written in a way that versions of YAML read differently,
// such as 010.
func odd(s string) bool {
	s = strings.TrimLeft(s, "+-")
	return len(s) > 1 && s[0] == '0' && s[1] != '.' && s[1] != 'e' && s[1] != 'E'
}

// any decodes free settings to plain Go values.
func (d *document) any(n *yaml.Node, at string) any {
	switch n.Kind {
	case yaml.MappingNode:
		out := make(map[string]any, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			k := n.Content[i].Value
			if _, ok := out[k]; ok {
				d.node(n.Content[i], "duplicate-key", fmt.Sprintf("%s is said twice", key(k)), "keep one of them")
				continue
			}
			where := at
			if key(k) != hiddenKey {
				where = join(at, k)
			}
			value := n.Content[i+1]
			out[k] = d.any(value, where)
			if value.Kind == yaml.ScalarNode && value.Tag == "!!str" && !d.sound && settingName.MatchString(k) {
				d.pasted(value, k, value.Value, where)
			}
		}
		return out
	case yaml.SequenceNode:
		out := make([]any, 0, len(n.Content))
		for _, c := range n.Content {
			out = append(out, d.any(c, at))
		}
		return out
	}
	switch n.Tag {
	case "!!null":
		return nil
	case "!!bool":
		return strings.EqualFold(n.Value, "true")
	case "!!int":
		if i, err := strconv.ParseInt(n.Value, 10, 64); err == nil && !odd(n.Value) {
			return i
		}
		d.node(n, "type", at+" is not a whole number that every program reads alike", "put it in quotes")
		return nil
	case "!!float":
		if f, err := strconv.ParseFloat(n.Value, 64); err == nil && !math.IsInf(f, 0) && !math.IsNaN(f) && !odd(n.Value) && strings.ContainsAny(n.Value, ".eE") {
			return f
		}
		d.node(n, "type", at+" is not a number that every program reads alike", "put it in quotes")
		return nil
	}
	d.noSecret(n, at)
	return n.Value
}

// defaults checks a partial manifest and keeps its tree.
func (d *document) defaults(n *yaml.Node, t *Tree, at string) {
	if n.Kind != yaml.MappingNode {
		d.node(n, "type", at+" must be keys with values", "")
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		switch k := n.Content[i]; k.Value {
		case "apiVersion", "kind", "name", "previously", "domain", "aliases", "adopt", "template", "contact":
			d.node(k, "default", fmt.Sprintf("%s can't have a default: it is each client's own", k.Value), "remove it")
		}
	}
	if r := find(n, "database", "reuse"); r != nil {
		d.node(r, "default", "database.reuse can't have a default: it is said for one client", "remove it")
	}
	var c Client
	d.into(n, reflect.ValueOf(&c).Elem(), at, true)
	d.rules(c, n, at)
	t.Node = n
}

func (d *document) checkKey(format, k string) (problem, hint string) {
	if d.sound {
		return "", ""
	}
	return checkKey(format, k)
}

// find returns the value node at a path of keys below n, or nil.
func find(n *yaml.Node, keys ...string) *yaml.Node {
	for _, k := range keys {
		if n == nil || n.Kind != yaml.MappingNode {
			return nil
		}
		var next *yaml.Node
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == k {
				next = n.Content[i+1]
			}
		}
		n = next
	}
	return n
}

// said is find, but null is left out.
func said(n *yaml.Node, keys ...string) *yaml.Node {
	if n = find(n, keys...); n == nil || n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return nil
	}
	return n
}

func join(at, k string) string {
	if at == "" {
		return k
	}
	return at + "." + k
}

// name is a path in a sentence.
func name(at string) string {
	if at == "" {
		return "the file"
	}
	return at
}

// hiddenKey stands for a key that isn't shown.
const hiddenKey = "this key"

// key shows a key, unless it could be something that was pasted.
func key(k string) string {
	if len(k) > 60 || looksSecret(k) || random(k) {
		return hiddenKey
	}
	return strconv.Quote(k)
}

// example is what a missing key could say.
func example(f Field) string {
	switch {
	case len(f.Enum) == 1:
		return f.Enum[0]
	case f.Key == "contact":
		return "{email: owner@example.org}"
	case len(f.Enum) > 0:
		e := append([]string(nil), f.Enum...)
		sort.Strings(e)
		return "(" + strings.Join(e, ", ") + ")"
	}
	return "…"
}
