package accept

import "github.com/compassdigital/reconciler/internal/manifest"

// Platform is the platform file in effect; nil: there is none.
func (r *Resolver) Platform() *manifest.Platform { return r.base.Platform }
