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
//
// A problem shows its source line, unless the line holds something that is never
// shown: whatever lies below env (misspelled or under a former name too), what is
// named or looks like a secret, to its last line, and the values of unknown keys.
// Comments and broken text are searched for pasted secrets as well.
//
// Where the library refuses a text it names a line at best, often the one at which it gave up,
// in an error text, and no place at all for an alias without an anchor. So slip.go looks for the
// first typical slip itself, in one pass over the lines: what a manifest is written in has none
// (that is tested), and only where it finds none does the library's line count.
//
// Numbers that versions of YAML read differently (010, 0x10, .nan) are refused where
// a number is meant; below env every spelling is kept.
//
// Defaults that the template or the plan can't follow are left out; what a manifest
// itself asks for is refused. Without a retention the default is 30 days or the
// platform's floor, whichever is longer.
//
// CheckTree is Check in one go: what all clients are laid over, each file by itself, the
// rules across files. The second part may be done for several files at a time; no
// goroutine is started here. What passed its rules isn't checked a second time when it is
// laid over layers that all pass theirs.
//
// A template or platform file that has problems still serves to check its clients;
// one that can't be read makes them be checked by themselves only, and not valid: a
// plan over half the rules would be a wrong plan.
//
// Time zones come with the program: which are known must not depend on the machine.
package manifest
