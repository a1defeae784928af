package vercel

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/provider/httpapi"
	"github.com/compassdigital/reconciler/internal/state"
)

// Variables that are ours and no part of a site's environment.
const (
	reserved       = "RECONCILER_"
	varMark        = reserved + "MARK"
	varSite        = reserved + "SITE"
	varEnvironment = reserved + "ENVIRONMENT"
	varKeys        = reserved + "KEYS" // the names of the variables that we set, with * behind secret ones
	varRelease     = reserved + "RELEASE"
)

// Types of variables.
const (
	plain     = "plain"
	encrypted = "encrypted" // is given back when that is asked for
	sensitive = "sensitive" // never is
)

const (
	production = "production"
	// development is where our own notes are: a team may have all that is for production and for
	// previews kept as sensitive, whatever it is sent as.
	development = "development"
)

// maxVariables is how many of a project are read.
const maxVariables = 5000

// stored is one variable of a project.
type stored struct {
	ID            string   `json:"id"`
	Key           string   `json:"key"`
	Value         string   `json:"value"`
	Type          string   `json:"type"`
	Target        oneOrAll `json:"target"`
	GitBranch     string   `json:"gitBranch"`
	Custom        []string `json:"customEnvironmentIds"` // environments of the project's own, beside those of Target
	Configuration string   `json:"configurationId"`      // of an integration
	Decrypted     bool     `json:"decrypted"`
	System        bool     `json:"system"`
}

// oneOrAll is a text or a list of them.
type oneOrAll []string

// UnmarshalJSON implements json.Unmarshaler.
func (o *oneOrAll) UnmarshalJSON(data []byte) error {
	if data[0] == '"' {
		*o = oneOrAll{""}
		return json.Unmarshal(data, &(*o)[0])
	}
	return json.Unmarshal(data, (*[]string)(o))
}

// variables are those of one project.
type variables []stored

// get returns one of ours. One that was written for production, before they were written for
// development, may be an older one.
func (v variables) get(key string) (found stored, ok bool) {
	for _, s := range v {
		if s.Key == key && s.GitBranch == "" && (!ok || slices.Contains(s.Target, development)) {
			found, ok = s, true
		}
	}
	return found, ok
}

// mark is the project's.
func (v variables) mark() provider.Mark {
	s, _ := v.get(varMark)
	return provider.ParseMark(s.Value)
}

// set are the variables of the environment: those for production that no integration and
// not Vercel itself keeps, each key once, sorted.
func (v variables) set() []stored {
	var out []stored
	for _, s := range v {
		if slices.Contains(s.Target, production) && s.GitBranch == "" && s.Configuration == "" && !s.System && s.Type != "system" && !strings.HasPrefix(s.Key, reserved) {
			out = append(out, s)
		}
	}
	slices.SortStableFunc(out, func(a, b stored) int { return strings.Compare(a.Key, b.Key) })
	return slices.CompactFunc(out, func(a, b stored) bool { return a.Key == b.Key })
}

// hidden says that nobody here can read its value.
func (s stored) hidden() bool { return s.Type == sensitive || s.Type != plain && !s.Decrypted }

// keys are the variables that we set, and whether each is a secret. listed is false where nobody wrote them down.
func (v variables) keys() (secret map[string]bool, listed bool) {
	list, listed := v.get(varKeys)
	secret = map[string]bool{}
	for name := range strings.SplitSeq(list.Value, ",") {
		name, is := strings.CutSuffix(name, "*")
		secret[name] = is
	}
	return secret, listed
}

// theirs says of a variable that a person set it, and that nobody could give it back: no look shows it. Before there was a list,
// all of a set that we wrote counts as ours.
func (v variables) theirs(s stored) bool {
	keys, listed := v.keys()
	_, ours := keys[s.Key]
	_, written := v.get(varEnvironment)
	return s.hidden() && !ours && (listed || !written)
}

