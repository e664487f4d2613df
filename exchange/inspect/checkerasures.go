package inspect

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/huitong-bus/huitong/exchange/intake"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// by notes who made a publication, as far as lists of erasures need it.
func (r *replay) by(e *ledgerv1.LedgerEntry, p *ledgerv1.RecordPublished) {
	switch {
	case e.Actor != "":
		r.served = e.Index
	case p.Operation == ledgerv1.Operation_OPERATION_ERASE && !verify.OwnTopic(p.Topic):
		r.again = append(r.again, e)
	}
}

// checkErasureLists looks at how far lists of erasures followed the ledger, and
// compares what was made good by them with the erasures that did it.
func (c *checker) checkErasureLists(ctx context.Context) error {
	err := c.each(ctx, "erasure_lists", "SELECT list, next FROM erasure_lists ORDER BY list", func(rows *sql.Rows) error {
		var list string
		var next int64
		if err := rows.Scan(&list, &next); err != nil {
			return err
		}
		if list == "" || next < 0 || uint64(next) > c.head.Size {
			return wrong("erasure_lists", list, "next is ahead of the ledger")
		}
		return nil
	})
	if err != nil {
		return err
	}
	made, err := c.restored(ctx)
	if err != nil {
		return err
	}
	for i, e := range c.replay.again {
		p := e.GetPublished()
		if made[restoredKey{p.Topic, string(p.IdempotencyKey)}] {
			continue
		}
		// The row follows the erasure, and before it nobody is served: a crash may
		// have come between them.
		if last := i == len(c.replay.again)-1; last && e.Index > c.replay.served {
			continue
		}
		v, err := c.version(ctx, int64(e.Index))
		if err != nil {
			return err
		}
		return wrong("erasures_restored", restoredName(p.Topic, v.keyToken), "no row says which erasure entry %d makes good", e.Index)
	}
	return nil
}

// restoredKey names an erasure that made another one good.
type restoredKey struct{ topic, idempotency string }

func restoredName(topic string, token []byte) string { return fmt.Sprintf("%s %x", topic, token) }

// restored reads which erasures were made good.
func (c *checker) restored(ctx context.Context) (map[restoredKey]bool, error) {
	made := map[restoredKey]bool{}
	err := c.each(ctx, "erasures_restored", "SELECT topic, key_token, entry FROM erasures_restored", func(rows *sql.Rows) error {
		var topic string
		var token []byte
		var entry int64
		if err := rows.Scan(&topic, &token, &entry); err != nil {
			return err
		}
		if topic == "" || len(token) == 0 || entry < 0 {
			return wrong("erasures_restored", restoredName(topic, token), "the row is of no record's erasure")
		}
		key := intake.EraseAgainKey(c.origin, uint64(entry), token)
		made[restoredKey{topic, string(key[:])}] = true
		return nil
	})
	return made, err
}
