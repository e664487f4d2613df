package inspect

import (
	"context"
	"strconv"
	"time"

	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/release"
	"github.com/huitong-bus/huitong/exchange/store"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// counts are the columns of index_counts.
type counts struct {
	idx, day                                                           store.Ints
	item, department                                                   store.Blobs
	cases, asked, held, reused, declined, submitted, papers, avoidable store.Ints
}

var insertCounts = &store.Insert{
	Into: "INTO index_counts (idx, day, item, department, cases, asked, held, reused, declined, submitted, papers, avoidable)",
	Then: "ON CONFLICT DO NOTHING",
}

func (c *counts) write(ctx context.Context, p *store.Part, tx store.Tx) error {
	return insertCounts.Run(ctx, p, tx, c.idx, c.day, c.item, c.department, c.cases, c.asked, c.held, c.reused, c.declined, c.submitted, c.papers, c.avoidable)
}

// take counts what an entry says of materials.
func (c *counts) take(e *ledgerv1.LedgerEntry) {
	var n Count
	switch b := e.Body.(type) {
	case *ledgerv1.LedgerEntry_Prepared:
		if b.Prepared.Again {
			return
		}
		n.Item, n.Cases = b.Prepared.Item, 1
		for _, m := range b.Prepared.Materials {
			n.Asked++
			if m.State == ledgerv1.MaterialState_MATERIAL_STATE_HELD || m.State == ledgerv1.MaterialState_MATERIAL_STATE_DISPUTED {
				n.Held++
			}
		}
	case *ledgerv1.LedgerEntry_Collected:
		n.Item = b.Collected.Item
		for _, m := range b.Collected.Materials {
			if m.State == ledgerv1.MaterialState_MATERIAL_STATE_DECLINED {
				n.Declined++
			} else {
				n.Reused++
			}
		}
	case *ledgerv1.LedgerEntry_Submitted:
		n.Item, n.Submitted = b.Submitted.Item, 1
	case *ledgerv1.LedgerEntry_Papers:
		n.Item = b.Papers.Item
		for _, paper := range b.Papers.Papers {
			n.Papers++
			if paper.Avoidable {
				n.Avoidable++
			}
		}
	default:
		return
	}
	c.idx, c.day = append(c.idx, int64(e.Index)), append(c.day, release.Today(time.UnixMicro(e.AtUs)))
	c.item, c.department = append(c.item, []byte(n.Item)), append(c.department, []byte(verify.ParticipantOf(e.Actor)))
	c.cases, c.asked, c.held = append(c.cases, int64(n.Cases)), append(c.asked, int64(n.Asked)), append(c.held, int64(n.Held))
	c.reused, c.declined = append(c.reused, int64(n.Reused)), append(c.declined, int64(n.Declined))
	c.submitted, c.papers, c.avoidable = append(c.submitted, int64(n.Submitted)), append(c.papers, int64(n.Papers)), append(c.avoidable, int64(n.Avoidable))
}

// Count is what was counted of an item at a department on a day.
type Count struct {
	Day                                                                int64 // since 1970-01-01, Asia/Shanghai
	Item, Department                                                   string
	Cases, Asked, Held, Reused, Declined, Submitted, Papers, Avoidable uint64
}

// Counts gives what was counted from a day until another, both inclusive, of all
// items and departments or of one. Wait for the head first.
func (x *Index) Counts(ctx context.Context, from, until int64, item, department string) ([]Count, error) {
	query, args := `SELECT day, item, department, sum(cases), sum(asked), sum(held), sum(reused), sum(declined), sum(submitted), sum(papers), sum(avoidable)
		FROM index_counts WHERE day >= $1 AND day <= $2`, []any{from, until}
	for column, value := range map[string]string{"item": item, "department": department} {
		if value != "" {
			args = append(args, []byte(value))
			query += " AND " + column + " = $" + strconv.Itoa(len(args))
		}
	}
	rows, err := x.DB.Index.Read().QueryContext(ctx, query+" GROUP BY day, department, item ORDER BY day, department, item", args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Count
	for rows.Next() {
		var c Count
		var item, department []byte
		err := rows.Scan(&c.Day, &item, &department, &c.Cases, &c.Asked, &c.Held, &c.Reused, &c.Declined, &c.Submitted, &c.Papers, &c.Avoidable)
		if err != nil {
			return nil, err
		}
		c.Item, c.Department = string(item), string(department)
		all = append(all, c)
	}
	return all, rows.Err()
}
