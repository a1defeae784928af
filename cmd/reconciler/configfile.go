package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"gopkg.in/yaml.v3"

	"github.com/compassdigital/reconciler/internal/state"
)

// Limits of what is read.
const (
	maxConfig     = 1 << 20
	maxSecretFile = 64 << 10
)

// loadConfig reads a file, then the environment over it, then checks all of it: the
// error lists everything that is wrong.
func loadConfig(path string, env func(string) string) (Config, error) {
	c, wrong, err := readConfig(path, env)
	if err == nil && len(wrong) > 0 {
		err = usageError{path + " is wrong:\n  " + strings.Join(wrong, "\n  ")}
	}
	return c, err
}

// readConfig is loadConfig with what is wrong as a list; the error is of a file that can't
// be read at all.
func readConfig(path string, env func(string) string) (c Config, wrong []string, err error) {
	c = defaultConfig()
	f, err := os.Open(path)
	if err != nil {
		return c, nil, fmt.Errorf("read the configuration: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return c, nil, fmt.Errorf("read the configuration: %w", err)
	}
	if len(data) > maxConfig {
		return c, nil, fmt.Errorf("read the configuration: %s is larger than 1 MiB", path)
	}
	if wrong, err = c.decode(data); err != nil {
		return c, nil, fmt.Errorf("read the configuration %s: %w", path, err)
	}
	wrong = append(wrong, fromEnv(reflect.ValueOf(&c).Elem(), "RECONCILER", env)...)
	c.oldNames(env)
	c.relativeTo(filepath.Dir(path))
	wrong = append(wrong, fromFiles(reflect.ValueOf(&c).Elem(), "")...)
	return c, append(wrong, c.check()...), nil
}

// decode reads one YAML document and says what of it is not as the fields are.
func (c *Config) decode(data []byte) (wrong []string, err error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, unquoted(err)
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more than one document in it")
	}
	if len(doc.Content) != 1 || (doc.Content[0].Kind == yaml.ScalarNode && doc.Content[0].Tag == "!!null") {
		return nil, nil
	}
	root := doc.Content[0]
	c.blocks = blocksOf(root)
	wrong = misfits(root, reflect.TypeOf(*c), "")
	// What fits is read all the same, so that the rest can be checked too.
	var partly *yaml.TypeError
	if err := root.Decode(c); err != nil && (len(wrong) == 0 || !errors.As(err, &partly)) {
		return wrong, unquoted(err)
	}
	return wrong, nil
}

// repeated is what the YAML library's errors repeat of a file: an anchor's name (which a
// password that begins with * or & is taken for), and values.
var repeated = regexp.MustCompile("(?s)anchor '[^']*'|`.*`|invalid map key: .*")

// unquoted is an error of the YAML library without what it repeats.
func unquoted(err error) error {
	text := repeated.ReplaceAllStringFunc(err.Error(), func(s string) string {
		if strings.HasPrefix(s, "anchor") {
			return "anchor (a value that begins with * or & has to be in quotes)"
		}
		return "(not shown)"
	})
	if strings.HasSuffix(text, "cannot start any token") {
		text += " (a line that is indented with a tab, or a value that begins with @ or % and is not in quotes: \"@every 30s\")"
	}
	return errors.New(text)
}

// blocksOf are the providers that a document has a block for.
func blocksOf(root *yaml.Node) (out []string) {
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value != "providers" {
			continue
		}
		block := root.Content[i+1]
		for j := 0; j+1 < len(block.Content); j += 2 {
			out = append(out, block.Content[j].Value)
		}
	}
	return out
}

// misfits compares a document with the fields that it is read into. It repeats no value.
func misfits(n *yaml.Node, t reflect.Type, path string) []string {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	at := func(text string) []string { return []string{fmt.Sprintf("line %d: %s %s", n.Line, path, text)} }
	if path == "" {
		at = func(text string) []string { return []string{fmt.Sprintf("line %d: the file %s", n.Line, text)} }
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return nil
	}
	switch {
	case t == reflect.TypeFor[sealed]() || t.Kind() == reflect.String:
		if n.Kind != yaml.ScalarNode {
			return at("is one text")
		}
	case t.Kind() == reflect.Int:
		if _, err := strconv.Atoi(n.Value); n.Kind != yaml.ScalarNode || err != nil {
			return at("is a number")
		}
		if n.ShortTag() != "!!int" {
			return at("is a number: write it without quotes")
		}
	case t.Kind() == reflect.Slice:
		if n.Kind != yaml.SequenceNode {
			return at("is a list")
		}
		var out []string
		for i, x := range n.Content {
			out = append(out, misfits(x, t.Elem(), fmt.Sprintf("%s[%d]", path, i))...)
		}
		return out
	case n.Kind != yaml.MappingNode:
		return at("is made of keys and values")
	case t.Kind() == reflect.Map:
		var out []string
		for i := 1; i < len(n.Content); i += 2 {
			out = append(out, misfits(n.Content[i], t.Elem(), path+"."+n.Content[i-1].Value)...)
		}
		return out
	case t.Kind() == reflect.Struct:
		return misfitKeys(n, t, path)
	}
	return nil
}

