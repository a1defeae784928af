package desired

import (
	"strconv"
	"strings"

	"github.com/compassdigital/reconciler/internal/manifest"
	"github.com/compassdigital/reconciler/internal/state"
)

// builtin is the source that needs no repository, and so no commit.
const builtin = "builtin"

// self stands for the client's id in whatever is hashed: the id is minted when the
// manifest is accepted, and what was reviewed before must be called the same.
const self = "self"

// SourceSpec is what a source commit is resolved from, "repository@ref"; "" for a
// source that has none (builtin, or no site at all), and for a site that a person deploys,
// who is told the ref. Whoever resolves it keeps it
// beside the commit (state.Client.SourceSpec, SourceCommit): while the spec stays the
// same the commit does, however far the branch has moved.
func SourceSpec(e manifest.Effective) string {
	if p := e.Deployment.Provider; p == "" || p == none || p == external {
		return ""
	}
	if e.Source.Repository == "" || e.Source.Repository == builtin {
		return ""
	}
	return e.Source.Repository + "@" + e.Source.Ref
}

// addRelease adds the deployment: immutable, and named by a hash of all that it is
// made of.
func (b *builder) addRelease(host string, siteID state.Value, env map[string]state.Value) state.Ref {
	e := b.in.Effective
	release := map[string]state.Value{
		"site": siteID, "repository": state.Lit(e.Source.Repository), "ref": state.Lit(e.Source.Ref), "directory": state.Lit(e.Source.Directory),
		"template": state.Lit(e.Template), "install": state.Lit(e.Build.Install), "command": state.Lit(e.Build.Command), "start": state.Lit(e.Build.Start),
		"migrate": state.Lit(e.Migrate), "settings": state.Lit(b.settings()), "features": state.Lit(list(e.Features)), "collections": state.Lit(list(e.DisabledCollections)),
		"displayName": state.Lit(e.DisplayName),
	}
	if r := e.Build.Runtime; r != "" { // what the site has is what the next build takes
		release["runtime"] = state.Lit(r)
	}
	if spec := SourceSpec(e); spec != "" && b.in.Client.SourceSpec == spec && b.in.Client.SourceCommit != "" {
		release["commit"] = state.Lit(b.in.Client.SourceCommit)
	}
	names, versions := b.built(env)
	release["environment"] = state.Lit(hash(names))
	if versions != "" {
		release["secrets"] = state.Lit(hash(versions))
	}
	deployment := b.ref(state.KindDeployment, hash(host+"\n"+b.canonical(release, true)))
	b.add(deployment, host, release)
	return deployment
}

// built is the environment as a release depends on it: what it says, secrets by name;
// apart from that, which versions the secrets have. Kept values of an adopted site are
// left out: they were there before we were, and never change. What takes one of them
// away counts.
func (b *builder) built(env map[string]state.Value) (names, versions string) {
	counted, secrets := map[string]state.Value{}, map[string]state.Value{}
	for n, v := range env {
		if v.Secret != nil && strings.HasPrefix(v.Secret.Name, Kept) {
			continue
		}
		counted[n] = v
		if v.Secret != nil {
			secrets[n] = v
		}
	}
	for _, v := range env { // where its database is: an address of another one is another release
		if v.Ref == nil || v.Ref.Kind != state.KindDatabase {
			continue
		}
		at := b.in.Effective.Database.Provider
		if a := b.in.Effective.Database.Access; a != "" && a != "public" { // and one from within has another address
			at += " " + a
		}
		if n := b.in.Readdressed; n > 0 {
			at += " " + strconv.Itoa(n)
		}
		counted["database"] = state.Lit(at)
	}
	for _, n := range b.takenAway() {
		counted["env."+n] = state.Lit(none)
	}
	if len(secrets) > 0 {
		versions = b.canonical(secrets, true)
	}
	return b.canonical(counted, false), versions
}

// canonical is a stable text of attributes that does not depend on the client's id.
func (b *builder) canonical(m map[string]state.Value, versions bool) string {
	out := make(state.Attributes, 0, len(m))
	for n, v := range m {
		switch {
		case v.Ref != nil && v.Ref.Client == b.in.Client.ID:
			v = state.OutputOf(state.Ref{Client: self, Kind: v.Ref.Kind, Name: v.Ref.Name}, v.Output)
		case v.Secret != nil:
			s := *v.Secret
			if s.Scope == string(b.in.Client.ID) {
				s.Scope = self
			}
			if !versions {
				s.Version, s.Fingerprint = 0, ""
			}
			v = state.SecretValue(s)
		}
		out = append(out, state.Attribute{Name: n, Value: v})
	}
	out.Sort()
	return out.Canonical()
}
