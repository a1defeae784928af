package plan

import "github.com/compassdigital/reconciler/internal/state"

// An account for taking money is its owner's. It is made once, never replaced and never
// erased.
//
//	recorded   wished                       planned
//	in use     another provider or country  the client is held
//	in use     it is gone                   the client is held: another one would have none of its money
//	in use     no more                      retained, without a date
//	retained   again                        returns; a new one where it was closed meanwhile
//	retained   somebody says purge          forgotten; nothing is called
//	adopted    in any other way             nothing: it is never changed

// theirAccount is what becomes of it when it is not wished any more.
const theirAccount = "the account stays: it is its owner's, with its money and its history"

// checkPayments holds the client when another account would take the place of the one that
// it has.
func (b *builder) checkPayments() {
	for _, r := range b.sortedRecord() {
		w, wished := b.wished[r.Ref]
		if r.Ref.Kind != state.KindPayments || !r.Real() || !wished {
			continue
		}
		switch {
		case w.Provider != r.Provider:
			b.problem(state.HoldData, "put back `payments.provider: "+r.Provider+"`", "payments.provider changes from %s to %s: the account %s is at %s, with its money", r.Provider, w.Provider, r.ID, r.Provider)
		case b.c.Looks[r.Ref].Gone && !r.Retained():
			b.problem(state.HoldData, "open it again at "+r.Provider+", then `reconciler retry "+b.c.Client.Name+"`; for another one leave `payments` out in one commit and say it again in the next",
				"the account %s is gone at %s; another one never takes its place by itself", r.ID, r.Provider)
		}
	}
}
