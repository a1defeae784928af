// Package manifest reads what a client asks for.
//
// # Model
//
// A manifest is one YAML document in a small, strict part of YAML: 64 KiB, UTF-8,
// no anchors, aliases, merge keys or foreign tags, bounded depth and number of
// keys. The types of types.go are the format: their tags carry the rules that the
// decoder checks, the JSON Schemas show and the reference prints. Resolve lays
// the manifest over its template, the platform file and the configuration; what
// comes out is an Effective, with every default applied. CheckTree adds the rules
// across files.
//
// It promises: the same bytes and the same context give the same answer; every
// problem names file, line, column, rule, cause and, where there is one, the next
// step; no value below env, and nothing that looks like a secret, is ever repeated
// in a problem. It refuses: clock, disk, network, and everything that it doesn't know.
//
// # Design
//
// The decoder is ours, over yaml.v3's nodes: the library's own decoder quotes
// values in its errors and checks duplicate keys in quadratic time.
package manifest