// variables reads those of a project. NotFound: there is no such project.
func (p *Provider) variables(ctx context.Context, op, project string) (variables, error) {
	var a struct {
		Envs       variables `json:"envs"`
		Pagination page      `json:"pagination"`
	}
	err := p.do(ctx, httpapi.Call{Op: op, Method: http.MethodGet, Path: projectPath("v10", project) + "/env", Query: url.Values{"decrypt": {"true"}}}, &a)
	if err != nil {
		return nil, before(err)
	}
	if a.Envs == nil {
		return nil, noList(op, projectPath("v10", project)+"/env")
	}
	if a.Pagination.Next != "" || len(a.Envs) > maxVariables {
		return nil, refuse(op, provider.Transient, "it has more variables than can be read")
	}
	return a.Envs, nil
}

func (p *Provider) observeEnvironment(ctx context.Context, q provider.Query) ([]provider.Object, error) {
	id, name := q.ID, q.Name
	if id == "" {
		id = q.Wish.Get("site")
	}
	if id == "" && name != "" {
		x, err := p.project(ctx, observing, name)
		if x == nil || err != nil {
			return nil, err
		}
		id = x.ID
	}
	if !isProject(id) {
		return nil, nil
	}
	vars, err := p.variables(ctx, observing, id)
	if isGone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	o, ok := environmentObject(id, "", vars)
	if !ok || name != "" && !o.Mark.IsZero() && o.Name != name {
		return nil, nil
	}
	return []provider.Object{o}, nil
}

// environmentObject is the set as an object. ok is false where there is none: no variable,
// and not our word that this is the set. name is that of the project where it is known.
func environmentObject(project, name string, vars variables) (o provider.Object, ok bool) {
	said, marked := vars.get(varEnvironment)
	mark := provider.ParseMark(said.Value)
	set := vars.set()
	if !marked && len(set) == 0 {
		return o, false
	}
	if !mark.IsZero() {
		name = provider.ObjectName(mark, state.Ref{Kind: state.KindEnvironment})
	}
	o = object(state.KindEnvironment, project, name, mark)
	for _, s := range set {
		switch {
		case s.Type == plain:
			o.Attributes = append(o.Attributes, text("env."+s.Key, s.Value))
		case s.Decrypted && s.Type != sensitive:
			value := state.NewSecret(s.Value)
			o.Attributes = append(o.Attributes, provider.Observed{Name: "env." + s.Key, Secret: &value})
		}
	}
	keys, _ := vars.keys()
	for name, secret := range keys { // one that somebody took away is empty: one that is left out is one that nobody shows
		if secret && !slices.ContainsFunc(set, func(s stored) bool { return s.Key == name }) {
			o.Attributes = append(o.Attributes, provider.Observed{Name: "env." + name, Secret: new(state.Secret)})
		}
	}
	slices.SortFunc(o.Attributes, func(a, b provider.Observed) int { return strings.Compare(a.Name, b.Name) })
	o.Attributes = append(o.Attributes, text("site", project)) // sorts after env.
	return o, true
}

// variable is one as it is sent.
func variable(key, value string) map[string]any {
	return map[string]any{"key": key, "value": value, "type": plain, "target": []string{production}}
}

// remark is a variable that is a note of ours: no build needs it, and it has to be read again.
func remark(key, value string) map[string]any {
	out := variable(key, value)
	out["target"] = []string{development}
	return out
}

// wished are the variables of a wish, by the order of its inputs.
func wished(op string, w provider.Wish) ([]provider.Input, error) {
	var out []provider.Input
	for _, in := range w.Inputs {
		key, is := strings.CutPrefix(in.Name, "env.")
		if !is {
			continue
		}
		if strings.HasPrefix(key, reserved) {
			return nil, refuse(op, provider.Invalid, "variables that begin with %s are the reconciler's own; name %s otherwise", reserved, key)
		}
		in.Name = key
		out = append(out, in)
	}
	return out, nil
}

