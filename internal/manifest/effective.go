package manifest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// Hash is the canonical hash of what is asked for: formatting, comments, the order
// of keys, and a moved file change nothing. Former names, and which revision of the
// template said the same, don't count.
func (e Effective) Hash() string {
	e.Previously, e.TemplateBlob, e.SourceAt = nil, "", ""
	// Said once more, as worked out, by Hosts and Features. Env is what only an adopted site may have: nil, of nearly all.
	e.Domain, e.Aliases, e.EnabledFeatures = "", nil, nil
	data, err := json.Marshal(e) // sorts the keys of maps
	if err != nil {
		data = []byte(err.Error()) // unreachable: settings are plain values
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}

// Claims are the names that the client takes for itself alone: "host:HOST" for its
// host and its aliases, in A-label form, in the manifest's order.
func (e Effective) Claims() []string {
	out := make([]string, 0, len(e.Hosts))
	for _, h := range e.Hosts {
		out = append(out, "host:"+h)
	}
	return out
}
