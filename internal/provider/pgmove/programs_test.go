package pgmove

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// pg_dump takes no newer server, pg_restore of 17 or newer no older one than 17.
func TestSuits(t *testing.T) {
	for _, c := range []struct {
		word            string
		version, server int
		want            bool
	}{
		{PgDump, 15, 15, true}, {PgDump, 18, 13, true}, {PgDump, 15, 16, false},
		{PgRestore, 16, 16, true}, {PgRestore, 16, 13, true}, {PgRestore, 17, 16, false}, {PgRestore, 18, 17, true}, {PgRestore, 16, 17, false},
	} {
		if got := suits(c.word, c.version, c.server); got != c.want {
			t.Errorf("%s %d with a server %d: %t", c.word, c.version, c.server, got)
		}
	}
}

// What is found says its version, and why it does not work with a server; of what does not say
// it, it is tried.
func TestFind(t *testing.T) {
	dir := t.TempDir()
	says := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil { //nolint:gosec // it is run
			t.Fatal(err)
		}
		return path
	}
	eighteen := says("new", "echo 'pg_restore (PostgreSQL) 18.6'")
	for name, c := range map[string]struct {
		word, given string
		server      int
		version     int
		lacks, do   string
	}{
		"fits":          {PgDump, says("old", "echo 'pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)'"), 15, 15, "", ""},
		"too old":       {PgDump, says("older", "echo 'pg_dump (PostgreSQL) 15.18'"), 17, 15, "pg_dump is of PostgreSQL 15, older than the server's 17", "the server's version or newer"},
		"too new":       {PgRestore, eighteen, 14, 18, "loads nothing into a server before 17, and this one is 14", "beside it, of a version from 14 to 16"},
		"new enough":    {PgRestore, eighteen, 17, 18, "", ""},
		"a beta":        {PgDump, says("beta", "echo 'pg_dump (PostgreSQL) 19beta2'"), 18, 19, "", ""},
		"says nothing":  {PgDump, says("mute", "exit 1"), 17, 0, "", ""},
		"says too much": {PgDump, says("loud", "yes | head -c 1000000"), 17, 0, "", ""},
		"is not there":  {PgDump, filepath.Join(dir, "nowhere"), 17, 0, "pg_dump is not on this machine", "the image's target postgres"},
	} {
		p := Find(t.Context(), c.word, c.given, c.server)
		if p.Version != c.version || (p.Lacks != "") != (c.lacks != "") || !strings.Contains(p.Lacks, c.lacks) || !strings.Contains(p.Install, c.do) || (p.Install == "") != (c.do == "") {
			t.Errorf("%s: %+v", name, p)
		}
	}
}
