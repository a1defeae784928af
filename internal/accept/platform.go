package accept

import "github.com/compassdigital/reconciler/internal/manifest"

// Platform is the platform file in effect; nil: there is none.
func (r *Resolver) Platform() *manifest.Platform { return r.base.Platform }

// BaseDomain is what one-label domains are below.
func (r *Resolver) BaseDomain() string { return r.base.BaseDomain() }

// DefaultsMap are the configuration's defaults as a baseline keeps them.
func DefaultsMap(d manifest.Defaults) map[string]string { return defaultsMap(d) }
