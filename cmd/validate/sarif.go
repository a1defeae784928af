package main

import (
	"encoding/json"
	"io"
	"net/url"
	"path"
	"sort"
	"strings"

	"github.com/compassdigital/reconciler/internal/manifest"
)

// The parts of SARIF 2.1.0 that are used.
// https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
type sarifLog struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool       sarifTool     `json:"tool"`
	ColumnKind string        `json:"columnKind"`
	Results    []sarifResult `json:"results"`
}

type sarifTool struct {
	Driver sarifDriver `json:"driver"`
}

type sarifDriver struct {
	Name            string      `json:"name"`
	InformationURI  string      `json:"informationUri"`
	SemanticVersion string      `json:"semanticVersion"`
	Rules           []sarifRule `json:"rules"`
}

type sarifRule struct {
	ID               string    `json:"id"`
	ShortDescription sarifText `json:"shortDescription"`
}

type sarifText struct {
	Text string `json:"text"`
}

type sarifResult struct {
	RuleID    string          `json:"ruleId"`
	RuleIndex int             `json:"ruleIndex"`
	Level     string          `json:"level"`
	Message   sarifText       `json:"message"`
	Locations []sarifLocation `json:"locations"`
}

type sarifLocation struct {
	PhysicalLocation sarifPhysical `json:"physicalLocation"`
}

type sarifPhysical struct {
	ArtifactLocation sarifArtifact `json:"artifactLocation"`
	Region           *sarifRegion  `json:"region,omitempty"`
}

type sarifArtifact struct {
	URI string `json:"uri"`
}

type sarifRegion struct {
	StartLine   int `json:"startLine"`
	StartColumn int `json:"startColumn"`
}

func printSARIF(w io.Writer, r result) error {
	ids := map[string]int{}
	for _, p := range r.problems {
		ids[p.Rule] = 0
	}
	rules := []sarifRule{}
	for id := range ids {
		rules = append(rules, sarifRule{id, sarifText{about(id)}})
	}
	sort.Slice(rules, func(i, j int) bool { return rules[i].ID < rules[j].ID })
	for i, rule := range rules {
		ids[rule.ID] = i
	}
	results := []sarifResult{}
	for _, p := range r.problems {
		results = append(results, sarifResultOf(p, ids[p.Rule]))
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(sarifLog{
		Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0",
		Runs: []sarifRun{{
			Tool:       sarifTool{sarifDriver{Name: "validate", InformationURI: "https://github.com/compassdigital/reconciler", SemanticVersion: version, Rules: rules}},
			ColumnKind: "unicodeCodePoints", Results: results,
		}},
	})
}

func sarifResultOf(p manifest.Problem, rule int) sarifResult {
	text := clean(p.Text)
	if p.Hint != "" {
		text += "\n" + clean(p.Hint)
	}
	at := sarifPhysical{ArtifactLocation: sarifArtifact{uri(p.Path)}}
	if p.Line > 0 {
		at.Region = &sarifRegion{p.Line, max(1, p.Column)}
	}
	return sarifResult{RuleID: p.Rule, RuleIndex: rule, Level: severity(p), Message: sarifText{text}, Locations: []sarifLocation{{at}}}
}

// uri is a path as a URI reference.
func uri(p string) string {
	u := url.URL{Path: strings.ToValidUTF8(p, "\ufffd")}
	if path.IsAbs(p) {
		u.Scheme = "file"
	}
	return u.String()
}

// about says in a few words what a rule is for.
func about(rule string) string {
	if text, ok := map[string]string{
		"adopt":             "What is adopted is named in full",
		"alias":             "Anchors, aliases and merge keys are not read",
		"base-rules":        "Rules are those of the base, not of the change",
		"collection":        "Only collections that the template names can be disabled",
		"control-character": "No invisible characters",
		"database":          "The database and its provider fit together",
		"default":           "What is each client's own has no default",
		"depth":             "Nesting is bounded",
		"documents":         "One document a file",
		"duplicate":         "An entry is in a list once",
		"duplicate-key":     "A key is said once",
		"empty":             "A file says something",
		"emptied":           "A tree that loses all of its clients is a mistake",
		"encoding":          "Files are UTF-8",
		"enum":              "One of the known words",
		"executable":        "Manifests are no programs",
		"feature":           "Features are those of the template",
		"file-name":         "A file is called as what it describes",
		"format":            "Values have their format",
		"freeze":            "A freeze has a beginning and an end",
		"from":              "Only known outputs can be taken",
		"health":            "The probe's times fit together",
		"host":              "Host names are whole and free to use",
		"key":               "Keys are plain words",
		"limit":             "The platform's limits hold",
		"misnamed":          "What looks like a manifest is read, or moved away",
		"not-regular":       "Manifests are regular files",
		"pasted-secret":     "Secrets are not in the repository",
		"plan":              "Features are those of the plan",
		"platform":          "The platform file can be read",
		"previously":        "A former name belongs to nobody else",
		"provider":          "Every part has a provider",
		"range":             "Values are within their range",
		"read":              "Files can be read",
		"record":            "DNS records are well-formed",
		"removed":           "A client is removed",
		"rename":            "A rename says so",
		"required":          "What is needed is there",
		"requires":          "The program is new enough",
		"secret":            "Secrets are referenced by name",
		"size":              "Sizes are bounded",
		"syntax":            "Files are YAML",
		"tag":               "Tags are not read",
		"template":          "The template exists",
		"type":              "Values have their type",
		"unique":            "Names and domains belong to one client",
		"unknown-key":       "Keys are known",
	}[rule]; ok {
		return text
	}
	return rule
}
