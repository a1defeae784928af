package reconcile

// Point names a place in the engine's work, beside the borders of a step (package
// apply). Tests kill the process there.
type Point string

// The points, in the order in which a commit comes by them.
const (
	PointRead       Point = "head-read"   // a head is read, and not judged
	PointAccept     Point = "accept"      // it is judged, before the commit
	PointAccepted   Point = "accepted"    // after the commit, before memory knows
	PointBegin      Point = "begin"       // a pass is planned, before its commit
	PointBegun      Point = "begun"       // after it, before its first step
	PointRollback   Point = "rollback"    // before a part of a rollback runs
	PointRolledBack Point = "rolled-back" // all of it ran, before its end is committed
	PointEnd        Point = "end"         // before a pass's end is committed
	PointEnded      Point = "ended"       // after it
	PointDeliver    Point = "deliver"     // before a report is handed over
	PointDelivered  Point = "delivered"   // after it, before it is taken out
	PointPurge      Point = "purge"       // data is to be erased
	PointPurged     Point = "purged"      // it is, before that is told
	PointLost       Point = "lost"        // a lost state is to be made anew: it is there, and empty
	PointRebuild    Point = "rebuild"     // all of it is worked out, before its commit
	PointRebuilt    Point = "rebuilt"     // after the commit, before memory knows
)

func (e *Engine) at(p Point) {
	if e.At != nil {
		e.At(p)
	}
}
