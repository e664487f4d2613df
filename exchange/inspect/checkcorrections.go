package inspect

import (
	"context"
	"database/sql"

	"github.com/huitong-bus/huitong/exchange/ledger/verify"
)

// checkFullLoads compares each topic's full load with the ledger.
func (c *checker) checkFullLoads(ctx context.Context) error {
	want := c.verify.snapshots.Topics()
	n := 0
	err := c.each(ctx, "full_loads", "SELECT topic, system, begun, ended, removed, done FROM full_loads ORDER BY topic", func(rows *sql.Rows) error {
		var topic, system string
		var begun, ended, removed uint64
		var done int64
		if err := rows.Scan(&topic, &system, &begun, &ended, &removed, &done); err != nil {
			return err
		}
		n++
		load := want[topic]
		switch {
		case load == nil || load.System != system || load.Begun != begun || load.EndedPlusOne != ended:
			return wrong("full_loads", topic, "the row is not the topic's last full load")
		case done != 0 && done != 1 || done == 1 && ended == 0:
			return wrong("full_loads", topic, "done is not what the load's end makes it")
		case done == 0 && removed != 0, done == 1 && removed != load.Removed:
			return wrong("full_loads", topic, "removed is %d, the ledger has %d", removed, load.Removed)
		}
		return nil
	})
	if err == nil && n != len(want) {
		err = wrong("full_loads", nil, "there are %d rows, the ledger has full loads of %d topics", n, len(want))
	}
	return err
}

// checkRemoved checks that a removal for a full load follows a version that the
// load did not mention; see verify.Snapshots for what the ledger alone shows.
func checkRemoved(r *row, load *verify.Snapshot) error {
	if load == nil || r.prev == 0 || uint64(r.prev) != r.entry.GetPublished().IfIndexPlusOne {
		return wrong("sealed", r.index, "prev is not the version that the full load removed")
	}
	return nil
}
