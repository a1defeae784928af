package resend

import (
	"net/http"
	"strings"
	"testing"

	"github.com/compassdigital/reconciler/internal/provider/resend/simulated"
	"github.com/compassdigital/reconciler/internal/simulator"
)

// A check says whether mail can be sent, and sends none.
func TestCheck(t *testing.T) {
	headers := http.Header{"Content-Type": {"application/json"}}
	for name, c := range map[string]struct {
		options simulated.Options
		fault   *simulator.Effect
		want    string
	}{
		"verified":     {options: simulated.Options{Domains: map[string]string{"acme.example": "verified"}}, want: "+the key is accepted, and the sender's domain acme.example is verified"},
		"pending":      {options: simulated.Options{Domains: map[string]string{"acme.example": "pending"}}, want: `-the sender's domain acme.example is "pending"`},
		"of another":   {options: simulated.Options{Domains: map[string]string{"shop.acme.example": "verified"}}, want: "-the sender's domain acme.example is not among"},
		"only sends":   {options: simulated.Options{Sending: true}, want: "+the key sends, and sees no domain"},
		"a wrong key":  {fault: new(simulator.Refuse(403, headers, simulated.Refusal(403, "invalid_api_key", "API key is invalid"))), want: "-Resend: API key is invalid"},
		"a used quota": {fault: new(simulator.Refuse(429, headers, simulated.Refusal(429, dailyQuota, "You have reached your daily email sending quota."))), want: "-Resend takes no more requests until"},
		"a page":       {fault: new(simulator.Refuse(502, http.Header{"Content-Type": {"text/html"}}, "<html>")), want: "-Resend does not answer as it should: it answered 502"},
	} {
		t.Run(name, func(t *testing.T) {
			w := begin(t, c.options, describe(t))
			if c.fault != nil {
				w.faults.Add(simulator.Fault{Path: "/domains", Do: *c.fault})
			}
			found := w.open(t).Check(t.Context())
			if len(found) != 1 {
				t.Fatalf("%+v", found)
			}
			f, sign := found[0], "-"
			if f.OK {
				sign = "+"
			}
			if !strings.HasPrefix(sign+f.Text, c.want) || f.OK == (f.Hint != "") || strings.Contains(f.Text+f.Hint, apiKey) || len(w.vendor.Sent()) != 0 {
				t.Errorf("%s%s (%s), want %s", sign, f.Text, f.Hint, c.want)
			}
		})
	}
}
