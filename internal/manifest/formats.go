package manifest

import (
	"fmt"
	"net/url"
	"path"
	"regexp"
	"strings"
	"time"
	_ "time/tzdata" // a zone is known here as it is everywhere
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
	"gopkg.in/yaml.v3"
)

// Lengths, in characters.
const (
	maxName  = 40
	maxText  = 1000
	maxHost  = 253
	maxLabel = 63
)

// Patterns of the formats; the JSON Schemas show them too.
const (
	PatternName     = `^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`
	PatternWord     = `^[A-Za-z0-9][A-Za-z0-9._-]{0,59}$`
	PatternVariable = `^[A-Za-z_][A-Za-z0-9_]{0,127}$`
	PatternSecret   = `^(shared/)?[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$`
	PatternDecimal  = `^[0-9]{1,9}(\.[0-9]{1,2})?$`
	PatternCurrency = `^[A-Z]{3}$`
	PatternCountry  = `^[A-Z]{2}$`
	PatternDate     = `^[0-9]{4}-[0-9]{2}-[0-9]{2}$`
	PatternRef      = `^[A-Za-z0-9][A-Za-z0-9._/+-]{0,199}$`
	PatternID       = `^[A-Za-z0-9_:./-]{1,128}$`
	PatternRequires = `^>=[0-9]+\.[0-9]+(\.[0-9]+)?$`
	PatternDrift    = `^((database|deployment|domain|environment|record|site|traffic)\.(\*|[A-Za-z]{1,40})|env\.(\*|[A-Za-z_][A-Za-z0-9_]{0,127}))$`
	PatternPath     = `^/[^\s\\]*$`
	PatternEmail    = `^[^\s@<>"(),:;\\\[\]]+@[^\s@<>"(),:;\\\[\]]+\.[^\s@<>"(),:;\\\[\]]+$`
)

