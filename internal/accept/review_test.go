package accept

import (
	"reflect"
	"testing"

	"github.com/compassdigital/reconciler/internal/state"
)

// What pull requests showed of a wish: all of what they showed where the range is nothing
// but what they were planned of, and exactly the steps where it is more; with what was shown
// of the wish before, if that is not done.
func TestP12RuleReviewOfAWish(t *testing.T) {
	const mine, other = "clients/bakery.yaml", "clients/other.yaml"
	a := Review{Pull: 1, Paths: []string{mine}, Shown: []string{"a", "~class"}, Whole: true}
	b := Review{Pull: 2, Paths: []string{mine}, Shown: []string{"b", "~other"}, Whole: true}
	part := func(r Review) Review { r.Whole = false; return r }
	elsewhere := Review{Pull: 3, Paths: []string{other}, Shown: []string{"c"}, Whole: true}
	shown := []Commit{{ID: "1", Paths: []string{mine}, Reviewed: true}}
	beside := append([]Commit{{ID: "2", Paths: []string{mine}}}, shown...)
	merged := append([]Commit{{ID: "m", Paths: []string{mine, other}, Reviewed: true, Own: []string{other}}}, shown...)
	settled := append([]Commit{{ID: "m", Paths: []string{mine}, Reviewed: true, Own: []string{mine}}}, shown...)
	before := &state.Review{Pulls: []int{9}, Shown: []string{"a", "z", "~before"}}
	tests := map[string]struct {
		reviews []Review
		commits []Commit
		before  *state.Review
		want    *state.Review
	}{
		"none":                             {nil, shown, nil, nil},
		"none, and one before":             {nil, shown, before, nil},
		"of another file":                  {[]Review{elsewhere}, shown, nil, nil},
		"one":                              {[]Review{a}, shown, nil, &state.Review{Pulls: []int{1}, Shown: []string{"a", "~class"}}},
		"two":                              {[]Review{a, b}, shown, nil, &state.Review{Pulls: []int{1, 2}, Shown: []string{"a", "~class", "b", "~other"}}},
		"one that is not what came":        {[]Review{part(a)}, shown, nil, &state.Review{Pulls: []int{1}, Shown: []string{"a"}, Partial: true}},
		"the first of two is not":          {[]Review{part(a), b}, shown, nil, &state.Review{Pulls: []int{1, 2}, Shown: []string{"a", "b"}, Partial: true}},
		"the second of two is not":         {[]Review{a, part(b)}, shown, nil, &state.Review{Pulls: []int{1, 2}, Shown: []string{"a", "b"}, Partial: true}},
		"and a commit beside it":           {[]Review{a}, beside, nil, &state.Review{Pulls: []int{1}, Shown: []string{"a"}, Partial: true}},
		"and a merge of it":                {[]Review{a}, merged, nil, &state.Review{Pulls: []int{1}, Shown: []string{"a", "~class"}}},
		"and a merge that changes it":      {[]Review{a}, settled, nil, &state.Review{Pulls: []int{1}, Shown: []string{"a"}, Partial: true}},
		"with what was shown before":       {[]Review{a}, shown, before, &state.Review{Pulls: []int{9, 1}, Shown: []string{"a", "z", "~before", "~class"}}},
		"and of a range that is not known": {[]Review{a}, nil, nil, &state.Review{Pulls: []int{1}, Shown: []string{"a"}, Partial: true}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := &writer{pass: &pass{in: Input{Reviews: tt.reviews, Commits: tt.commits}, changed: map[string]bool{mine: true}}}
			if got := w.review([]string{mine, ""}, nil, tt.before); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			if want := []string{"a", "z", "~before"}; !reflect.DeepEqual(before.Shown, want) || !reflect.DeepEqual(a.Shown, []string{"a", "~class"}) {
				t.Errorf("what was given is changed: %v", before.Shown)
			}
		})
	}
}

// Whose plan is about a file that is what it was before the range brought nothing of it. What it
// showed only adds to what others brought.
func TestP12RuleReviewOfWhatIsAsItWas(t *testing.T) {
	const mine, shop = "clients/bakery.yaml", "templates/shop.yaml"
	about := Review{Pull: 1, Paths: []string{mine}, Shown: []string{"a"}, Whole: true}
	theirs := Review{Pull: 2, Paths: []string{shop}, Shown: []string{"b"}, Whole: true}
	commits := []Commit{{ID: "1", Paths: []string{shop}, Reviewed: true}}
	brought := &state.Review{Pulls: []int{9}, Shown: []string{"z"}}
	partial := &state.Review{Pulls: []int{9}, Shown: []string{"z"}, Partial: true}
	tests := map[string]struct {
		reviews      []Review
		late, before *state.Review
		want         *state.Review
	}{
		"nobody's":                       {[]Review{about}, nil, nil, nil},
		"over a wish that is not done":   {[]Review{about}, nil, brought, nil},
		"and not as it was planned":      {[]Review{about}, nil, partial, &state.Review{Pulls: []int{9, 1}, Shown: []string{"a", "z"}, Partial: true}},
		"refused, and brought before":    {[]Review{about}, brought, nil, &state.Review{Pulls: []int{9, 1}, Shown: []string{"z", "a"}}},
		"beside who changes a template":  {[]Review{about, theirs}, nil, nil, &state.Review{Pulls: []int{1, 2}, Shown: []string{"a", "b"}}},
		"who changes a template, by one": {[]Review{theirs}, nil, nil, &state.Review{Pulls: []int{2}, Shown: []string{"b"}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := &writer{pass: &pass{in: Input{Reviews: tt.reviews, Commits: commits}, changed: map[string]bool{shop: true}}}
			if got := w.review([]string{mine, shop}, tt.late, tt.before); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

// Who comes back has its new wish from the templates as they are, though one is again what it was when it
// went: a plan onto the head before showed it as that head had it.
func TestP12WhoComesBackHasAllOfItFromTheTemplates(t *testing.T) {
	w := &writer{pass: &pass{inherits: []string{"templates/shop.yaml"}, now: &Resolver{}}}
	k := &candidate{}
	k.eff.TemplateBlob = "v1"
	for _, tt := range []struct {
		was  state.Client
		want int
	}{{state.Client{TemplateBlob: "v1"}, 0}, {state.Client{TemplateBlob: "v2"}, 1}, {state.Client{TemplateBlob: "v1", Removed: true}, 1}} {
		if got := w.inheritedBy(k, tt.was); len(got) != tt.want {
			t.Errorf("of %+v: %v", tt.was, got)
		}
	}
}
