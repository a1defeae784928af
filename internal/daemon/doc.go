// Package daemon keeps the engine going.
//
// # Model
//
// Everything that happens outside (a poll tick, a push, a button, a date) only puts a
// key into the Queue: a client's id with a cause, no data. Workers take keys and run
// passes, one a group at a time. Schedules (read by robfig/cron, UTC) probe, look for drift,
// purge and deliver; one that was missed while the program was down is caught up once, and a clock that is set
// makes none stop, or come more than once.
// Commands talk to the daemon over a socket beside the state file (Control, Listen, Call).
//
// It promises: a trigger over the fleet keeps no single client waiting, and is itself
// never starved; no overlap of a schedule with itself; a panic in a pass, a poll, a
// schedule or a request is logged and costs that one only; a stop ends passes at a
// step's border, waits for them up to Grace, cuts them off (which is safe, the journal
// goes on), and in any case ends within ten seconds.
//
// It refuses to decide anything about clients: that is package reconcile's. Nobody but
// the user who runs it can connect to its socket.
package daemon
