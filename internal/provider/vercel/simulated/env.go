package simulated

import (
	"encoding/json"
	"slices"
)

// variable is one, as it is kept.
type variable struct {
	ID, Key, Value, Type, Comment string
	Target                        []string
	Custom                        []string // environments of the project's own
	Created, Updated              int64
	Integration                   string
}

// envIn is one as it is sent. Its target is a text or a list.
type envIn struct {
	Key, Value, Type, Comment string
	Target                    targets
	Custom                    []string `json:"customEnvironmentIds"`
}

type targets []string

// UnmarshalJSON implements json.Unmarshaler.
func (t *targets) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		*t = targets{""}
		return json.Unmarshal(data, &(*t)[0])
	}
	return json.Unmarshal(data, (*[]string)(t))
}

// maxEnv is how many bytes the variables of a deployment may have together.
const maxEnv = 64 << 10

// addEnv puts one into a project.
func (v *Vercel) addEnv(x *project, in envIn, upsert bool) *refusal {
	if in.Type == "" {
		in.Type = "plain"
	}
	if v.o.Sensitive && !slices.Contains(in.Target, "development") {
		in.Type = "sensitive"
	}
	switch {
	case in.Key == "" || len(in.Target)+len(in.Custom) == 0:
		return no(400, "bad_request", "Invalid request: `key` and `target` are needed")
	case !slices.Contains([]string{"system", "secret", "encrypted", "plain", "sensitive"}, in.Type):
		return no(400, "bad_request", "Invalid request: `type` should be equal to one of the allowed values")
	case in.Type == "sensitive" && slices.Contains(in.Target, "development"):
		return no(400, "bad_request", "You cannot set a Sensitive Environment Variable's target to development.")
	}
	size := len(in.Value)
	for _, e := range x.Env {
		size += len(e.Key) + len(e.Value)
	}
	if size > maxEnv {
		return no(400, "max_env_size", "The total size of your Environment Variables exceeds 64KB")
	}
	for i, e := range x.Env {
		if e.Key != in.Key || !overlaps(e.Target, in.Target) {
			continue
		}
		if !upsert || !slices.Equal(e.Target, in.Target) {
			n := no(403, "ENV_ALREADY_EXISTS", "A variable with the name `%s` already exists for the target %s", in.Key, in.Target[0])
			n.more = map[string]any{"envVarKey": in.Key}
			return n
		}
		if e.Type == "sensitive" && in.Type != "sensitive" {
			return no(400, "bad_request", "You cannot change the type of a Sensitive Environment Variable")
		}
		e.Value, e.Type, e.Updated = in.Value, in.Type, v.stamp()
		x.Env[i] = e
		return nil
	}
	now := v.stamp()
	x.Env = append(slices.Clone(x.Env), variable{ID: v.is.IDs.Hex(16), Key: in.Key, Value: in.Value, Type: in.Type, Target: in.Target, Custom: in.Custom, Comment: in.Comment, Created: now, Updated: now})
	return nil
}

func overlaps(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

// show is a variable in an answer. decrypt gives back what can be.
func (e variable) show(decrypt bool) map[string]any {
	out := map[string]any{"id": e.ID, "key": e.Key, "type": e.Type, "target": e.Target, "createdAt": e.Created, "updatedAt": e.Updated, "value": e.Value, "configurationId": orNull(e.Integration)}
	if len(e.Custom) > 0 {
		out["customEnvironmentIds"] = e.Custom
	}
	switch {
	case e.Type == "sensitive":
		out["value"] = ""
	case e.Type == "encrypted" && decrypt:
		out["decrypted"] = true
	case e.Type == "encrypted":
		out["value"], out["decrypted"] = "eyJ2IjoidjIi", false
	}
	return out
}

func (v *Vercel) listEnv(c call) (answer, *refusal) {
	x, n := v.find(c.PathValue("p"))
	if n != nil {
		return answer{}, n
	}
	all := []any{}
	for _, e := range x.Env {
		all = append(all, e.show(c.URL.Query().Get("decrypt") == "true"))
	}
	return answer{status: 200, body: map[string]any{"envs": all}}, nil
}

func (v *Vercel) createEnv(c call) (answer, *refusal) {
	x, n := v.find(c.PathValue("p"))
	if n != nil {
		return answer{}, n
	}
	var one envIn
	many := []envIn{}
	list := len(c.body) > 0 && c.body[0] == '['
	if list {
		n = c.read(&many)
	} else if n = c.read(&one); n == nil {
		many = []envIn{one}
	}
	if n != nil {
		return answer{}, n
	}
	created, failed := []any{}, []any{}
	for _, in := range many {
		n := v.addEnv(&x, in, c.URL.Query().Get("upsert") == "true")
		switch {
		case n == nil:
			i := slices.IndexFunc(x.Env, func(e variable) bool { return e.Key == in.Key && overlaps(e.Target, in.Target) })
			created = append(created, x.Env[i].show(true))
		case !list:
			return answer{}, n
		default:
			failed = append(failed, map[string]any{"error": map[string]any{"code": n.code, "message": n.message, "key": in.Key, "envVarKey": in.Key, "target": in.Target}})
		}
	}
	v.put(x)
	if !list {
		return answer{status: 201, body: map[string]any{"created": created[0], "failed": failed}}, nil
	}
	return answer{status: 201, body: map[string]any{"created": created, "failed": failed}}, nil
}

// env finds a variable of a project by its id.
func (v *Vercel) env(c call) (x project, i int, n *refusal) {
	if x, n = v.find(c.PathValue("p")); n != nil {
		return x, 0, n
	}
	x.Env = slices.Clone(x.Env)
	if i = slices.IndexFunc(x.Env, func(e variable) bool { return e.ID == c.PathValue("e") }); i < 0 {
		return x, 0, notFound("Environment Variable")
	}
	return x, i, nil
}

func (v *Vercel) editEnv(c call) (answer, *refusal) {
	x, i, n := v.env(c)
	if n != nil {
		return answer{}, n
	}
	var in struct {
		Value, Type *string
		Target      targets
		Custom      []string `json:"customEnvironmentIds"`
	}
	if n := c.read(&in); n != nil {
		return answer{}, n
	}
	e := x.Env[i]
	if in.Value != nil {
		e.Value = *in.Value
	}
	if in.Type != nil {
		e.Type = *in.Type
	}
	if in.Target != nil {
		e.Target = in.Target
	}
	if in.Custom != nil {
		e.Custom = in.Custom
	}
	if len(e.Target)+len(e.Custom) == 0 {
		return answer{}, no(400, "bad_request", "Invalid request: `target` should NOT have fewer than 1 items")
	}
	if v.o.Sensitive && !slices.Contains(e.Target, "development") {
		e.Type = "sensitive"
	}
	if e.Type == "sensitive" && slices.Contains(e.Target, "development") {
		return answer{}, no(400, "bad_request", "You cannot set a Sensitive Environment Variable's target to development.")
	}
	e.Updated = v.stamp()
	x.Env[i] = e
	v.put(x)
	return answer{status: 200, body: e.show(true)}, nil
}

func (v *Vercel) deleteEnv(c call) (answer, *refusal) {
	x, i, n := v.env(c)
	if n != nil {
		return answer{}, n
	}
	gone := x.Env[i]
	x.Env = slices.Delete(x.Env, i, i+1)
	v.put(x)
	return answer{status: 200, body: gone.show(true)}, nil
}
