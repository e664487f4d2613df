package inspect

import (
	"context"
	"database/sql"

	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/notice"
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

// checkHearing checks how far those who relied on records were told, and that it
// is known once somebody was told.
func (c *checker) checkHearing(ctx context.Context) error {
	told := false
	err := c.each(ctx, "hearing", "SELECT id, next FROM hearing", func(rows *sql.Rows) error {
		var id, next int64
		if err := rows.Scan(&id, &next); err != nil {
			return err
		}
		told = true
		if id != 1 || next < 0 || uint64(next) > c.head.Size {
			return wrong("hearing", id, "next is ahead of the ledger")
		}
		return nil
	})
	if _, notices := c.replay.topics[journal.Number(notice.Notices)]; err == nil && notices && !told {
		return wrong("hearing", 1, "there are notices, and the row is missing that says up to where")
	}
	return err
}

// relied compares what the index has of who relied on what, and of what they are
// to be told.
func (x *indexCheck) relied(ctx context.Context, b *batch) error {
	tx := x.db.Index.Read()
	has := func(table, query string, args ...any) error {
		var n int
		if err := tx.QueryRowContext(ctx, query, args...).Scan(&n); err != nil || n != 1 {
			return wrong(table, args[len(args)-1], "a row of that entry is missing; rebuild the index")
		}
		x.want[table]++
		return nil
	}
	seen := map[[2]int64]bool{}
	for i, version := range b.reads.version {
		row := [2]int64{version, b.reads.idx[i]}
		if seen[row] {
			continue
		}
		seen[row] = true
		if by, erased := x.replay.erasedBy[uint64(version)]; erased {
			if by.requestedBy >= x.told {
				x.untold++
			}
			continue
		}
		if err := has("index_reads", "SELECT count(*) FROM index_reads WHERE version = $1 AND idx = $2", row[0], row[1]); err != nil {
			return err
		}
	}
	for _, idx := range b.causes {
		if err := has("index_causes", "SELECT count(*) FROM index_causes WHERE idx = $1", idx); err != nil {
			return err
		}
	}
	c := &b.counts
	for i, idx := range c.idx {
		err := has("index_counts", `SELECT count(*) FROM index_counts WHERE day = $1 AND item = $2 AND department = $3 AND cases = $4 AND asked = $5 AND held = $6
			AND reused = $7 AND declined = $8 AND submitted = $9 AND papers = $10 AND avoidable = $11 AND idx = $12`,
			c.day[i], c.item[i], c.department[i], c.cases[i], c.asked[i], c.held[i], c.reused[i], c.declined[i], c.submitted[i], c.papers[i], c.avoidable[i], idx)
		if err != nil {
			return err
		}
	}
	return nil
}
