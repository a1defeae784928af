package simulated

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// hostOf is a host name on a project.
type hostOf struct {
	Name, Project, Redirect string
	Branch                  string // whose previews it leads to; "": production
	Environment             string // of the project's own, that it leads to; "": none
	Status                  int
	Verified                bool
	Token                   string
	Created, Updated        int64
}

// apex is the name that is registered, near enough for invented ones.
func apex(host string) string {
	parts := strings.Split(host, ".")
	return strings.Join(parts[max(0, len(parts)-2):], ".")
}

func (d hostOf) show() map[string]any {
	out := map[string]any{"name": d.Name, "apexName": apex(d.Name), "projectId": d.Project, "redirect": orNull(d.Redirect), "redirectStatusCode": nil, "gitBranch": orNull(d.Branch),
		"createdAt": d.Created, "updatedAt": d.Updated, "verified": d.Verified}
	if d.Environment != "" {
		out["customEnvironmentId"] = d.Environment
	}
	if d.Redirect != "" {
		out["redirectStatusCode"] = d.Status
	}
	if !d.Verified {
		out["verification"] = []any{map[string]any{"type": "TXT", "domain": "_vercel." + apex(d.Name), "value": d.challenge(), "reason": "pending_domain_verification"}}
	}
	return out
}

func (d hostOf) challenge() string { return "vc-domain-verify=" + d.Name + "," + d.Token }

// Claim says that another account at Vercel uses a host name: who wants it here has to
// verify it.
func (v *Vercel) Claim(host string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.is.Claimed[strings.ToLower(host)] = true
}

// SetTXT puts a TXT record where Vercel looks for it.
func (v *Vercel) SetTXT(name, value string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.is.TXT[name] = append(v.is.TXT[name], value)
}

// on is a host name of the project that the path names.
func (v *Vercel) on(c call) (hostOf, *refusal) {
	x, n := v.find(c.PathValue("p"))
	if n != nil {
		return hostOf{}, n
	}
	d, ok := v.is.Domains.Get(c.PathValue("d"))
	if !ok || d.Project != x.ID {
		return hostOf{}, no(404, "not_found", "The domain %q is not assigned to %q.", c.PathValue("d"), x.Name)
	}
	return d, nil
}

// domainIn is what may be said of one.
type domainIn struct {
	Name, Redirect, ProjectID string
	RedirectStatusCode        *int
	Branch                    json.RawMessage `json:"gitBranch"`
}

// lead checks where a host name is to lead, and writes it down.
func (d *hostOf) lead(in domainIn) *refusal {
	switch {
	case in.Redirect == d.Name:
		return no(400, "invalid_redirect", "A domain cannot redirect to itself")
	case in.RedirectStatusCode != nil && !slices.Contains([]int{301, 302, 307, 308}, *in.RedirectStatusCode):
		return no(400, "bad_request", "Invalid request: `redirectStatusCode` should be equal to one of the allowed values")
	}
	if in.Branch != nil { // null is none, and left out is as it is
		d.Branch = ""
		if err := json.Unmarshal(in.Branch, &d.Branch); err != nil {
			return no(400, "bad_request", "Invalid request: `gitBranch` should be a string")
		}
	}
	d.Redirect, d.Status = in.Redirect, 0
	switch {
	case in.Redirect == "":
	case in.RedirectStatusCode != nil:
		d.Status = *in.RedirectStatusCode
	default:
		d.Status = 307
	}
	return nil
}

func (v *Vercel) addDomain(c call) (answer, *refusal) {
	x, n := v.find(c.PathValue("p"))
	if n != nil {
		return answer{}, n
	}
	var in domainIn
	if n := c.read(&in); n != nil {
		return answer{}, n
	}
	host := in.Name
	if len(host) > 253 || !strings.Contains(host, ".") || strings.Trim(host, "abcdefghijklmnopqrstuvwxyz0123456789.-") != "" {
		return answer{}, no(400, "invalid_domain", "The specified value is not a fully qualified domain name.")
	}
	if have, ok := v.is.Domains.Get(host); ok {
		if have.Project == x.ID {
			return answer{}, no(400, "domain_already_in_use", "Cannot add %s since it's already assigned to this project.", host)
		}
		n := no(409, "domain_already_in_use", "Cannot add %s since it's already in use by one of your projects.", host)
		n.more = map[string]any{"projectId": have.Project, "domain": host}
		return answer{}, n
	}
	if v.broken(x.ID) {
		return answer{}, no(400, "bad_request", "The domain can not be added because the latest production deployment for the project was not successful")
	}
	now := v.stamp()
	d := hostOf{Name: host, Project: x.ID, Verified: !v.is.Claimed[host], Token: v.is.IDs.Hex(20), Created: now, Updated: now}
	if n := d.lead(in); n != nil {
		return answer{}, n
	}
	v.is.Domains.Put(host, d)
	return answer{status: 200, body: d.show()}, nil
}

