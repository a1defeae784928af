package pgmove

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

// The programs.
const (
	PgDump    = "pg_dump"
	PgRestore = "pg_restore"
)

const (
	// newest is the last version whose folder is looked for.
	newest = 40
	// bounding is the first version whose pg_restore sets transaction_timeout, which older
	// servers do not know: it loads nothing into them.
	bounding = 17
	// versionTime is how long a program may take to say its version.
	versionTime = 10 * time.Second
)

// Program is one of PostgreSQL's programs on this machine.
type Program struct {
	Path    string
	Version int    // such as 16; 0: it does not say
	Lacks   string // why it does not work with the server; "": it does
	Install string // what to do then
}

// Find is the program to use with a server of some version: of those that are installed side by
// side the oldest that is not older than the server, else the one on the PATH. given names
// another one; "": word.
//
// The oldest, because pg_restore reads no archive of a newer pg_dump, and loads nothing into a
// server that lacks a setting which it knows.
func Find(ctx context.Context, word, given string, server int) Program {
	if given == "" {
		for v := server; v <= newest && suits(word, v, server); v++ {
			for _, dir := range folders(v) {
				path := filepath.Join(dir, word)
				if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0 {
					return Program{Path: path, Version: v}
				}
			}
		}
		given = word
	}
	const install = "install PostgreSQL's client programs (Debian: postgresql-client; in a container: the image's target postgres)"
	path, err := exec.LookPath(given)
	if err != nil {
		return Program{Lacks: word + " is not on this machine", Install: install + ", of the server's version or newer"}
	}
	p := Program{Path: path, Version: versionOf(ctx, path)}
	switch {
	case p.Version == 0 || suits(word, p.Version, server):
	case p.Version < server:
		p.Lacks = fmt.Sprintf("%s is of PostgreSQL %d, older than the server's %d", word, p.Version, server)
		p.Install = install + ", of the server's version or newer"
	default:
		p.Lacks = fmt.Sprintf("%s is of PostgreSQL %d, which loads nothing into a server before %d, and this one is %d", word, p.Version, bounding, server)
		p.Install = fmt.Sprintf("%s beside it, of a version from %d to %d", install, server, bounding-1)
	}
	return p
}

// suits says that a program of a version works with a server of another.
func suits(word string, version, server int) bool {
	return version >= server && (word != PgRestore || version < bounding || server >= bounding)
}

// folders are where distributions keep the programs of several versions: Debian's, Alpine's,
// those of the PostgreSQL project for Red Hat's.
func folders(version int) []string {
	v := strconv.Itoa(version)
	return []string{"/usr/lib/postgresql/" + v + "/bin", "/usr/libexec/postgresql" + v, "/usr/pgsql-" + v + "/bin"}
}

// versionSaid is what `pg_dump --version` says: "pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)".
var versionSaid = regexp.MustCompile(`^pg_[a-z]+ \(PostgreSQL\) ([0-9]{1,3})`)

// versionOf asks a program for its version; 0: it does not say.
func versionOf(ctx context.Context, path string) int {
	ctx, cancel := context.WithTimeout(ctx, versionTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "--version")
	cmd.Env = []string{"LC_ALL=C", "PATH=/usr/local/bin:/usr/bin:/bin"}
	out := &bounded{most: maxTold}
	cmd.Stdout, cmd.WaitDelay = out, stopTime
	if err := cmd.Run(); err != nil {
		return 0 // whoever runs it in earnest hears why
	}
	m := versionSaid.FindStringSubmatch(out.b.String())
	if m == nil {
		return 0
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		return 0
	}
	return n
}
