//go:build planted

package reconcile_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
)

// sickFiles are the files of the bugs, by path, with all bugs in them: a function in which
// some are planted calls, when one of them is alive, a copy of itself that has it. So one
// build serves to find them all.
func sickFiles(internal string, bugs []planted) (map[string]string, error) {
	byFile, out := map[string][]planted{}, map[string]string{}
	for _, b := range bugs {
		byFile[b.file] = append(byFile[b.file], b)
	}
	for file, bugs := range byFile {
		path := filepath.Join(internal, filepath.FromSlash(file))
		text, pkg, err := withSwitches(internal, bugs)
		if err != nil {
			return nil, err
		}
		out[path] = text
		out[filepath.Join(filepath.Dir(path), "zz_planted.go")] = fmt.Sprintf("package %s\n\nimport \"os\"\n\nvar plantedBug = os.Getenv(%q)\n", pkg, plantedEnv)
	}
	return out, nil
}

// withSwitches is the text of one file with its bugs in it.
func withSwitches(internal string, bugs []planted) (text, pkg string, err error) {
	var edits []edit
	var copies strings.Builder
	sound := ""
	named := map[int]bool{} // functions all of whose parameters have a name by now
	for n, b := range bugs {
		was, sick, at, err := b.change(internal)
		if err != nil {
			return "", "", err
		}
		sound = was
		f, name, err := functionAt(was, at)
		if err != nil {
			return "", "", fmt.Errorf("%s: %w", b.name, err)
		}
		g, _, err := functionAt(sick, at)
		if err != nil {
			return "", "", fmt.Errorf("%s: %w", b.name, err)
		}
		pkg = name
		twin := fmt.Sprintf("%s_planted%d", f.Name.Name, n)
		call, renames := callOf(f, twin)
		if !named[offset(f)] {
			edits = append(edits, renames...)
			named[offset(f)] = true
		}
		edits = append(edits, edit{int(f.Body.Lbrace), 0, fmt.Sprintf("\n\tif plantedBug == %q {\n\t\t%s\n\t}\n", b.name, call)})
		fmt.Fprintf(&copies, "\n%s%s%s\n", sick[offset(g):g.Name.Pos()-1], twin, sick[g.Name.End()-1:g.End()-1])
	}
	slices.SortStableFunc(edits, func(a, b edit) int { return a.at - b.at })
	var out bytes.Buffer
	at := 0
	for _, e := range edits {
		out.WriteString(sound[at:e.at] + e.text)
		at = e.at + e.cut
	}
	out.WriteString(sound[at:] + copies.String())
	return out.String(), pkg, nil
}

// edit puts text in the place of cut bytes.
type edit struct {
	at, cut int
	text    string
}

func offset(f *ast.FuncDecl) int { return int(f.Pos()) - 1 }

// functionAt is the function around a place in a file. (A file that is parsed alone begins at
// position 1.)
func functionAt(text string, at int) (*ast.FuncDecl, string, error) {
	file, err := parser.ParseFile(token.NewFileSet(), "", text, parser.SkipObjectResolution)
	if err != nil {
		return nil, "", err
	}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Body != nil && int(f.Body.Lbrace) <= at && at < int(f.Body.Rbrace) {
			return f, file.Name.Name, nil
		}
	}
	return nil, "", fmt.Errorf("it is in no function")
}

// callOf is what a function does to leave its work to another of the same signature, and
// names the parameters that had none.
func callOf(f *ast.FuncDecl, twin string) (call string, renames []edit) {
	count := 0
	name := func(id *ast.Ident) string {
		if id.Name != "_" {
			return id.Name
		}
		count++
		n := fmt.Sprintf("planted%d", count)
		renames = append(renames, edit{int(id.Pos()) - 1, 1, n})
		return n
	}
	unnamed := func(field *ast.Field) string {
		count++
		n := fmt.Sprintf("planted%d", count)
		renames = append(renames, edit{int(field.Type.Pos()) - 1, 0, n + " "})
		return n
	}
	var args []string
	for _, p := range f.Type.Params.List {
		var names []string
		for _, id := range p.Names {
			names = append(names, name(id))
		}
		if len(p.Names) == 0 {
			names = append(names, unnamed(p))
		}
		if _, more := p.Type.(*ast.Ellipsis); more {
			names[len(names)-1] += "..."
		}
		args = append(args, names...)
	}
	call = twin + "(" + strings.Join(args, ", ") + ")"
	if f.Recv != nil {
		field := f.Recv.List[0]
		if len(field.Names) == 0 {
			call = unnamed(field) + "." + call
		} else {
			call = name(field.Names[0]) + "." + call
		}
	}
	if f.Type.Results == nil {
		return call + "\n\t\treturn", renames
	}
	return "return " + call, renames
}