func (p *Provider) createEnvironment(ctx context.Context, w provider.Wish) (provider.Object, error) {
	id := w.Get("site")
	if !isProject(id) {
		return provider.Object{}, refuse(creating, provider.Invalid, "project %q is not here", id)
	}
	defer p.lock(id)()
	vars, err := p.variables(ctx, creating, id)
	if err != nil {
		return provider.Object{}, as(err, provider.NotFound, provider.Invalid)
	}
	if _, there := environmentObject(id, "", vars); there {
		return provider.Object{}, refuse(creating, provider.Conflict, "project %s has variables already", id)
	}
	return p.replace(ctx, creating, id, w, vars)
}

func (p *Provider) updateEnvironment(ctx context.Context, id string, w provider.Wish) (provider.Object, error) {
	missing := refuse(updating, provider.NotFound, "project %q has no variables here", id)
	if !isProject(id) {
		return provider.Object{}, missing
	}
	defer p.lock(id)()
	vars, err := p.variables(ctx, updating, id)
	if err != nil {
		return provider.Object{}, err
	}
	if _, there := environmentObject(id, "", vars); !there {
		return provider.Object{}, missing
	}
	if w.Get("site") != id {
		return provider.Object{}, refuse(updating, provider.Invalid, "variables can't move to another project")
	}
	return p.replace(ctx, updating, id, w, vars)
}

// replace makes the set what is wished: what is not wished goes, but for what is theirs, then all
// that is goes in at once. The project is locked.
func (p *Provider) replace(ctx context.Context, op, id string, w provider.Wish, vars variables) (provider.Object, error) {
	want, err := wished(op, w)
	if err != nil {
		return provider.Object{}, err
	}
	now := map[string]stored{}
	for _, s := range vars.set() {
		now[s.Key] = s
		i := slices.IndexFunc(want, func(in provider.Input) bool { return in.Name == s.Key })
		if i < 0 && vars.theirs(s) || i >= 0 && (s.Type != sensitive || want[i].Secret != nil) {
			continue
		}
		// Not wished, or no secret any more: what is sensitive stays so.
		delete(now, s.Key)
		if err := p.endVariable(ctx, op, id, s); err != nil {
			return provider.Object{}, err
		}
	}
	keys := make([]string, len(want))
	for i, in := range want {
		keys[i] = in.Name
		if in.Secret != nil {
			keys[i] += "*"
		}
	}
	bulk := []map[string]any{remark(varEnvironment, w.Mark.Text()), remark(varKeys, strings.Join(keys, ","))}
	shown := variables{{Key: varEnvironment, Value: w.Mark.Text(), Type: plain, Target: oneOrAll{production}}}
	for _, in := range want {
		one := variable(in.Name, in.Reveal())
		if in.Secret != nil {
			one["type"] = sensitive
		}
		if have, there := now[in.Name]; there && len(have.Target)+len(have.Custom) > 1 {
			if err := p.inPlace(ctx, op, id, have, in); err != nil {
				return provider.Object{}, err
			}
		} else {
			bulk = append(bulk, one)
		}
		if in.Secret == nil {
			shown = append(shown, stored{Key: in.Name, Value: in.Text, Type: plain, Target: oneOrAll{production}})
		}
	}
	if err := p.upsert(ctx, op, id, bulk); err != nil {
		return provider.Object{}, err
	}
	o, _ := environmentObject(id, w.Name, shown)
	return o, nil
}

// inPlace changes a variable that holds for more than production.
func (p *Provider) inPlace(ctx context.Context, op, id string, have stored, in provider.Input) error {
	change := map[string]any{"value": in.Reveal()}
	switch {
	case have.Type == plain && in.Secret == nil && have.Value == in.Text:
		return nil
	case have.Type == plain && in.Secret != nil:
		change["type"] = encrypted // sensitive is refused for development
	case have.Type == encrypted && in.Secret == nil:
		change["type"] = plain
	}
	return p.do(ctx, httpapi.Call{Op: op, Method: http.MethodPatch, Path: projectPath("v9", id) + "/env/" + url.PathEscape(have.ID), In: change}, nil)
}

