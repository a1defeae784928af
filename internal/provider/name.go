package provider

import (
	"strconv"

	"github.com/compassdigital/reconciler/internal/state"
)

// ObjectName is the deterministic vendor-side name of a resource: it carries
// installation, client id and generation, never the client's name, so that a
// rename recreates nothing. Domains and records are named by what they are.
func ObjectName(m Mark, r state.Ref) string {
	switch r.Kind {
	case state.KindDomain:
		return r.Host()
	case state.KindRecord:
		return r.Name
	}
	n := string(m.Client)
	if m.Generation > 1 {
		n += "-g" + strconv.Itoa(m.Generation)
	}
	n += "-" + m.Installation
	switch r.Kind {
	case state.KindDeployment, state.KindMail:
		n += "-" + r.Name
	}
	return n
}
