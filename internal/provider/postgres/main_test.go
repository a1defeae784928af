package postgres

import (
	"context"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/compassdigital/reconciler/internal/provider/postgres/postgrestest"
)

// theServer is the one server of these tests; nil where they are left out.
var theServer *postgrestest.Server

func TestMain(m *testing.M) {
	if dsn := os.Getenv(childDSN); dsn != "" {
		createForEver(dsn)
	}
	if !postgrestest.LeftOut() {
		var err error
		if theServer, err = postgrestest.Open(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	code := m.Run()
	if theServer != nil {
		if asks != nil {
			_ = asks.Close(context.Background()) // the server goes
		}
		if err := theServer.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// running is the server, without databases and roles of ours.
func running(t *testing.T) *postgrestest.Server {
	t.Helper()
	if postgrestest.LeftOut() { // asked here, too: what is read before the tests is no part of what a cached result depends on
		t.Skip("left out with " + postgrestest.LeaveOut + "=no")
	}
	t.Cleanup(func() { clear(t) })
	return theServer
}