// broken says that a project's latest production deployment failed.
func (v *Vercel) broken(id string) bool {
	var latest deployment
	for _, d := range v.is.Deployments.All() {
		if d.Project == id && d.Target == "production" && d.Created > latest.Created {
			latest = d
		}
	}
	return latest.State == "ERROR"
}

func (v *Vercel) listDomains(c call) (answer, *refusal) {
	x, n := v.find(c.PathValue("p"))
	if n != nil {
		return answer{}, n
	}
	var all []hostOf
	for _, d := range v.is.Domains.Seen() {
		if d.Project == x.ID {
			all = append(all, d)
		}
	}
	slices.SortFunc(all, func(a, b hostOf) int { return int(b.Created - a.Created) })
	page, next := pageOf(all, func(d hostOf) int64 { return d.Created }, c.URL.Query().Get("until"), c.URL.Query().Get("limit"))
	shown := []any{}
	for _, d := range page {
		shown = append(shown, d.show())
	}
	return answer{status: 200, body: map[string]any{"domains": shown, "pagination": map[string]any{"count": len(shown), "next": next, "prev": nil}}}, nil
}

func (v *Vercel) getDomain(c call) (answer, *refusal) {
	d, n := v.on(c)
	if n != nil {
		return answer{}, n
	}
	return answer{status: 200, body: d.show()}, nil
}

func (v *Vercel) editDomain(c call) (answer, *refusal) {
	d, n := v.on(c)
	if n != nil {
		return answer{}, n
	}
	var in domainIn
	if n := c.read(&in); n != nil {
		return answer{}, n
	}
	if n := d.lead(in); n != nil {
		return answer{}, n
	}
	d.Updated = v.stamp()
	v.is.Domains.Put(d.Name, d)
	return answer{status: 200, body: d.show()}, nil
}

func (v *Vercel) removeDomain(c call) (answer, *refusal) {
	d, n := v.on(c)
	if n != nil {
		return answer{}, n
	}
	v.is.Domains.Delete(d.Name)
	return answer{status: 200, body: map[string]any{}}, nil
}

func (v *Vercel) verifyDomain(c call) (answer, *refusal) {
	d, n := v.on(c)
	if n != nil {
		return answer{}, n
	}
	if !d.Verified && !slices.Contains(v.is.TXT["_vercel."+apex(d.Name)], d.challenge()) {
		return answer{}, no(400, "missing_txt_record", "Domain _vercel.%s is missing required TXT Record %q", apex(d.Name), d.challenge())
	}
	d.Verified, d.Updated = true, v.stamp()
	v.is.Domains.Put(d.Name, d)
	return answer{status: 200, body: d.show()}, nil
}

func (v *Vercel) moveDomain(c call) (answer, *refusal) {
	d, n := v.on(c)
	if n != nil {
		return answer{}, n
	}
	var in domainIn
	if n := c.read(&in); n != nil {
		return answer{}, n
	}
	to, ok := v.is.Projects.Get(in.ProjectID)
	if !ok {
		return answer{}, no(400, "bad_request", "The target project does not exist")
	}
	d.Project, d.Updated = to.ID, v.stamp()
	if n := d.lead(in); n != nil {
		return answer{}, n
	}
	v.is.Domains.Put(d.Name, d)
	return answer{status: 200, body: d.show()}, nil
}

// Address is that of the edge: where A records lead.
const Address = "76.76.21.21"

// issuing is how long a certificate takes.
const issuing = 8 * time.Second

func (v *Vercel) leadsHere(host string) bool {
	return v.o.DNS == nil || slices.Contains(v.o.DNS(host), Address)
}

// certify asks for the certificates of bound names that DNS leads here.
func (v *Vercel) certify(now time.Time) {
	for _, d := range v.is.Domains.All() {
		if _, asked := v.is.Certs[d.Name]; !asked && d.Verified && v.leadsHere(d.Name) {
			v.is.Certs[d.Name] = now.UnixMilli()
		}
	}
}

// Secure says whether a host name has a certificate.
func (v *Vercel) Secure(host string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.advance()
	at, asked := v.is.Certs[strings.ToLower(host)]
	_, bound := v.is.Domains.Get(strings.ToLower(host))
	return asked && bound && v.o.Now().Sub(time.UnixMilli(at)) >= issuing
}

// Certify is a person who makes a host name's certificate before DNS leads here.
func (v *Vercel) Certify(host string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.is.Certs[strings.ToLower(host)] = v.o.Now().Add(-issuing).UnixMilli()
}

func (v *Vercel) domainConfig(c call) (answer, *refusal) {
	_, bound := v.is.Domains.Get(c.PathValue("d"))
	bound = bound && v.leadsHere(c.PathValue("d"))
	out := map[string]any{"configuredBy": nil, "acceptedChallenges": []string{"http-01"}, "misconfigured": !bound,
		"recommendedIPv4":  []any{map[string]any{"rank": 1, "value": []string{Address}}},
		"recommendedCNAME": []any{map[string]any{"rank": 1, "value": "cname.vercel-dns.com."}}}
	if bound {
		out["configuredBy"] = "A"
	}
	return answer{status: 200, body: out}, nil
}
