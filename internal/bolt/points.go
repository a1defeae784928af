package bolt

// The places at which tests kill the process, beside those of packages apply and
// reconcile.
const (
	PointCreate    = "state-create"   // a new state is whole, and not in its place yet
	PointCreated   = "state-created"  // it is in its place, and its marker is not
	PointMigrate   = "state-migrate"  // a schema is brought up to date, and not committed
	PointMigrated  = "state-migrated" // it is committed; more may be due
	PointRekey     = "state-rekey"    // a state is sealed anew, and not in its place yet
	PointRekeyed   = "state-rekeyed"  // it is in its place; the key file has both keys still
	PointBackup    = "backup"         // a backup is whole and was opened, and not in its place yet
	PointBackedUp  = "backed-up"      // it is; older ones may still go
	PointCommit    = "commit"         // before a commit that functions share
	PointCommitted = "committed"      // after it; none of them returned
)

func (o Options) at(point string) {
	if o.At != nil {
		o.At(point)
	}
}
