package snapshot

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/intake"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/store"
	"github.com/huitong-bus/huitong/exchange/store/crashpoint"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// removeAtOnce is how many records one call removes: half of a group, so that
// others go on beside it.
const removeAtOnce = 500

// finishAll makes the removals of every load that has ended and is not done.
func (l *Loads) finishAll(ctx context.Context) error {
	undone, err := readRows(ctx, l.DB.Reader(), rowColumns+"WHERE ended > 0 AND done = 0 ORDER BY topic")
	if err != nil {
		return err
	}
	var errs []error
	for _, r := range undone {
		errs = append(errs, l.finish(ctx, r.topic))
	}
	return errors.Join(errs...)
}

// finish makes the removals that a topic's load has left to make, if it has
// ended. Whoever calls it, and how often, they are made once.
func (l *Loads) finish(ctx context.Context, topic string) error {
	load, err := readRow(ctx, l.DB.Reader(), topic)
	if err != nil || load == nil || load.ended == 0 || load.done {
		return err
	}
	l.finishing.Lock()
	defer l.finishing.Unlock()
	if load, err = readRow(ctx, l.DB.Reader(), topic); err != nil || load.done {
		return err // another call has
	}
	t, err := l.Topics.Topic(topic)
	if err != nil {
		return err
	}
	entry, _, err := l.entry(ctx, load.ended-1)
	if err != nil {
		return err
	}
	r := &removal{loads: l, load: load, topic: t, actor: entry.Actor, certificate: entry.ActorCertificate}
	if err := r.run(ctx); err != nil {
		return err
	}
	removed, err := l.removed(ctx, load)
	if err != nil {
		return err
	}
	_, err = l.Journal.Submit(ctx, &journal.Call{From: entry.Actor, Build: func(ctx context.Context, tx store.Tx, _ journal.Slot) ([]journal.Entry, error) {
		_, err := tx.ExecContext(ctx, "UPDATE full_loads SET removed = $1, done = 1 WHERE topic = $2 AND ended = $3", int64(removed), topic, int64(load.ended))
		return nil, err
	}})
	return err
}

// removal makes the removals of one load, in the name of the system that ended
// it: its signature over the end stands for theirs.
type removal struct {
	loads       *Loads
	load        *row
	topic       *catalog.Topic
	actor       string
	certificate []byte
}

func (r *removal) run(ctx context.Context) error {
	after := []byte{}
	for {
		page, err := r.page(ctx, after)
		if err != nil {
			return err
		}
		if len(page) > 0 {
			after = page[len(page)-1].KeyToken
			if err := r.remove(ctx, page); err != nil {
				return err
			}
			// A crash here leaves some records removed and others not: those that
			// are left are found again by what they are.
			crashpoint.Here("snapshot.removing")
		}
		if len(page) < removeAtOnce {
			return nil
		}
	}
}

// page gives records that the load did not mention, in the order of their
// tokens.
func (r *removal) page(ctx context.Context, after []byte) ([]journal.Present, error) {
	rows, err := r.loads.DB.Reader().QueryContext(ctx, `SELECT key_token, idx, payload_idx FROM records
		WHERE topic = $1 AND key_token > $2 AND idx < $3 AND status IN `+held+` ORDER BY key_token LIMIT $4`,
		journal.Number(r.topic.Name), after, int64(r.load.begun), int64(removeAtOnce))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var page []journal.Present
	for rows.Next() {
		var p journal.Present
		if err := rows.Scan(&p.KeyToken, &p.Index, &p.PayloadIndex); err != nil {
			return nil, err
		}
		page = append(page, p)
	}
	return page, rows.Err()
}

// remove publishes the removals of a page.
func (r *removal) remove(ctx context.Context, page []journal.Present) error {
	l := r.loads
	rows, err := journal.PayloadsOf(ctx, l.DB.Journal, l.DB.Reader(), page)
	if err != nil {
		return err
	}
	call := &journal.Publish{Actor: r.actor, Certificate: r.certificate}
	for _, p := range page {
		row, ok := rows[string(p.KeyToken)]
		if !ok {
			continue // erased meanwhile
		}
		record, err := r.record(&p, &row)
		if err != nil {
			return err
		}
		record.Position = uint32(len(call.Records))
		call.Records = append(call.Records, record)
	}
	if call.Statements = len(call.Records); call.Statements == 0 {
		return nil
	}
	commit, err := l.Journal.Submit(ctx, &journal.Call{From: r.actor, Publish: call})
	if err != nil {
		return err
	}
	for _, o := range commit.Records {
		// One that was published, removed or erased meanwhile stays as it is.
		if k := fault.KindOf(o.Err); o.Err != nil && k != fault.Conflict && k != fault.NotFound {
			return o.Err
		}
	}
	return nil
}

func (r *removal) record(p *journal.Present, row *journal.Row) (*journal.Record, error) {
	l := r.loads
	origin := l.Journal.Head().Origin
	opening, err := journal.OpenRecord(l.Keys, origin, r.topic.Name, p.KeyToken, row.Body)
	if err != nil {
		return nil, fmt.Errorf("entry %d: %w", row.Index, err)
	}
	leaf := &ledgerv1.RecordPublished{
		Topic: r.topic.Name, Operation: ledgerv1.Operation_OPERATION_REMOVE, Partition: r.topic.Partition,
		IdempotencyKey: r.key(p.KeyToken), IfIndexPlusOne: p.Index + 1, SnapshotPlusOne: r.load.ended,
	}
	return intake.Own(l.Keys, origin, leaf, opening.Key, fmt.Sprintf("not mentioned by the full load that entry %d ended", r.load.ended-1))
}

// key names the removal of a record by this load for good.
func (r *removal) key(token []byte) []byte {
	b := append([]byte("huitong/snapshot-remove/v1"), r.loads.Journal.Head().Origin...)
	b = binary.BigEndian.AppendUint64(b, r.load.ended)
	sum := sha256.Sum256(append(b, token...))
	return sum[:verify.KeySize]
}

// removed counts the removals that a load's end has made.
func (l *Loads) removed(ctx context.Context, load *row) (n uint64, err error) {
	for after := int64(load.ended); ; {
		page, last, err := l.removals(ctx, load, after)
		if err != nil {
			return 0, err
		}
		if last == 0 {
			return n, nil
		}
		n, after = n+page, last+1
	}
}

// removals counts those of one page of the topic's publications, and gives the
// last of them; 0 if there are none.
func (l *Loads) removals(ctx context.Context, load *row, from int64) (n uint64, last int64, err error) {
	rows, err := l.DB.Reader().QueryContext(ctx, `SELECT l.idx, l.leaf FROM sealed s JOIN ledger l ON l.idx = s.idx
		WHERE s.idx >= $1 AND s.topic = $2 AND s.pos > 0 ORDER BY s.idx LIMIT 1000`, from, journal.Number(load.topic))
	if err != nil {
		return 0, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var leaf []byte
		if err := rows.Scan(&last, &leaf); err != nil {
			return 0, 0, err
		}
		e := &ledgerv1.LedgerEntry{}
		if err := proto.Unmarshal(leaf, e); err != nil {
			return 0, 0, err
		}
		if e.GetPublished().GetSnapshotPlusOne() == load.ended {
			n++
		}
	}
	return n, last, rows.Err()
}