var (
	nameShape     = regexp.MustCompile(PatternName)
	wordShape     = regexp.MustCompile(PatternWord)
	variableShape = regexp.MustCompile(PatternVariable)
	secretRef     = regexp.MustCompile(PatternSecret)
	decimalShape  = regexp.MustCompile(PatternDecimal)
	currencyShape = regexp.MustCompile(PatternCurrency)
	countryShape  = regexp.MustCompile(PatternCountry)
	refShape      = regexp.MustCompile(PatternRef)
	idShape       = regexp.MustCompile(PatternID)
	requiresShape = regexp.MustCompile(PatternRequires)
	driftShape    = regexp.MustCompile(PatternDrift)
	pathShape     = regexp.MustCompile(PatternPath)
	emailShape    = regexp.MustCompile(PatternEmail)
	laterVersion  = regexp.MustCompile(`^reconciler/v[0-9]{1,4}$`)
	phoneShape    = regexp.MustCompile(`^\+?[0-9(][0-9 ()./-]{2,30}[0-9)]( ?(x|ext\.?) ?[0-9]{1,6})?$`)
	ownerShape    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}$`)
	labelShape    = regexp.MustCompile(`^(_?[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?|\*)$`)
)

// text reads a scalar as text, within its field's rules.
func (d *document) text(n *yaml.Node, f Field, at string) (string, bool) {
	if n.Kind != yaml.ScalarNode {
		d.node(n, "type", at+" must be text", "write one value there")
		return "", false
	}
	raw := f.Format == "decimal" || f.Format == "date" || f.Format == "localtime"
	if n.Tag != "!!str" && !raw {
		d.node(n, "type", at+" must be text", "put it in quotes: YAML reads it as something else")
		return "", false
	}
	s := n.Value
	if d.sound {
		return s, true
	}
	before := len(d.problems)
	d.noSecret(n, at)
	if len(d.problems) > before {
		return "", false
	}
	if len(f.Enum) > 0 {
		for _, e := range f.Enum {
			if s == e {
				return s, true
			}
		}
		hint := didYouMean(s, f.Enum)
		if hint == "" {
			hint = "one of: " + strings.Join(f.Enum, ", ")
		}
		if len(f.Enum) == 1 {
			hint = "write " + f.Enum[0]
			if f.Enum[0] == APIVersion && laterVersion.MatchString(s) {
				hint += ", or use the newer version of the program that reads it"
			}
		}
		d.node(n, "enum", fmt.Sprintf("%s can't be %s", at, shown(s)), hint)
		return "", false
	}
	most := f.Max
	if most == 0 {
		most = maxText
	}
	if utf8.RuneCountInString(s) > most {
		d.node(n, "size", fmt.Sprintf("%s is longer than %d characters", at, most), "")
		return "", false
	}
	if problem, hint := checkFormat(f.Format, s); problem != "" {
		d.node(n, "format", at+": "+problem, hint)
		return "", false
	}
	return s, true
}

// shown repeats a value where that is harmless.
func shown(s string) string {
	if len(s) <= 40 && !looksSecret(s) && !random(s) {
		return fmt.Sprintf("%q", s)
	}
	return "this"
}

// checkFormat says what is wrong with a text, "" for nothing, and what to do.
func checkFormat(format, s string) (problem, hint string) {
	shape := func(re *regexp.Regexp, problem, hint string) (string, string) {
		if re.MatchString(s) {
			return "", ""
		}
		return problem, hint
	}
	switch format {
	case "content":
		if strings.TrimSpace(s) == "" {
			return "must not be empty", ""
		}
		return "", ""
	case "recordname":
		if s == "" {
			return "must not be empty", recordNameHint
		}
		return "", ""
	case "", "prose":
		return "", ""
	case "text", "command":
		if strings.ContainsAny(s, "\n\t") {
			return "must be one line", ""
		}
		return "", ""
	case "name":
		if !nameShape.MatchString(s) {
			return "a name has small letters, digits and hyphens, at most 40", "such as " + slug(s)
		}
		return "", ""
	case "word":
		return shape(wordShape, "must be one word of letters, digits, dots and hyphens", "")
	case "email":
		if len(s) > 254 {
			return "is too long for an e-mail address", ""
		}
		if problem, hint := shape(emailShape, "must be an e-mail address", "such as owner@example.org"); problem != "" {
			return problem, hint
		}
		if _, problem, _ := hostOf(s[strings.LastIndex(s, "@")+1:]); problem != "" {
			return "after the @ there must be a host name", "such as owner@example.org"
		}
		return "", ""
	case "domain":
		_, problem, hint := hostOf(s)
		return problem, hint
	case "host":
		if !strings.Contains(s, ".") && s != "localhost" {
			return "must be a host name with a dot", ""
		}
		_, problem, hint := hostOf(s)
		return problem, hint
	case "hostlabel":
		return shape(labelShape, "must be one label of a host name", "")
	case "path":
		if problem, hint := shape(pathShape, "must begin with /", "such as /api/health"); problem != "" {
			return problem, hint
		}
		if p, _, _ := strings.Cut(s, "?"); strings.Contains(p+"/", "/../") || strings.Contains(s, "#") || strings.HasPrefix(s, "//") {
			return "must be a plain path below the site's address", ""
		}
		return "", ""
	case "repository":
		return checkRepository(s)
	case "ref":
		if strings.Contains(s, "..") || strings.HasSuffix(s, ".lock") || strings.HasSuffix(s, "/") {
			return "must be a tag, a branch or a commit", ""
		}
		return shape(refShape, "must be a tag, a branch or a commit", "")
	case "directory":
		if path.IsAbs(s) || s == ".." || strings.HasPrefix(path.Clean(s), "../") || strings.ContainsAny(s, "\\\n\t$`;&|<>'\"(){}*?!~#") {
			return "must be a folder inside the repository", "such as . or apps/web"
		}
		return "", ""
	case "decimal":
		return shape(decimalShape, "must be an amount such as 49.00", "")
	case "currency":
		return shape(currencyShape, "must be three capital letters", "such as EUR")
	case "country":
		return shape(countryShape, "must be two capital letters", "such as NL")
	case "date":
		if _, err := time.Parse(time.DateOnly, s); err != nil {
			return "must be a date", "such as 2026-12-01"
		}
		return "", ""
	case "localtime":
		if _, err := time.Parse(localTime, s); err != nil {
			return "must be a local time", "such as 2026-12-18T18:00"
		}
		return "", ""
	case "zone":
		if s == "" || s == "Local" || strings.HasPrefix(s, "/") || strings.Contains(s, "..") {
			return "must be an IANA time zone", "such as Europe/Amsterdam"
		}
		if _, err := time.LoadLocation(s); err != nil {
			return "is not a time zone that is known", "such as Europe/Amsterdam"
		}
		return "", ""
	case "requires":
		return shape(requiresShape, "must be the least version of the program", `such as ">=0.1"`)
	case "driftfield":
		return shape(driftShape, "must be a kind and a field of it", "such as record.content, record.gone, record.* or env.STORE_CURRENCY")
	case "id":
		return shape(idShape, "must be an id of letters, digits and -_:./", "")
	}
	return "", ""
}

// localTime is how a freeze's ends are written.
const localTime = "2006-01-02T15:04"

func checkRepository(s string) (problem, hint string) {
	const want = "OWNER/NAME, an https URL, or builtin"
	if s == "builtin" || ownerShape.MatchString(s) && !strings.HasSuffix(s, "/.") && !strings.HasSuffix(s, "/..") {
		return "", ""
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return "must be a repository", want
	}
	if u.User != nil {
		return "must not hold a user or a token", want
	}
	return "", ""
}

