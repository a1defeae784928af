// Package simulated is a Vercel of our own: its API as it is published, with state.
//
// # Model
//
// A Vercel is an http.Handler. It keeps projects with their variables, host names and
// deployments, builds these over looks and time, points production at them, and serves them:
// Front answers for every address that leads to a deployment, by the Host header, as the
// edge does. What else is asked for is in Options: faults, lists that are late, limits, a
// file that outlives the process.
//
// # Promises
//
// It is as unkind as the vendor: ids as Vercel makes them; pages by timestamp; a limit an
// endpoint, with its headers; 403 with another team's token and 404 without a team; a name
// that is taken is 409, and so is a project that is being transferred; an account that owes a payment
// is 402; a project whose newest production deployment failed gets no domain; a variable that is there is refused inside of a 201; sensitive values
// are never given back; a host name that another account uses has to be verified; production
// follows a new deployment by itself unless the project says no; ending a pause says yes.
// A build writes its log as its time passes and it is looked at; who follows it has each line as it is written.
// Its answers fit the published description.
//
// # Refusals
//
// It builds nothing, and makes no certificates: it says which names would have one (Secure), as
// Options.DNS leads them here. It keeps to the operations
// that the client room needs, and to one team. A deployment runs with the variables of the
// moment at which it was created.
package simulated
