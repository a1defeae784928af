// Package simulated is Railway's public API over objects in memory: as much of it as a
// database takes.
//
// # Model
//
// A Railway is an http.Handler that executes GraphQL: operations are parsed, and what their
// selections ask for is answered, whatever names and aliases they use. It keeps projects with
// an environment, services, volumes, proxies, deployments, backups and workflows, and can
// keep them in a file.
//
// It is as unkind as Railway is described (shared/specs/railway): names of projects are not
// unique, names of services are within their project; no call is idempotent; lists of
// projects and volume instances are late by Options.Lag; what is deleted is still listed, with
// deletedAt; a volume takes its environment, and is refused for a service that was deployed; a
// deployment takes time and refuses another one meanwhile; a proxy works from the next
// deployment on; workflows are NotFound at first; errors come with status 200, without codes;
// limits an hour with their headers, and a limit a second with a page in place of JSON; a workspace that
// asks for a second factor lets nobody without one in. What the description leaves open it does the hard way: a
// second proxy of the same port is made.
//
// It promises: the same requests at the same times give the same answers and ids. It refuses
// to run databases: where somebody wants a real one, Options.Databases makes it.
//
// # Design
//
// Types are not checked here: contract does that, against Railway's own schema. An answer
// with a failing field is an answer without data, as most fields of the schema may not be
// null.
package simulated
