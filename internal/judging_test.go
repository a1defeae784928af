package internal_test

import (
	"go/ast"
	"go/token"
	"path"
	"slices"
	"strings"
)

// judging is the look through one package's test files. What is a simulator is known by the
// names of fields, functions, parameters and variables that are declared as one, or set to what
// New returns; what is a contract, in the same way. A judge is a call of a contract's Handler or
// Wrap, of a function that takes a handler and has such a call in it, or of one that is called
// judge or judged.
type judging struct {
	set       *token.FileSet
	dir       string
	types     map[string]string // rooms of simulators, and their type
	files     []*ast.File
	own       string // the simulator's type in its own room
	alias     map[*ast.File]map[string]string
	fields    map[string]bool // names of fields that are simulators
	openers   map[string]bool // functions that return one
	contracts map[string]bool // names that are contracts
	judges    map[string]bool // functions
	funcs     map[string][]*ast.FuncDecl
	opened    int
	found     []finding
	// Of the function that is looked at:
	file     *ast.File
	in       *ast.FuncDecl
	locals   map[string]bool
	closures map[string]*ast.FuncType
}

type finding struct {
	at       token.Pos
	in, what string
}

func newJudging(set *token.FileSet, dir string, types map[string]string, files []*ast.File) *judging {
	j := &judging{set: set, dir: dir, types: types, files: files, own: types["internal/"+dir], alias: map[*ast.File]map[string]string{}, fields: map[string]bool{}, openers: map[string]bool{},
		contracts: map[string]bool{"For": true, "OpenAPI": true, "GraphQL": true, "Payload": true, "Validator": true},
		judges:    map[string]bool{"judge": true, "judged": true}, funcs: map[string][]*ast.FuncDecl{}}
	for _, f := range files {
		j.alias[f] = map[string]string{}
		for _, i := range f.Imports {
			at := strings.TrimPrefix(strings.Trim(i.Path.Value, `"`), module)
			if kind := types[at]; kind != "" {
				name := path.Base(at)
				if i.Name != nil {
					name = i.Name.Name
				}
				j.alias[f][name] = kind
			}
		}
	}
	return j
}

func (j *judging) run() []finding {
	j.declared()
	for more := true; more; { // a function that judges makes a judge of who hands it a handler
		more = false
		for name, all := range j.funcs {
			if !j.judges[name] && slices.ContainsFunc(all, func(d *ast.FuncDecl) bool { return takesHandler(d.Type) && j.hasJudge(d) }) {
				j.judges[name], more = true, true
			}
		}
	}
	for _, f := range j.files {
		for _, d := range f.Decls {
			if d, ok := d.(*ast.FuncDecl); ok && d.Body != nil {
				j.file, j.in, j.locals, j.closures = f, d, map[string]bool{}, map[string]*ast.FuncType{}
				j.params(d.Type)
				j.look(d.Body, d.Type, false)
			}
		}
	}
	return j.found
}

// declared notes the names of fields, functions and variables of the package.
func (j *judging) declared() {
	for _, f := range j.files {
		j.file = f
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.Field:
				for _, name := range n.Names {
					j.note(name.Name, n.Type)
				}
			case *ast.StructType:
				for _, f := range n.Fields.List {
					if len(f.Names) == 0 { // embedded
						f.Names = []*ast.Ident{ast.NewIdent(lastName(f.Type))}
					}
					for _, name := range f.Names {
						j.fields[name.Name] = j.fields[name.Name] || j.isType(f.Type)
					}
				}
			case *ast.ValueSpec:
				for _, name := range n.Names {
					j.note(name.Name, n.Type)
				}
			case *ast.FuncDecl:
				j.funcs[n.Name.Name] = append(j.funcs[n.Name.Name], n)
				if r := n.Type.Results; r != nil && len(r.List) > 0 {
					j.openers[n.Name.Name] = j.openers[n.Name.Name] || j.isType(r.List[0].Type)
					if lastName(r.List[0].Type) == "Contract" {
						j.contracts[n.Name.Name] = true
					}
				}
			case *ast.AssignStmt:
				for i, right := range n.Rhs {
					if i < len(n.Lhs) && j.isContract(right) {
						j.contracts[lastName(n.Lhs[i])] = true
					}
				}
			}
			return true
		})
	}
}

