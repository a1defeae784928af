package manifest

import (
	"path"
	"strings"
)

// Layout is where things are in the repository: three siblings.
type Layout struct{ Clients, Templates, Platform string }

// Class is what a path of the repository is to us.
type Class int

// The classes.
const (
	ClassOther Class = iota
	ClassClient
	ClassTemplate
	ClassPlatform
	// ClassMisnamed looks like a manifest and isn't read: .yml, capitals, too deep.
	ClassMisnamed
)

// LayoutOf returns the layout around a clients folder.
func LayoutOf(clients string) Layout {
	clients = path.Clean(clients)
	dir := path.Dir(clients)
	return Layout{Clients: clients, Templates: path.Join(dir, "templates"), Platform: path.Join(dir, "platform.yaml")}
}

// Classify says what a path is. Clients lie in the clients folder or one folder below.
func (l Layout) Classify(file string) Class {
	if file == l.Platform {
		return ClassPlatform
	}
	if strings.EqualFold(file, l.Platform) || strings.EqualFold(file, strings.TrimSuffix(l.Platform, ".yaml")+".yml") {
		return ClassMisnamed
	}
	if rest, ok := strings.CutPrefix(file, l.Templates+"/"); ok {
		return classOf(rest, 0, ClassTemplate)
	}
	rest, ok := strings.CutPrefix(file, l.Clients+"/")
	if l.Clients == "." {
		rest, ok = file, true
	}
	if ok {
		return classOf(rest, 1, ClassClient)
	}
	return ClassOther
}

// classOf classifies a path below a folder whose files may lie depth folders deep.
func classOf(rest string, depth int, class Class) Class {
	lower := strings.ToLower(rest)
	if ext := path.Ext(lower); ext != ".yaml" && ext != ".yml" {
		return ClassOther
	}
	if strings.HasPrefix(path.Base(rest), ".") || strings.HasPrefix(rest, ".") {
		return ClassOther
	}
	if rest != lower || path.Ext(rest) != ".yaml" || strings.Count(rest, "/") > depth {
		return ClassMisnamed
	}
	return class
}

// Proper is the path that a misnamed file should have.
func (l Layout) Proper(file string) string {
	lower := strings.ToLower(file)
	base := strings.TrimSuffix(path.Base(lower), path.Ext(lower)) + ".yaml"
	switch {
	case strings.EqualFold(path.Dir(file)+"/"+base, l.Platform) || strings.EqualFold(base, l.Platform):
		return l.Platform
	case strings.HasPrefix(file, l.Templates+"/"):
		return l.Templates + "/" + base
	}
	rest := strings.Split(strings.TrimPrefix(lower, l.Clients+"/"), "/")
	if len(rest) == 2 {
		return path.Join(l.Clients, rest[0], base)
	}
	return path.Join(l.Clients, base)
}
