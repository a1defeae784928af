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
	name := path.Base(file)
	for spare(path.Ext(name)) {
		name = strings.TrimSuffix(name, path.Ext(name))
	}
	base := slug(name) + ".yaml"
	inside := func(dir string) (string, bool) {
		if dir == "." {
			return file, true
		}
		if len(file) > len(dir) && strings.EqualFold(file[:len(dir)], dir) && file[len(dir)] == '/' {
			return file[len(dir)+1:], true
		}
		return "", false
	}
	platform := strings.TrimSuffix(l.Platform, path.Ext(l.Platform))
	if bare := strings.TrimSuffix(file, path.Ext(file)); strings.EqualFold(bare, platform) {
		return l.Platform
	}
	if _, ok := inside(l.Templates); ok {
		return path.Join(l.Templates, base)
	}
	if rest, ok := inside(l.Clients); ok {
		if dir, _, ok := strings.Cut(rest, "/"); ok && strings.Count(rest, "/") == 1 {
			return path.Join(l.Clients, strings.ToLower(dir), base)
		}
	}
	return path.Join(l.Clients, base)
}

// spare says that an ending is no part of a client's name.
func spare(ext string) bool {
	switch strings.ToLower(ext) {
	case ".yaml", ".yml", ".json", ".txt", ".bak", ".orig", ".old", ".disabled":
		return true
	}
	return false
}