func (j *judging) note(name string, kind ast.Expr) {
	if kind != nil && lastName(kind) == "Contract" {
		j.contracts[name] = true
	}
}

// isType says that a type is a simulator's.
func (j *judging) isType(kind ast.Expr) bool {
	switch x := kind.(type) {
	case *ast.MapType:
		return j.isType(x.Value)
	case *ast.ArrayType:
		return j.isType(x.Elt)
	case *ast.StarExpr:
		return j.isType(x.X)
	case *ast.SelectorExpr:
		kind := j.alias[j.file][lastName(x.X)]
		return kind != "" && kind == x.Sel.Name
	case *ast.Ident:
		return j.own != "" && x.Name == j.own
	}
	return false
}

// isContract says that an expression is a contract, or a list of some.
func (j *judging) isContract(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.CompositeLit:
		return x.Type != nil && lastName(x.Type) == "Contract"
	case *ast.CallExpr:
		return j.contracts[lastName(x.Fun)]
	case *ast.IndexExpr:
		return j.isContract(x.X)
	case *ast.Ident, *ast.SelectorExpr:
		return j.contracts[lastName(x)]
	}
	return false
}

func (j *judging) isJudge(c *ast.CallExpr) bool {
	switch f := c.Fun.(type) {
	case *ast.CallExpr: // judge(t, "ploi")(api)
		return j.judges[lastName(f.Fun)]
	case *ast.SelectorExpr:
		if slices.Contains([]string{"Handler", "HandlerRequests", "Wrap", "WrapRequests"}, f.Sel.Name) {
			return j.isContract(f.X)
		}
	}
	return j.judges[lastName(c.Fun)]
}

func (j *judging) hasJudge(d *ast.FuncDecl) (has bool) {
	ast.Inspect(d, func(n ast.Node) bool {
		if c, ok := n.(*ast.CallExpr); ok && j.isJudge(c) {
			has = true
		}
		return !has
	})
	return has
}

func (j *judging) params(f *ast.FuncType) {
	for _, p := range f.Params.List {
		for _, name := range p.Names {
			j.locals[name.Name] = j.isType(p.Type)
		}
	}
}

// isNew says that an expression opens a simulator.
func (j *judging) isNew(x ast.Expr) bool {
	c, ok := x.(*ast.CallExpr)
	if !ok {
		return false
	}
	switch f := c.Fun.(type) {
	case *ast.SelectorExpr:
		return f.Sel.Name == "New" && j.alias[j.file][lastName(f.X)] != ""
	case *ast.Ident:
		return f.Name == "New" && j.own != ""
	}
	return false
}

// is says that an expression is a simulator, or its API.
func (j *judging) is(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.Ident:
		return j.locals[x.Name]
	case *ast.SelectorExpr:
		return j.fields[x.Sel.Name]
	case *ast.IndexExpr:
		return j.is(x.X)
	case *ast.CallExpr:
		if s, ok := x.Fun.(*ast.SelectorExpr); ok && (s.Sel.Name == "API" || s.Sel.Name == "Plain") {
			return j.is(s.X)
		}
		return j.isNew(x) || j.openers[lastName(x.Fun)]
	}
	return false
}

func (j *judging) bad(x ast.Expr) {
	j.found = append(j.found, finding{x.Pos(), j.in.Name.Name, lastName(x)})
}

