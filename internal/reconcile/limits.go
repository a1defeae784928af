package reconcile

import (
	"sort"
	"time"

	"github.com/compassdigital/reconciler/internal/state"
)

// Limits.
const (
	maxGroup     = 50               // clients that pass together
	maxVerdicts  = 500              // kept, beside those that may still change
	keptRuns     = 50               // audit records of a client, with their lines
	keptEntries  = 200              // lines of a client's history, and as many of what people did to it
	keptHeads    = 2_000            // likewise of what is about no client
	maxRead      = 2_000            // wishes kept in memory between acceptance and pass
	lookParallel = 8                // looks at once in a pass
	lookTimeout  = 30 * time.Second // of one look
	lookWait     = 10 * time.Second // for whoever is at a client that a person asks to look at
	lookPatience = 90 * time.Second // that a call of a scheduled look waits for a vendor's next window
	listSilence  = 2 * time.Minute  // in which a listing makes no request; it may wait for a vendor's next window
	maxWindows   = 3                // of a vendor that one read waits for, each up to an hour
	lookCalls    = 500              // requests that one run of scheduled looks makes at a provider
	lookFailures = 3                // failed reads in a row: a provider is left alone for the rest of the run
	lookBatch    = 200              // clients whose look found nothing, noted in one transaction
	maxDriftText = 200              // characters of a value that is shown
	firstRetry   = 5 * time.Second  // of a client that waits; doubled each time
	maxRetry     = 5 * time.Minute
	maxAway      = 90 * time.Second // where a provider does not answer: all is done within two minutes of its return
	logFlush     = 200              // lines held back before they are written
	logWait      = time.Second
)

func sortedIDs(set map[state.ClientID]bool) []state.ClientID {
	out := make([]state.ClientID, 0, len(set))
	for id := range set {
		out = append(out, id)
	}
	sort.Slice(out, func(i, j int) bool { return out[i] < out[j] })
	return out
}

// backOff is how long a client waits after its n-th try in a row that came to
// nothing: 5 s, 10 s, 20 s … 5 min.
func backOff(n int) time.Duration {
	d := firstRetry
	for ; n > 1 && d < maxRetry; n-- {
		d *= 2
	}
	return min(d, maxRetry)
}
