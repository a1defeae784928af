package bolt

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/compassdigital/reconciler/internal/store"
)

// noteMark is what comes before why an older program of the same schema may drop a field.
const noteMark = " # "

const shapeChanged = `what records look like is not what testdata/%s says (-then +now):
%s
A program that knows schema %d reads what another one of it wrote, drops the fields that it doesn't know, and writes the rest. So either
  - raise the schema: append a migration to migrations (one that does nothing, where older records are read as they are), and make its
    fixture with go test ./internal/bolt -run 'TestEverySchemaOpens|TestTheShapeOfRecords' -update; or
  - if the field is new and optional, and an older program that forgets it does nothing wrong: add its line to testdata/%s,
    with "` + noteMark + `" and why that is so.`

// TestTheShapeOfRecords: records look as they did when the newest schema was made, but for new fields
// of which is noted why an older program may drop them. Its file's first line tells whether others of
// its lines were changed.
func TestTheShapeOfRecords(t *testing.T) {
	newest := len(migrations())
	now := shape(kinds(t))
	path := fixture(newest, "shape")
	name := strings.TrimPrefix(path, "testdata/")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) && *update {
		if err := os.WriteFile(path, []byte(strings.Join(append([]string{sumOf(now)}, now...), "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	then := shapeThen(t)
	var bare, first []string
	for _, l := range then[1:] {
		line, why, has := strings.Cut(l, noteMark)
		bare = append(bare, line)
		switch {
		case !has:
			first = append(first, line)
		case strings.TrimSpace(why) == "":
			t.Errorf("%s: why may an older program drop %s?", name, line)
		case !strings.HasSuffix(line, ", optional"):
			t.Errorf("%s: %s is written where it is not known, too: only an optional field can be dropped", name, line)
		}
	}
	slices.Sort(bare)
	if d := cmp.Diff(bare, now); d != "" {
		t.Errorf(shapeChanged, name, d, newest, name)
	}
	if got := sumOf(first); got != then[0] {
		t.Errorf("%s: a line that was there when the schema was made was changed, or one is new and has no note: the first line would be %q", name, got)
	}
	if testing.Verbose() {
		t.Logf("%d kinds of record, %d lines", len(kinds(t)), len(now))
	}
}

// TestPartialReadersReadWhatIsThere: who reads a part of a record asks for fields that it has.
func TestPartialReadersReadWhatIsThere(t *testing.T) {
	types := kinds(t)
	for kind, part := range map[string]reflect.Type{"resources": reflect.TypeFor[store.Holder](), "clients": reflect.TypeFor[store.Namer]()} {
		var all []string
		for _, l := range lines(kind, types[kind], "") {
			all = append(all, strings.TrimSuffix(l, ", optional"))
		}
		for _, l := range lines(kind, part, "") {
			if !slices.Contains(all, l) {
				t.Errorf("no record has %s", l)
			}
		}
	}
}

// TestEveryRecordIsWritten: whatever writes a record is asked to, so that none is missing here.
func TestEveryRecordIsWritten(t *testing.T) {
	source, err := os.ReadFile("records_test.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, name := range []string{"records.go", "pulls.go", "verdicts.go"} {
		text, err := os.ReadFile("../store/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range strings.Split(string(text), "\n") {
			call, is := strings.CutPrefix(l, "func ")
			call, _, _ = strings.Cut(call, "(")
			if !is || !strings.HasPrefix(call, "Put") && !strings.HasPrefix(call, "Add") {
				continue
			}
			found++
			if !strings.Contains(string(source), "store."+call+"(") {
				t.Errorf("store.%s writes a record, and everyRecord has none: write one, and raise the schema", call)
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d functions that write records were found", found)
	}
}

// shapeThen is the file of the newest schema's shape: a sum, then the lines.
func shapeThen(t *testing.T) []string {
	t.Helper()
	data, err := os.ReadFile(fixture(len(migrations()), "shape"))
	if err != nil {
		t.Fatalf("%v: make it with `go test ./internal/bolt -run 'TestEverySchemaOpens|TestTheShapeOfRecords' -update`, and commit it", err)
	}
	return strings.Split(strings.TrimSpace(string(data)), "\n")
}

// noteOf is why an older program may drop what a line of the shape is about; "": it may not.
func noteOf(t *testing.T, line string) string {
	t.Helper()
	for _, l := range shapeThen(t) {
		if is, why, _ := strings.Cut(l, noteMark); is == line {
			return why
		}
	}
	return ""
}

func sumOf(lines []string) string {
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return fmt.Sprintf("%d lines, %x", len(lines), sum[:6])
}

// shape is what all records look like as JSON: a line for each kind that is no object, and for each
// field of the others.
//
//	clients.retryAt time, optional
//	clients.undo[].ref.name text
func shape(types map[string]reflect.Type) []string {
	var out []string
	for kind, t := range types {
		out = append(out, lines(kind, t, "")...)
	}
	slices.Sort(out)
	return out
}

func lines(at string, t reflect.Type, optional string) []string {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return []string{at + " time" + optional}
	case t.Kind() == reflect.Pointer:
		return lines(at, t.Elem(), optional)
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		return []string{at + " bytes" + optional}
	case t.Kind() == reflect.Slice:
		return lines(at+"[]", t.Elem(), optional)
	case t.Kind() == reflect.Map:
		return lines(at+"{}", t.Elem(), optional)
	case t.Kind() == reflect.String:
		return []string{at + " text" + optional}
	case t.Kind() != reflect.Struct:
		return []string{at + " " + t.Kind().String() + optional}
	}
	var out []string
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || !f.IsExported() {
			out = append(out, at+" has a field without a name: "+f.Name)
			continue
		}
		o := optional
		if options != "" {
			o = ", optional"
		}
		out = append(out, lines(at+"."+name, f.Type, o)...)
	}
	return out
}
