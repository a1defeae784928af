package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// secretKeys are where a configuration holds secrets.
func secretKeys() []string {
	return []string{"token", "key", "webhookSecret", "privateKey", "apiToken", "apiKey", "dsn", "secret"}
}

// onlySecret says that every scalar of a document that holds the text is the value of a
// secret's key, or that the document can't be read at all.
func onlySecret(data []byte, text string) bool {
	var doc yaml.Node
	if yaml.Unmarshal(data, &doc) != nil {
		return true
	}
	found := 0
	var visit func(n *yaml.Node, key string) bool
	visit = func(n *yaml.Node, key string) bool {
		if n.Kind == yaml.ScalarNode && strings.Contains(n.Value, text) {
			found += strings.Count(n.Value, text)
			return slices.Contains(secretKeys(), key)
		}
		for i, c := range n.Content {
			under := key
			if n.Kind == yaml.MappingNode {
				if under = ""; i%2 == 1 {
					under = n.Content[i-1].Value
				}
			}
			if !visit(c, under) {
				return false
			}
		}
		return true
	}
	return visit(&doc, "") && found == strings.Count(string(data), text)
}

// FuzzConfig: whatever the configuration is, it is understood or everything that is wrong
// is said; neither that nor the configuration's own printing repeats a secret.
func FuzzConfig(f *testing.F) {
	const canary = "c4n4ry-Zq7x"
	f.Add([]byte(designConfig))
	f.Add([]byte(designConfig + designProviders))
	for _, value := range []string{canary, "*" + canary, "&" + canary + " x", "!" + canary + " x", "!!int " + canary, "[" + canary + "]", "{a: " + canary + "}", "'" + canary, "@" + canary, "%" + canary, "|\n  " + canary, canary + ": x", "!!binary " + canary, "\"\\x" + canary + "\"", "`" + canary} {
		f.Add([]byte("repository: {url: https://git.example/c.git}\nstate:\n  key: " + value + "\nproviders:\n  ploi:\n    apiToken: " + value + "\napi: {tokens: [{name: x, token: " + value + "}]}\n"))
	}
	f.Add([]byte("workers: 99999999999999999999\nguard: {maxDeletes: -1, maxDeletePercent: 1e3}\nnetwork: {allowPrivate: [10.0.0.0/33]}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 64<<10 {
			return
		}
		c := defaultConfig()
		wrong, err := c.decode(data)
		c.relativeTo("/etc/reconciler")
		wrong = append(wrong, c.check()...)
		said := fmt.Sprint(err, wrong, c.notices())
		if err == nil && len(wrong) == 0 {
			if every, err := c.pollEvery(); err != nil || every <= 0 || c.Repository.URL == "" || c.Workers < 1 {
				t.Errorf("understood: %+v", c)
			}
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			said += fmt.Sprintf(verb, c)
		}
		if strings.Contains(said, canary) && onlySecret(data, canary) {
			i := strings.Index(said, canary)
			t.Errorf("a secret is repeated: …%s…", said[max(0, i-80):min(len(said), i+40)])
		}
	})
}