// checkKey checks a free key of a map.
func checkKey(format, k string) (problem, hint string) {
	switch format {
	case "variable":
		switch {
		case looksSecret(k) || random(k):
			return "this key looks like a secret", secretHint
		case !variableShape.MatchString(k):
			return "a variable has letters, digits and underscores, and doesn't begin with a digit", ""
		case loaderVariable(k):
			return k + " would change how programs are loaded", "remove it"
		}
	case "adoptable":
		known := []string{"database", "payments", "record", "site"}
		for _, a := range known {
			if a == k {
				return "", ""
			}
		}
		return key(k) + " can't be adopted", "one of: " + strings.Join(known, ", ")
	case "plan":
		known := planNames()
		for _, p := range known {
			if p == k {
				return "", ""
			}
		}
		return key(k) + " is not a plan", "one of: " + strings.Join(known, ", ")
	case "label":
		if looksSecret(k) || random(k) {
			return "this key looks like a secret", secretHint
		}
		if !wordShape.MatchString(k) {
			return "a label's name is one word", ""
		}
	}
	return "", ""
}

func planNames() []string { return []string{"free", "starter", "professional", "enterprise"} }

// loaderVariable are the variables that make a program run other code.
func loaderVariable(k string) bool {
	switch u := strings.ToUpper(k); u {
	case "PATH", "HOME", "SHELL", "IFS", "ENV", "BASH_ENV", "NODE_OPTIONS", "NODE_PATH", "PYTHONPATH", "PYTHONSTARTUP", "PERL5LIB", "PERL5OPT", "RUBYOPT", "RUBYLIB", "JAVA_TOOL_OPTIONS", "GIT_SSH_COMMAND", "GCONV_PATH":
		return true
	default:
		return strings.HasPrefix(u, "LD_") || strings.HasPrefix(u, "DYLD_") || strings.HasPrefix(u, "NPM_CONFIG_")
	}
}

// hostOf folds a host name to its A-label form and checks it.
func hostOf(s string) (host, problem, hint string) {
	lower := strings.ToLower(s)
	if strings.Contains(lower, "://") {
		return "", "must be a host name, not a URL", "leave out the scheme and the path"
	}
	if strings.ContainsAny(lower, "/:@ ?#*") {
		return "", "must be a host name: letters, digits, hyphens and dots", ""
	}
	if strings.HasSuffix(lower, ".") {
		return "", "must not end with a dot", ""
	}
	ascii, err := lower, error(nil)
	if !plainHost(lower) {
		ascii, err = profile.ToASCII(lower)
	}
	if err != nil || ascii == "" || len(ascii) > maxHost {
		return "", "must be a host name: letters, digits, hyphens and dots", ""
	}
	labels := strings.Split(ascii, ".")
	for _, l := range labels {
		if l == "" || len(l) > maxLabel {
			return "", "must be a host name: each part has 1 to 63 characters", ""
		}
		if l[0] == '-' || l[len(l)-1] == '-' {
			return "", "must be a host name: no part begins or ends with a hyphen", ""
		}
	}
	if last := labels[len(labels)-1]; len(labels) > 1 && strings.Trim(last, "0123456789") == "" {
		return "", "must be a name, not an address", ""
	}
	if plainHost(lower) {
		return ascii, "", ""
	}
	if u, err := profile.ToUnicode(ascii); err != nil || mixed(u) {
		return "", "mixes alphabets within one label", "a name that looks like another is refused"
	}
	return ascii, "", ""
}

// plainHost says that folding would change nothing: most names are small letters,
// digits, hyphens and dots.
func plainHost(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' {
			return false
		}
	}
	return !strings.Contains(s, "xn--")
}

// mixed says that a label has letters of alphabets that look alike.
func mixed(host string) bool {
	for _, label := range strings.Split(host, ".") {
		found := 0
		for _, script := range []*unicode.RangeTable{unicode.Latin, unicode.Cyrillic, unicode.Greek} {
			if strings.IndexFunc(label, func(r rune) bool { return unicode.Is(script, r) }) >= 0 {
				found++
			}
		}
		if found > 1 {
			return true
		}
	}
	return false
}

// profile folds names as registries and browsers do (UTS 46, non-transitional).
var profile = idna.New(idna.MapForLookup(), idna.StrictDomainName(true), idna.Transitional(false), idna.BidiRule(), idna.ValidateLabels(true), idna.CheckHyphens(false), idna.VerifyDNSLength(false))

// slug is a name near a text, for hints.
func slug(s string) string {
	var b strings.Builder
	for _, r := range plainLetters(strings.ToLower(s)) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
		if b.Len() >= maxName {
			break
		}
	}
	if out := strings.Trim(b.String(), "-"); out != "" && !looksSecret(out) && !random(out) {
		return out
	}
	return "demoshop"
}

// plainLetters is a text of small letters without their accents, umlauts as two.
func plainLetters(s string) string {
	umlauts := strings.NewReplacer("ä", "ae", "ö", "oe", "ü", "ue", "ß", "ss", "æ", "ae", "ø", "oe", "å", "aa", "œ", "oe")
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, norm.NFD.String(umlauts.Replace(norm.NFC.String(s))))
}

// IsName says that a text can be a client's name.
func IsName(s string) bool { return nameShape.MatchString(s) }

// IsVariable says that a text can be a variable's name.
func IsVariable(s string) bool { return variableShape.MatchString(s) }
