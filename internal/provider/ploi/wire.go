package ploi

import (
	"encoding/json"
	"strings"
)

// What the vendor says, as far as it is read here. Fields that nothing depends on are not
// named, so that a change of theirs breaks nothing.

// word is a JSON value that the vendor writes as a text, a number, false or null, depending
// on the page: text is what it says, "" for false and null.
type word string

// UnmarshalJSON implements json.Unmarshaler. What is no word (an object, a list) is none.
func (w *word) UnmarshalJSON(data []byte) error {
	*w = ""
	switch text := strings.TrimSpace(string(data)); {
	case text == "null", text == "false", text == "true", text == "":
	case text[0] == '"':
		var s string
		if err := json.Unmarshal(data, &s); err != nil {
			return err
		}
		*w = word(s)
	case text[0] == '-' || text[0] >= '0' && text[0] <= '9':
		*w = word(text)
	}
	return nil
}

// site is a site as the vendor shows it.
type site struct {
	ID            int64  `json:"id"`
	Status        word   `json:"status"`
	ServerID      int64  `json:"server_id"`
	Domain        string `json:"domain"`
	TestDomain    word   `json:"test_domain"`
	DeployScript  word   `json:"deploy_script"`
	SystemUser    word   `json:"system_user"`
	LastDeployAt  word   `json:"last_deploy_at"`
	HasRepository bool   `json:"has_repository"`
	QuickDeploy   *bool  `json:"quick_deploy"` // nil: it does not say
	Log           word   `json:"current_deploy_log"`
}

// server is a server as the vendor shows it.
type server struct {
	ID      int64  `json:"id"`
	Name    word   `json:"name"`
	Status  word   `json:"status"`
	Address word   `json:"ip_address"`
	Sites   *int64 `json:"sites_count"`
}

// repository is what a site is deployed from; nil: nothing is installed.
type repository struct {
	Branch   word `json:"branch"`
	User     word `json:"user"`
	Provider word `json:"provider"`
	Name     word `json:"name"`
}

type siteWithRepository struct {
	ID          int64       `json:"id"`
	QuickDeploy bool        `json:"quick_deploy"`
	Repository  *repository `json:"repository"`
}

type aliases struct {
	Aliases []string `json:"aliases"`
	Main    word     `json:"main"`
}

type certificate struct {
	ID     int64 `json:"id"`
	Status word  `json:"status"`
	Domain word  `json:"domain"`
	Until  word  `json:"expires_at"`
}

type logEntry struct {
	ID      int64 `json:"id"`
	Content word  `json:"content"`
}

// one is the usual envelope.
type one[T any] struct {
	Data T `json:"data"`
}

// page is a page of a list.
type page[T any] struct {
	Data []T `json:"data"`
	Meta struct {
		LastPage int  `json:"last_page"`
		Total    *int `json:"total"`
	} `json:"meta"`
}

// envFile is the .env: the documentation shows it as content, others have seen it as data.
type envFile struct {
	Content *string         `json:"content"`
	Data    json.RawMessage `json:"data"`
}

// text is the file's; ok is false where the answer holds none.
func (e envFile) text() (string, bool) {
	if e.Content != nil {
		return *e.Content, true
	}
	var s string
	if len(e.Data) == 0 || json.Unmarshal(e.Data, &s) != nil {
		return "", false
	}
	return s, string(e.Data) != "null"
}
