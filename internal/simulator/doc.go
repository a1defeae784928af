// Package simulator holds what every simulated vendor needs: faults, tables whose lists are
// late, limits, ids, and a file to outlive its process.
//
// # Model
//
// A simulated vendor (provider/NAME/simulated) is an http.Handler with state that speaks the
// vendor's API as it is published. It keeps its objects in Tables, counts calls by Limits,
// and is wrapped in Faults, by which a test or a user asks for what goes wrong: a refusal, a
// request that never arrives, an answer that never comes, one that is cut or kept back in its
// middle, a page in place of JSON.
//
// It promises: the same requests at the same times give the same answers and ids; what is not
// asked for does not go wrong. What a vendor refuses for a reason (a name that is taken, a plan that is used up, a
// token that may not) its simulator refuses by its own state; Faults are for what has none, and
// testdata/refusals.golden beside each provider says which is which. A Table is as late as it is told to be, in lists only: what is
// asked for by id is there at once, as at most vendors. It refuses to know vendors, providers
// and the engine, and to be kinder than the published description: who writes a simulated
// vendor holds it against that (package contract).
package simulator
