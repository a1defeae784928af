// Package schema shows the format of manifests to editors and people.
//
// # Model
//
// The types of package manifest carry the format in their tags. From them come the
// JSON Schemas of the folder schemas (draft-07, what editors of YAML read) and the
// reference in README.md. `make generate` writes both; a test fails when what is
// committed isn't what the types say.
//
// It promises: what a schema refuses, the decoder refuses too, but for a key without
// a value (the decoder takes it as left out; an editor should mark it) and a duration
// that is a bare 0. It refuses to be a second set of rules: nothing decides by a schema.
//
// # Design
//
// References are written out in place, so that a schema is one tree that every
// editor follows. What draft-07 can't say (bounds of durations, rules across fields
// and files, pasted secrets) stands in descriptions at most; `validate` checks it.
package schema

//go:generate go test . -run IsCurrent -update
