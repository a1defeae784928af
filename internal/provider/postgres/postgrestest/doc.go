// Package postgrestest starts a real PostgreSQL server for tests.
//
// # Model
//
// A Server is a cluster of its own in a folder of its own, at a free port of this machine's
// loopback and at a socket in that folder. Everybody logs in with a password. It needs a
// server's programs on this machine (postgres, initdb), and no server that runs. The
// server refuses to run as root: then it runs as the user postgres or nobody.
//
// It promises: nothing of the machine's own servers is touched; Close stops it and waits;
// a test process that is killed takes its server along. It refuses to go on without the
// programs: a suite that did nothing would look like one that passed. Who has none says
// so with RECONCILER_TEST_POSTGRES=no, and the tests that need one are left out.
package postgrestest
