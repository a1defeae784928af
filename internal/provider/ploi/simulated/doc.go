// Package simulated is a Ploi of our own: servers with sites, spoken to over HTTP as the
// vendor is, and what those sites serve.
//
// # Model
//
// A Vendor is made with New and is an http.Handler of the API below /api. It has servers
// (Options.Servers) and what is made on them: sites with a repository, a deploy script, a
// .env, aliases, redirects, certificates, deployments with their logs, a test domain; and
// databases, as far as they are described. Front serves by the Host header what a site
// serves: a page that says what its last deployment printed, and /api/health.
//
// A deployment runs the site's script in the way that matters here: what `echo` prints
// at the beginning of a line is its log and its page. It fails where the script or the .env holds breakBuild set to true,
// or where Options.Build says so; /api/health fails where the script holds breakHealth set
// to true. The old pages serve until the new ones are there, unless Options.Gap.
//
// It promises to be no kinder than the vendor. Everything is done in the background and told
// by status; .env and script are written late, lists are late, pages have 15 rows or at most
// 50, calls a minute are limited by the plan, a free one has no API, it is maintained now and then, quick deploy is a toggle, a deployment has no
// id. What the vendor's pages leave open it does in one way, or (Doubts) in the other. Time
// is Options.Now's alone: nothing happens between requests, and what is due happens at the
// next. With Options.File it outlives its process.
//
// It refuses: tenants (no description of them was had), cloning, staging, real shells.
package simulated
