package memory

import (
	"slices"
	"strings"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// reach says of a host name that was just written whether it is served as it should be, where
// that takes DNS to lead to its site: once it was, it stays so while it stays there.
func (p *Provider) reach(o *object, was string) {
	if o.Kind != state.KindDomain || !p.kinds[o.Kind].AfterDNS || o.Phase == provider.Ready && was == get(o.Attributes, "site") {
		return
	}
	o.Phase, o.Message = provider.Unreached, "DNS does not lead here yet"
	site, ok := p.w.objects[get(o.Attributes, "site")]
	if !ok {
		return
	}
	for _, content := range p.w.resolves(get(o.Attributes, "host")) {
		if slices.ContainsFunc(site.Outputs, func(x provider.Output) bool {
			return (x.Name == "address" || x.Name == "host") && x.Text == strings.TrimSuffix(content, ".")
		}) {
			o.Phase, o.Message = provider.Ready, ""
		}
	}
}

// Secure says that a host name that is bound at a vendor is served as it should be there.
func (w *World) Secure(owner, host string) bool {
	w.lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.of("host "+strings.ToLower(host)), func(o *object) bool { return o.owner == owner && o.Phase == provider.Ready })
}
