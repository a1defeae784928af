//go:build !unix

package postgrestest

import (
	"errors"
	"syscall"
)

func whose() (*account, error) {
	return nil, errors.New("the tests start a PostgreSQL server on Unix only; leave them out with " + LeaveOut + "=no")
}

func (*account) attributes() *syscall.SysProcAttr { return nil }