func misfitKeys(n *yaml.Node, t reflect.Type, path string) []string {
	fields := map[string]reflect.Type{}
	var names []string
	for f := range fieldsOf(t) {
		fields[yamlName(f)] = f.Type
		names = append(names, yamlName(f))
	}
	var out []string
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		ft, ok := fields[key.Value]
		switch {
		case ok:
			out = append(out, misfits(n.Content[i+1], ft, strings.TrimPrefix(path+"."+key.Value, "."))...)
		case key.Value == "<<":
		default:
			text := fmt.Sprintf("line %d: %s: no such key", key.Line, strings.TrimPrefix(path+"."+key.Value, "."))
			if s := meant(key.Value, names); s != "" {
				text += "; did you mean " + s + "?"
			}
			out = append(out, text)
		}
	}
	return out
}

// fieldsOf are the fields of a struct that a configuration has.
func fieldsOf(t reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if f := t.Field(i); f.IsExported() && yamlName(f) != "" && !yield(f) {
				return
			}
		}
	}
}

func yamlName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return name
}

// fromEnv sets every field that the environment names. As with a file, space around a value
// and the line end that many secrets are stored with are no part of it.
func fromEnv(v reflect.Value, name string, env func(string) string) (wrong []string) {
	for t := range fieldsOf(v.Type()) {
		f, key := v.FieldByIndex(t.Index), name+"_"+upper(yamlName(t))
		text := strings.TrimSpace(cmp.Or(env(key), env(name+"_"+strings.ToUpper(yamlName(t))))) // MAX_DELETES, or MAXDELETES
		switch x := f.Addr().Interface().(type) {
		case *sealed:
			if text != "" {
				x.Secret = state.NewSecret(text)
			}
			continue
		case *[]string:
			if text != "" && !strings.HasPrefix(text, "[") {
				*x = strings.Split(text, ",")
				continue
			}
		}
		switch f.Kind() {
		case reflect.Struct:
			wrong = append(wrong, fromEnv(f, key, env)...)
			continue
		case reflect.String:
			if text != "" {
				f.SetString(text)
			}
			continue
		case reflect.Int:
			if text == "" {
				continue
			}
			n, err := strconv.Atoi(text)
			if err != nil {
				wrong = append(wrong, key+" in the environment is a number")
				continue
			}
			f.SetInt(int64(n))
			continue
		}
		if text != "" {
			wrong = append(wrong, yamlFromEnv(f, key, text)...)
		}
	}
	return wrong
}

// yamlFromEnv sets a list or a map.
func yamlFromEnv(f reflect.Value, key, text string) []string {
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil || len(doc.Content) != 1 {
		return []string{key + " in the environment is not YAML"}
	}
	if wrong := misfits(doc.Content[0], f.Type(), key); len(wrong) > 0 {
		return wrong
	}
	fresh := reflect.New(f.Type())
	if err := doc.Content[0].Decode(fresh.Interface()); err != nil {
		return []string{key + " in the environment is not as it should be"}
	}
	f.Set(fresh.Elem())
	return nil
}

// oldNames are the variables that people have in the .env of their platform. They fill
// what neither the file nor RECONCILER_… says.
func (c *Config) oldNames(env func(string) string) {
	p := &c.Providers
	for _, s := range []struct {
		name string
		to   *sealed
		file string // given as a file: that counts
	}{
		{"PLOI_API_TOKEN", &p.Ploi.APIToken, p.Ploi.APITokenFile},
		{"CLOUDFLARE_API_TOKEN", &p.Cloudflare.APIToken, p.Cloudflare.APITokenFile},
		{"VERCEL_API_TOKEN", &p.Vercel.APIToken, p.Vercel.APITokenFile},
		{"RAILWAY_API_KEY", &p.Railway.APIKey, p.Railway.APIKeyFile},
		{"RESEND_API_KEY", &p.Resend.APIKey, p.Resend.APIKeyFile},
		{"STRIPE_API_KEY", &p.Stripe.APIKey, p.Stripe.APIKeyFile},
	} {
		if v := strings.TrimSpace(env(s.name)); v != "" && s.to.Empty() && s.file == "" {
			s.to.Secret = state.NewSecret(v)
		}
	}
	for _, s := range []struct {
		name string
		to   *string
	}{
		{"PLOI_SERVER_ID", &p.Ploi.ServerID},
		{"CLOUDFLARE_ZONE_ID", &p.Cloudflare.ZoneID},
		{"VERCEL_TEAM_ID", &p.Vercel.TeamID},
		{"VERCEL_ORG_ID", &p.Vercel.TeamID}, // the older name of the same
		{"DEFAULT_DEPLOYMENT_PROVIDER", &c.Platform.Defaults.Deployment},
	} {
		if v := strings.TrimSpace(env(s.name)); v != "" && *s.to == "" {
			*s.to = v
		}
	}
	if v := env("PLATFORM_BASE_URL"); v != "" && c.Platform.BaseDomain == "" {
		c.Platform.BaseDomain = hostOf(v)
	}
	c.Platform.BaseDomain = strings.TrimSuffix(c.Platform.BaseDomain, ".") // as a zone file has it
}

