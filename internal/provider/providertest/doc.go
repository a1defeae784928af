// Package providertest is the conformance suite of providers.
//
// Run puts a provider through what provider.Provider promises: an object is found by
// id and by name as it was wished; a unique name is taken once; the absent is deleted
// with success and updated with NotFound; looking changes nothing; a call that was
// given up is an error and never an absence; errors are *provider.Error; secrets don't
// print; what was made is there after a restart; many may call at once. A provider that
// passes can stand behind the engine.
//
// Refusals is the other half: every error that a vendor documents, provoked at its simulator, by
// the simulator's own state where that is possible, with what the provider makes of it. The table
// is a golden file beside the provider (testdata/refusals.golden).
//
// A Subject says how to open one and what to wish: a Case a kind, in an order in which
// each finds what it refers to (database before admin; site before environment,
// deployment, traffic, domain). The suite makes chains: one object of every kind, all
// of one client, that refer to each other.
package providertest
