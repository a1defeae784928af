package main

import (
	"strings"
	"testing"
)

// guard.removeAfter lets a removal wait, visibly: the plan of a pull request that removes a client, or lets a name go, says
// when it goes, by the file that the pull request itself changes, too.
func TestRuleRemoveAfterIsInThePlan(t *testing.T) {
	t.Parallel()
	platform := func(after string) string {
		return "apiVersion: reconciler/v1\nkind: Platform\nguard: {removeAfter: " + after + "}\n"
	}
	h := newHub(t, map[string]string{"clients/bakery.yaml": manifestOf("bakery"), "clients/cafe.yaml": manifestOf("cafe"), "platform.yaml": platform("1h")})
	h.look()
	n := h.propose("remove", map[string]string{"clients/bakery.yaml": ""})
	longer := h.propose("longer", map[string]string{"clients/cafe.yaml": "", "platform.yaml": platform("2d")})
	h.look()
	for n, after := range map[int]string{n: "1h", longer: "2d"} {
		said := h.wantComment(n, "plan", "goes offline "+after+" after this is merged", "offline "+after+" after the merge")
		if strings.Contains(said, "when this is merged") || strings.Contains(said, "from the merge on") {
			t.Errorf("it goes later:\n%s", said)
		}
	}
}