// hostOf is the host name of a domain or a URL.
func hostOf(v string) string {
	v = strings.TrimSpace(v)
	if !strings.Contains(v, "://") {
		v = "//" + v
	}
	if u, err := url.Parse(v); err == nil && u.Host != "" {
		return u.Hostname()
	}
	return strings.TrimPrefix(v, "//")
}

// relativeTo makes file names in the configuration relative to its folder.
func (c *Config) relativeTo(dir string) {
	absolute := func(p *string) {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
	var files func(v reflect.Value)
	files = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Slice:
			for i := range v.Len() {
				files(v.Index(i))
			}
		case reflect.Struct:
			for t := range fieldsOf(v.Type()) {
				f := v.FieldByIndex(t.Index)
				if p, ok := f.Addr().Interface().(*string); ok && (strings.HasSuffix(yamlName(t), "File") || yamlName(t) == "folder") {
					absolute(p)
				}
				files(f)
			}
		}
	}
	files(reflect.ValueOf(c).Elem())
	for _, p := range []*string{&c.State.Path, &c.Providers.Embedded.Dir} {
		absolute(p)
	}
	for _, p := range []*string{&c.State.Backup.Dir, &c.Providers.Postgres.Dumps} {
		if *p != nowhere {
			absolute(p)
		}
	}
	switch b := &c.State.Backup; b.Dir {
	case "":
		b.Dir = filepath.Join(filepath.Dir(c.State.Path), "backups")
	case nowhere:
		b.Dir = ""
	}
	if c.State.KeyFile == "" && c.State.Key.Empty() {
		c.State.KeyFile = filepath.Join(filepath.Dir(c.State.Path), "key")
	}
}

// fromFiles reads secrets that are given as files: xFile for x. The state's key and the
// repository's token are read where they are used: the first may have to be made, the
// second is rotated.
func fromFiles(v reflect.Value, path string) (wrong []string) {
	switch v.Kind() {
	case reflect.Slice:
		for i := range v.Len() {
			wrong = append(wrong, fromFiles(v.Index(i), fmt.Sprintf("%s[%d]", path, i))...)
		}
		return wrong
	case reflect.Struct:
	default:
		return nil
	}
	for t := range fieldsOf(v.Type()) {
		f, name := v.FieldByIndex(t.Index), strings.TrimPrefix(path+"."+yamlName(t), ".")
		x, ok := f.Addr().Interface().(*sealed)
		if !ok {
			wrong = append(wrong, fromFiles(f, name)...)
			continue
		}
		file := v.FieldByName(t.Name + "File").String()
		switch {
		case file == "":
		case !x.Empty():
			wrong = append(wrong, fmt.Sprintf("%s and %sFile exclude each other", name, name))
		case !slices.Contains([]string{"state.key", "repository.token"}, name):
			text, err := secretFile(file)
			if err != nil {
				wrong = append(wrong, fmt.Sprintf("%sFile: %v", name, err))
			}
			x.Secret = state.NewSecret(text)
		}
	}
	return wrong
}

func secretFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	switch {
	case err != nil:
		return "", err
	case len(data) > maxSecretFile:
		return "", fmt.Errorf("%s is larger than %d KiB", path, maxSecretFile>>10)
	case strings.TrimSpace(string(data)) == "":
		return "", fmt.Errorf("%s is empty", path)
	}
	return strings.TrimSpace(string(data)), nil
}

// upper turns keyFile into KEY_FILE, publicURL into PUBLIC_URL.
func upper(s string) string {
	var b strings.Builder
	r := []rune(s)
	for i, c := range r {
		if i > 0 && unicode.IsUpper(c) && unicode.IsLower(r[i-1]) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToUpper(c))
	}
	return b.String()
}
