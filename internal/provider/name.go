package provider

import (
	"strconv"
	"strings"

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

// NamedMark is whose a site of this ObjectName is, zero for any other name. Where anybody can
// give the name, it proves nothing.
func NamedMark(name string) Mark {
	at := strings.LastIndexByte(name, '-')
	if at <= 0 || at == len(name)-1 {
		return Mark{}
	}
	m := Mark{Installation: name[at+1:], Client: state.ClientID(name[:at]), Generation: 1}
	if cut := strings.LastIndex(name[:at], "-g"); cut > 0 {
		if n, err := strconv.Atoi(name[cut+2 : at]); err == nil && n > 1 {
			m.Client, m.Generation = state.ClientID(name[:cut]), n
		}
	}
	if ObjectName(m, state.Ref{Kind: state.KindSite}) != name {
		return Mark{}
	}
	return m
}
