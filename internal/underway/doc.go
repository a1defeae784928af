// Package underway remembers who is being worked on where a crash of the process leaves it.
//
// It is a folder beside the state with one empty file for each client under way, and for each
// look and probe: made before the work, removed after it. Who is found there by the next process was under way
// when the one before died.
//
// It promises: what was begun before a crash of the process (a panic, os.Exit, kill -9,
// no memory left) is found by the next one; a mark costs no sync to the disk.
//
// It refuses to outlive a power loss, which is nobody's fault, and to judge who it was.
package underway
