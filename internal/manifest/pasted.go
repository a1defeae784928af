package manifest

import (
	"math"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"
)

// secretShape matches what vendors issue as secrets, by their published prefixes,
// private keys, signed tokens and URLs with a password. A letter before it makes another
// word of a prefix (task_test_…); a digit or an underscore does so of the shortest only.
var secretShape = regexp.MustCompile(`(?:^|[^A-Za-z])(` + strings.Join([]string{
	`(sk|rk)_(live|test)_[0-9A-Za-z]{8,}`,
	`whsec_[0-9A-Za-z+/]{16,}`,
	`gh[pousr]_[0-9A-Za-z]{20,}`,
	`github_pat_[0-9A-Za-z_]{20,}`,
	`glpat-[0-9A-Za-z_-]{16,}`,
	`xox[abeprs]-[0-9A-Za-z-]{10,}`,
	`A(KIA|SIA)[0-9A-Z]{16}\b`,
	`AIza[0-9A-Za-z_-]{30,}`,
	`\bre_[0-9A-Za-z]{20,}`,
	`\bre_[0-9A-Za-z]{6,}_[0-9A-Za-z]{16,}`,
	`\b(live|test)_[0-9A-Za-z]{24,}`,
	`SG\.[0-9A-Za-z_-]{16,}\.[0-9A-Za-z_-]{16,}`,
	`npm_[0-9A-Za-z]{30,}`,
	`dop_v1_[0-9a-f]{32,}`,
	`sk-(proj|ant|svcacct|or)-[0-9A-Za-z_-]{16,}`,
	`sk-[0-9A-Za-z]{32,}`,
	`shp(at|ss|ca|pa)_[0-9a-fA-F]{32}`,
	`AGE-SECRET-KEY-1[0-9A-Z]{20,}`,
	`dckr_pat_[0-9A-Za-z_-]{16,}`,
	`sbp_[0-9a-f]{32,}`,
	`xkeysib-[0-9a-f]{32,}`,
	`ya29\.[0-9A-Za-z_-]{20,}`,
	`eyJ[0-9A-Za-z_-]{8,}\.eyJ[0-9A-Za-z_-]{8,}\.`,
}, "|") + `)|(` + strings.Join([]string{
	`hooks\.slack\.com/services/[0-9A-Za-z/]{20,}`,
	`-----BEGIN [A-Z ]*PRIVATE KEY`,
	`[a-z][a-z0-9+.-]*://[^/\s:@]*:[^/\s@]+@`,
}, "|") + `)`)

// secretName matches variables that usually hold a secret.
var secretName = regexp.MustCompile(`(?i)(secret|token|passw|private_?key|api_?key|access_?key|credential|_key\b|\bdsn\b)`)

// publicName matches variables that look secret by name and are meant for browsers.
var publicName = regexp.MustCompile(`(?i)(public|publishable|site_?key|key_?id|_url$|_path$|_file$|_name$|_ttl$|_header$|_enabled$|_algorithm$|_issuer$|_audience$|_length$|_prefix$|expir)`)

// settingName matches settings that hold a secret. Settings have looser names than
// variables (tokenColor), so that only whole words count.
var settingName = regexp.MustCompile(`(?i)(secret|secret_?key|passw(or)?d|private_?key|api_?key|access_?(key|token)|auth_?token)$`)

// harmlessShape is long and random, and no secret: commits, UUIDs.
var harmlessShape = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12})$`)

// hexShape is a run of hex digits that a generator could have made.
var hexShape = regexp.MustCompile(`^[0-9a-fA-F]{32,}$`)

// randomShape is one unbroken run that a generator could have made.
var randomShape = regexp.MustCompile(`^[0-9A-Za-z+/=_-]{24,}$`)

// random says that a text looks generated: long, unbroken, of mixed letters and digits.
func random(s string) bool {
	if len(s) < 24 {
		return false
	}
	if hexShape.MatchString(s) {
		return entropy(s) > 3
	}
	return randomShape.MatchString(s) && entropy(s) > 3.8 && strings.ContainsAny(s, "0123456789") && strings.ToLower(s) != s && strings.ToUpper(s) != s
}

// shortestSecret is the length of the shortest shape that isn't a URL: xoxb- and ten.
const shortestSecret = 15

// looksSecret says that a text holds something shaped like a secret.
func looksSecret(s string) bool { return marked(s) && secretShape.MatchString(s) }

// secretIn is where in a text the first such secret begins, -1 when it holds none.
func secretIn(s string) int {
	loc := secretShape.FindStringSubmatchIndex(s)
	if loc == nil {
		return -1
	}
	return max(loc[2], loc[len(loc)-2]) // the one or the other half of the shape
}

// marked says that a text holds what every shape of a secret has: nearly no text does,
// and the regular expression is slow.
func marked(s string) bool {
	if len(s) < shortestSecret {
		return strings.Contains(s, "://") && strings.Contains(s, "@")
	}
	for _, m := range [...]string{"k_live_", "k_test_", "live_", "test_", "whsec_", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox", "AKIA", "ASIA", "AIza", "re_", "SG.", "npm_",
		"dop_v1_", "sk-", "shpat_", "shpss_", "shpca_", "shppa_", "AGE-SECRET-KEY-", "dckr_pat_", "sbp_", "xkeysib-", "ya29.", "hooks.slack.com/", "PRIVATE KEY", "eyJ"} {
		if strings.Contains(s, m) {
			return true
		}
	}
	return strings.Contains(s, "://") && strings.Contains(s, "@")
}

const secretHint = "store it with `reconciler secret set NAME --client CLIENT` and write {secret: NAME}; it is in Git's history now, so revoke it"

// noSecret refuses a text that is shaped like a secret. The text isn't repeated.
func (d *document) noSecret(n *yaml.Node, at string) {
	if !d.sound && looksSecret(n.Value) {
		d.secretAt(n, at)
	}
}

// shortestNamed is from which length on a name makes a literal a secret.
const shortestNamed = 8

// pasted refuses a variable's literal that is probably a secret.
func (d *document) pasted(n *yaml.Node, variable, literal, at string) {
	if len(literal) < shortestNamed || looksSecret(literal) { // told of by shape already
		return
	}
	if harmlessShape.MatchString(literal) || publicName.MatchString(variable) {
		return
	}
	named := secretName.MatchString(variable) && !strings.Contains(literal, " ")
	if named || random(literal) {
		d.secretAt(n, at)
	}
}

func (d *document) secretAt(n *yaml.Node, at string) {
	d.conceal()
	d.at(n.Line, n.Column, "pasted-secret", at+" looks like a secret, and a repository is no place for one", secretHint)
	if d.told == nil {
		d.told = map[int]bool{}
	}
	span, ok := d.spans[n]
	if !ok {
		span = [2]int{n.Line, n.Line}
	}
	for l := span[0]; l <= span[1]; l++ {
		d.told[l] = true
	}
}

// entropy is Shannon's, in bits a character.
func entropy(s string) float64 {
	var counts [256]int
	for i := range len(s) {
		counts[s[i]]++
	}
	sum := 0.0
	for _, c := range counts {
		if c > 0 {
			p := float64(c) / float64(len(s))
			sum -= p * math.Log2(p)
		}
	}
	return sum
}
