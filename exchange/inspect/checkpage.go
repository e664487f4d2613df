package inspect

import (
	"context"
	"database/sql"

	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/store"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// tileWidth is how many entries are read at once: a full tile of the tree.
const tileWidth = 256

// row is an entry with its sealed row, as the check reads them.
type row struct {
	index uint64
	leaf  []byte
	entry *ledgerv1.LedgerEntry
	// sealed says that there is a sealed row; then what follows is of it.
	sealed   bool
	topic    int64
	pos      int64
	prev     int64
	keyToken []byte
	tokens   []byte
	body     []byte
}

const checkQuery = `SELECT l.idx, l.leaf, s.idx, s.topic, s.pos, s.prev, s.key_token, s.tokens, s.body
	FROM ledger l LEFT JOIN sealed s ON s.idx = l.idx WHERE l.idx >= $1 AND l.idx < $2 ORDER BY l.idx`

// page reads the entries [from, to). Where the engine cannot read, it names the
// first row that it cannot.
func (c *checker) page(ctx context.Context, from, to uint64) ([]row, error) {
	rows, err := c.readPage(ctx, from, to)
	if err == nil || ctx.Err() != nil {
		return rows, err
	}
	for i := from; i < to; i++ {
		if _, one := c.readPage(ctx, i, i+1); one != nil {
			return nil, unreadable(ctx, c.db, one, "ledger or sealed", i)
		}
	}
	return nil, unreadable(ctx, c.db, err, "ledger or sealed", nil)
}

func (c *checker) readPage(ctx context.Context, from, to uint64) ([]row, error) {
	rows, err := c.db.Reader().QueryContext(ctx, checkQuery, int64(from), int64(to))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := make([]row, 0, to-from)
	for next := from; rows.Next(); next++ {
		var r row
		var sealed, topic, pos, prev sql.NullInt64
		if err := rows.Scan(&r.index, &r.leaf, &sealed, &topic, &pos, &prev, &r.keyToken, &r.tokens, &r.body); err != nil {
			return nil, err
		}
		if r.index != next {
			return nil, wrong("ledger", next, "the entry is missing")
		}
		r.sealed, r.topic, r.pos, r.prev = sealed.Valid, topic.Int64, pos.Int64, prev.Int64
		found = append(found, r)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if uint64(len(found)) != to-from {
		return nil, wrong("ledger", from+uint64(len(found)), "the entry is missing")
	}
	return found, nil
}

// unreadable turns an error of the engine into a finding, if the engine answers
// otherwise: then it is the rows that cannot be read.
func unreadable(ctx context.Context, db *store.DB, err error, table string, row any) error {
	if f, ok := err.(*Finding); ok {
		return f
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if _, head := journal.ReadHead(ctx, db.Reader()); head != nil && !store.Corrupt(err) {
		return err
	}
	return wrong(table, row, "it cannot be read: %v", err)
}

// each runs scan over the rows of a query.
func (c *checker) each(ctx context.Context, table, query string, scan func(*sql.Rows) error, args ...any) error {
	rows, err := c.db.Reader().QueryContext(ctx, query, args...)
	if err != nil {
		return unreadable(ctx, c.db, err, table, nil)
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		if err := scan(rows); err != nil {
			return unreadable(ctx, c.db, err, table, nil)
		}
		n++
	}
	if err := rows.Err(); err != nil {
		return unreadable(ctx, c.db, err, table, nil)
	}
	return nil
}

// count counts the rows of a table.
func (c *checker) count(ctx context.Context, table string) (uint64, error) {
	var n uint64
	err := c.db.Reader().QueryRowContext(ctx, "SELECT count(*) FROM "+table).Scan(&n)
	if err != nil {
		return 0, unreadable(ctx, c.db, err, table, nil)
	}
	return n, nil
}