// look goes through a function's body; judged says that it stands inside of a judge's call.
func (j *judging) look(root ast.Node, of *ast.FuncType, judged bool) {
	ast.Inspect(root, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			j.params(n.Type)
			j.look(n.Body, n.Type, judged)
			return false
		case *ast.CallExpr:
			if j.isNew(n) {
				j.opened++
			}
			if !judged && j.isJudge(n) {
				for _, a := range append([]ast.Expr{n.Fun}, n.Args...) {
					j.look(a, of, true)
				}
				return false
			}
			if !judged {
				j.called(n)
			}
		case *ast.AssignStmt:
			j.assigned(n, judged)
		case *ast.CompositeLit:
			for _, e := range n.Elts {
				kv, ok := e.(*ast.KeyValueExpr)
				switch {
				case judged, !ok && !j.is(e):
				case !ok:
					j.bad(e)
				case j.is(kv.Value) && !j.fields[lastName(kv.Key)]:
					j.bad(kv.Value)
				}
			}
		case *ast.ReturnStmt:
			for i, r := range n.Results {
				if !judged && j.is(r) && of.Results != nil && i < len(of.Results.List) && !j.isType(of.Results.List[i].Type) && !j.judges[j.in.Name.Name] && !j.hasJudge(j.in) {
					j.bad(r)
				}
			}
		}
		return true
	})
}

// assigned notes what a variable becomes.
func (j *judging) assigned(n *ast.AssignStmt, judged bool) {
	for i, right := range n.Rhs {
		if i >= len(n.Lhs) {
			return
		}
		switch left := n.Lhs[i].(type) {
		case *ast.Ident:
			if lit, ok := right.(*ast.FuncLit); ok {
				j.closures[left.Name] = lit.Type
			}
			if n.Tok == token.DEFINE || j.is(right) {
				j.locals[left.Name] = j.is(right)
			}
		default:
			if !judged && j.is(right) && !j.fields[lastName(left)] {
				j.bad(right)
			}
		}
	}
}

// called looks at a call that is no judge's.
func (j *judging) called(n *ast.CallExpr) {
	if s, ok := n.Fun.(*ast.SelectorExpr); ok {
		if s.Sel.Name == "ServeHTTP" && j.is(s.X) {
			j.bad(s.X)
		}
		if x, ok := s.X.(*ast.Ident); ok && slices.Contains([]string{"fmt", "cmp", "json", "errors", "reflect", "t"}, x.Name) {
			return
		}
	}
	var of []*ast.FuncType // what may be called
	if local := j.closures[lastName(n.Fun)]; local != nil {
		of = append(of, local)
	}
	for _, d := range j.funcs[lastName(n.Fun)] {
		of = append(of, d.Type)
	}
	for i, a := range n.Args {
		if j.is(a) && !slices.ContainsFunc(of, func(f *ast.FuncType) bool { return j.isType(paramType(f, i)) }) {
			j.bad(a)
		}
	}
}

func takesHandler(f *ast.FuncType) bool {
	return slices.ContainsFunc(f.Params.List, func(p *ast.Field) bool { return lastName(p.Type) == "Handler" || lastName(p.Type) == "RoundTripper" })
}

func paramType(f *ast.FuncType, at int) ast.Expr {
	for _, p := range f.Params.List {
		if at -= max(1, len(p.Names)); at < 0 {
			return p.Type
		}
	}
	return nil
}

// lastName is the last name of what is selected, called, indexed or pointed to.
func lastName(x ast.Node) string {
	switch x := x.(type) {
	case *ast.Ident:
		return x.Name
	case *ast.SelectorExpr:
		return x.Sel.Name
	case *ast.StarExpr:
		return lastName(x.X)
	case *ast.ParenExpr:
		return lastName(x.X)
	case *ast.CallExpr:
		return lastName(x.Fun)
	case *ast.IndexExpr:
		return lastName(x.X)
	case *ast.ArrayType:
		return lastName(x.Elt)
	case *ast.MapType:
		return lastName(x.Value)
	case *ast.UnaryExpr:
		return lastName(x.X)
	}
	return ""
}
