package review

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"

	"github.com/compassdigital/reconciler/internal/reconcile"
	"github.com/compassdigital/reconciler/internal/report"
	"github.com/compassdigital/reconciler/internal/store"
)

// maxWhole is how long a plan may be, in bytes of JSON: some kilobytes a client.
const maxWhole = 512 << 20

// pack makes of a plan what is kept: its JSON, which repeats itself, in a tenth of the room
// or less. Of one that is too long even so, which clients change is kept, without the steps.
func pack(p reconcile.Preview) ([]byte, error) {
	packed, err := zipped(p)
	if err == nil && len(packed) > store.MaxPlan {
		names := make([]report.Change, len(p.Changes))
		for i, c := range p.Changes {
			names[i] = report.Change{Client: c.Client, Fingerprint: c.Fingerprint}
		}
		p.Changes = names
		packed, err = zipped(p)
	}
	if err == nil && len(packed) > store.MaxPlan {
		err = fmt.Errorf("it has %d bytes", len(packed))
	}
	if err != nil {
		return nil, fmt.Errorf("keep the plan: %w", err)
	}
	return packed, nil
}

func zipped(p reconcile.Preview) ([]byte, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if err := json.NewEncoder(z).Encode(p); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// PlanOf is the plan that was told of a pull request; an empty one where there is none.
func PlanOf(tx store.Tx, number int) (plan report.Plan, err error) {
	packed, ok, err := store.PullPlan(tx, number)
	if err != nil || !ok {
		return plan, err
	}
	if plan, err = unpack(packed); err != nil {
		return plan, fmt.Errorf("read the plan of pull request %d: %w", number, err)
	}
	return plan, nil
}

// unpack is the reverse of pack.
func unpack(packed []byte) (plan report.Plan, err error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err == nil {
		err = json.NewDecoder(io.LimitReader(z, maxWhole)).Decode(&plan)
	}
	return plan, err
}