// endVariable takes a variable away from production alone: previews, development and environments of the project's own keep it.
func (p *Provider) endVariable(ctx context.Context, op, id string, s stored) error {
	others := slices.DeleteFunc(slices.Clone(s.Target), func(t string) bool { return t == production })
	if len(others)+len(s.Custom) == 0 {
		return p.removeVariable(ctx, op, id, s.ID)
	}
	in := map[string]any{"target": others}
	if len(s.Custom) > 0 {
		in["customEnvironmentIds"] = s.Custom
	}
	err := p.do(ctx, httpapi.Call{Op: op, Method: http.MethodPatch, Path: projectPath("v9", id) + "/env/" + url.PathEscape(s.ID), In: in}, nil)
	if isGone(err) {
		return nil
	}
	return err
}

func (p *Provider) removeVariable(ctx context.Context, op, id, variable string) error {
	err := p.do(ctx, httpapi.Call{Op: op, Method: http.MethodDelete, Path: projectPath("v9", id) + "/env/" + url.PathEscape(variable)}, nil)
	if isGone(err) {
		return nil
	}
	return err
}

// failedVariables are the refusals inside an answer of success.
type failedVariables struct {
	Failed []struct {
		Error struct {
			Code    string `json:"code"`
			Message string `json:"message"`
			Key     string `json:"key"`
			VarKey  string `json:"envVarKey"`
		} `json:"error"`
	} `json:"failed"`
}

// upsert sets variables in one call. Some may be refused in an answer of success.
func (p *Provider) upsert(ctx context.Context, op, id string, all []map[string]any) error {
	var a struct {
		Created json.RawMessage `json:"created"`
	}
	err := p.do(ctx, httpapi.Call{Op: op, Method: http.MethodPost, Path: projectPath("v10", id) + "/env", Query: url.Values{"upsert": {"true"}}, In: all,
		Failed: func(a httpapi.Answer) bool {
			var f failedVariables
			return json.Unmarshal(a.Body, &f) == nil && len(f.Failed) > 0
		}}, &a)
	if err == nil && (len(a.Created) == 0 || string(a.Created) == "null") { // a release would be built without them
		return refuse(op, provider.Uncertain, "its answer names no variable that was set")
	}
	return err
}

// classifyFailed is an answer of success that says otherwise.
func classifyFailed(a httpapi.Answer) *provider.Error {
	var f failedVariables
	err := json.Unmarshal(a.Body, &f)
	if len(f.Failed) == 0 {
		var r refusal
		_ = json.Unmarshal(a.Body, &r) // a body that says nothing has none

		// Its status decides.
		return &provider.Error{Message: join("its answer is no success", r.Error.Message), Code: r.Error.Code, Err: err}
	}
	first := f.Failed[0].Error
	key := first.VarKey
	if key == "" {
		key = first.Key
	}
	e := &provider.Error{Kind: provider.Invalid, Code: first.Code, Message: "the variable " + provider.Line(key, 100) + " was refused: " + first.Message}
	if first.Code == "ENV_ALREADY_EXISTS" {
		e.Kind = provider.Conflict
	}
	return e
}

func (p *Provider) deleteEnvironment(ctx context.Context, id string) error {
	if !isProject(id) {
		return nil
	}
	defer p.lock(id)()
	vars, err := p.variables(ctx, deleting, id)
	if isGone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, s := range vars.set() {
		if err := p.endVariable(ctx, deleting, id, s); err != nil {
			return err
		}
	}
	for _, key := range []string{varRelease, varEnvironment} { // our word goes last
		for _, s := range vars {
			if s.Key != key || s.GitBranch != "" {
				continue
			}
			if err := p.removeVariable(ctx, deleting, id, s.ID); err != nil {
				return err
			}
		}
	}
	return nil
}
