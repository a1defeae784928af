// Package powerloss makes images of a state file at a power loss.
//
// A Cut is one commit: the file before it and after it. bbolt writes a commit's pages where
// nothing is that the last commit needs, syncs, and then writes one of two meta pages, which
// names them. An Image is a file that a disk may have left in between: pages that came or
// did not, sectors of them, a meta page that is old, new, torn or cut off. It serves tests;
// no other room imports it.
//
// It promises that an image is one that a disk may leave which keeps the order of what was
// synced. It refuses to think of disks that lie about that.
package powerloss
