// Package daemon keeps the engine going.
//
// # Model
//
// Everything that happens outside (a poll tick, a push, a button, a date) only puts a
// key into the Queue: a client's id with a cause, no data. Workers take keys and run
// passes, one a group at a time. Schedules (robfig/cron, UTC) poll, probe, purge and
// deliver; one that was missed while the program was down is caught up once.
//
// It promises: no overlap of a schedule with itself; a panic in a pass or schedule is
// logged and costs that pass only; a stop ends passes at a step's border and waits for
// them up to Grace, then cuts them off (which is safe, the journal goes on).
//
// It refuses to decide anything about clients: that is package reconcile's.
package daemon
