package state

import "time"

// NoticeWord is what happened to a client or a provider, for those who run this program.
type NoticeWord string

// The words, in the order in which they are told.
const (
	NoticeAway      NoticeWord = "away" // a provider: it does not answer
	NoticeShut      NoticeWord = "shut" // a provider: it does not let us in
	NoticeBack      NoticeWord = "back" // a provider
	NoticeFailed    NoticeWord = "failed"
	NoticeHeld      NoticeWord = "held"
	NoticeDegraded  NoticeWord = "degraded"
	NoticeRecovered NoticeWord = "recovered"
)

// Notice is one thing that those who run this program are told by mail.
type Notice struct {
	Name    string     `json:"name,omitempty"` // the client's or the provider's; "": it is about the repository
	Word    NoticeWord `json:"word"`
	Online  bool       `json:"online,omitempty"`  // some deployment of it succeeded
	Removed bool       `json:"removed,omitempty"` // its manifest is gone
	Runs    string     `json:"runs,omitempty"`    // what its site runs, where the word does not say it
	Because string     `json:"because,omitempty"`
	Next    string     `json:"next,omitempty"`
	At      time.Time  `json:"at"`
}

// Told is what people know of a subject that is not well.
type Told struct {
	Word  NoticeWord `json:"word"`
	Cause string     `json:"cause"` // another one is told anew
	At    time.Time  `json:"at"`    // since when, as far as it was seen
}

// Bulletin is one mail of notices on its way. It is stored in the transaction that notes
// what is told, and taken out when everybody has it.
type Bulletin struct {
	Seq     uint64             `json:"seq"`
	At      time.Time          `json:"at"`
	Notices []Notice           `json:"notices"`          // the first of them
	Counts  map[NoticeWord]int `json:"counts"`           // of all
	Left    []string           `json:"left"`             // who has not got it yet
	Tries   int                `json:"tries,omitempty"`  // that failed since the last success
	Again   time.Time          `json:"again,omitzero"`   // not before
	Unsure  []string           `json:"unsure,omitempty"` // of Left: an answer was lost
}

// Notices is what was told by mail, and what is on its way.
type Notices struct {
	Seq       uint64          `json:"seq"`
	Last      time.Time       `json:"last,omitzero"`  // when the last bulletin was made
	Told      map[string]Told `json:"told,omitempty"` // subject → what is bad and known
	Bulletins []Bulletin      `json:"bulletins,omitempty"`
}
