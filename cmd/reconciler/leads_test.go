package main

import (
	"context"
	"errors"
	"slices"
	"testing"
)

// Where a name leads is asked of its zone's own servers; of the resolvers where these don't say.
func TestLeadsAsksTheZonesOwnServers(t *testing.T) {
	away := errors.New("no answer")
	for name, x := range map[string]struct {
		zones map[string][]string
		own   map[string][]string // by server
		want  string
	}{
		"the zone":              {map[string][]string{"agency.example": {"a.ns.example.", "b.ns.example."}}, map[string][]string{"a.ns.example.": {"203.0.113.10"}}, "203.0.113.10"},
		"its second server":     {map[string][]string{"agency.example": {"a.ns.example.", "b.ns.example."}}, map[string][]string{"b.ns.example.": {"203.0.113.11"}}, "203.0.113.11"},
		"a zone below":          {map[string][]string{"shop.agency.example": {"c.ns.example."}, "agency.example": {"a.ns.example."}}, map[string][]string{"c.ns.example.": {"203.0.113.12"}, "a.ns.example.": {"203.0.113.10"}}, "203.0.113.12"},
		"no address there":      {map[string][]string{"agency.example": {"a.ns.example."}}, map[string][]string{"a.ns.example.": {}}, "198.51.100.1"},
		"nobody can be asked":   {map[string][]string{"agency.example": {"a.ns.example."}}, nil, "198.51.100.1"},
		"no zone can be found":  {nil, nil, "198.51.100.1"},
		"nobody but two of all": {map[string][]string{"agency.example": {"a.ns.example.", "b.ns.example.", "d.ns.example."}}, map[string][]string{"d.ns.example.": {"203.0.113.13"}}, "198.51.100.1"},
	} {
		l := leads{public: func(context.Context, string, string) ([]string, error) { return []string{"198.51.100.1"}, nil },
			servers: func(_ context.Context, zone string) ([]string, error) {
				if found, ok := x.zones[zone]; ok {
					return found, nil
				}
				return nil, away
			},
			ask: func(_ context.Context, server, recordType, host string) ([]string, error) {
				if found, ok := x.own[server]; ok && recordType == "A" && host == "shop.agency.example" {
					return found, nil
				}
				return nil, away
			}}
		if got, err := l.to(t.Context(), "shop.agency.example"); err != nil || !slices.Equal(got, []string{x.want}) {
			t.Errorf("%s: %v, %v; want %s", name, got, err, x.want)
		}
	}
}
