package inspect

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/store"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// tells says whether a publication puts a record out of force, or into force again,
// or says why it says otherwise now, so that who relied on it has to hear.
func (p glanced) tells() bool {
	switch p.op {
	case ledgerv1.Operation_OPERATION_PUT:
		return p.reason
	case ledgerv1.Operation_OPERATION_SUSPEND, ledgerv1.Operation_OPERATION_RESUME, ledgerv1.Operation_OPERATION_REVOKE,
		ledgerv1.Operation_OPERATION_CANCEL, ledgerv1.Operation_OPERATION_SUPERSEDE, ledgerv1.Operation_OPERATION_ERASE:
		return true
	}
	return false
}

// relied takes the versions that a query or a check looked at. A version of which
// nothing left, such as that of an erased record, is none; nor is one that was only
// shown to the applicant before collecting.
func (b *batch) relied(index uint64, e *ledgerv1.LedgerEntry, o *ledgerv1.ReadOpening) {
	queried := e.GetQueried() != nil
	if !queried && e.GetChecked() == nil || e.GetQueried().GetPreview() {
		return
	}
	for _, raw := range o.Details {
		d := &ledgerv1.ReleaseDetail{}
		if err := proto.Unmarshal(raw, d); err != nil || queried && len(d.PayloadDigest) == 0 {
			continue
		}
		b.reads.version, b.reads.idx = append(b.reads.version, int64(d.Index)), append(b.reads.idx, int64(index))
	}
}

// toldOf says whether those who relied on a record were told of the publication
// that asked to erase it; see exchange/hearing, which keeps the row.
func toldOf(ctx context.Context, tx store.Tx, requestedBy uint64) (bool, error) {
	var next uint64
	err := tx.QueryRowContext(ctx, "SELECT next FROM hearing WHERE id = 1").Scan(&next)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return requestedBy < next, err
}

func forgetReads(ctx context.Context, tx store.Tx, versions []int64) error {
	for _, v := range versions {
		if _, err := tx.ExecContext(ctx, "DELETE FROM index_reads WHERE version = $1", v); err != nil {
			return err
		}
	}
	return nil
}

// versionsAtOnce bounds the versions of a record that one statement asks for.
const versionsAtOnce = 32

// Versions gives the entries of all versions of the record that a publication is
// of, up to it, the newest first; of an erased record too.
func (x *Index) Versions(ctx context.Context, publication uint64) ([]uint64, error) {
	var all []uint64
	for at := int64(publication); ; {
		var prev int64
		err := x.DB.Reader().QueryRowContext(ctx, "SELECT prev FROM sealed WHERE idx = $1", at).Scan(&prev)
		if err != nil {
			return nil, fmt.Errorf("the versions of entry %d: %w", publication, err)
		}
		if all = append(all, uint64(at)); prev == 0 {
			return all, nil
		}
		at = prev - 1
	}
}

// Relier is a participant that relied on a record: it queried or checked it.
type Relier struct {
	Participant string
	Systems     []string
	// Entries are its queries and checks, ascending, and Version the newest version
	// that any of them looked at.
	Entries []uint64
	Version uint64
	// Cases are the case numbers that it named, each once. They are personal.
	Cases []string

	seen map[string]bool
}

// ReliersOf gives who relied on any of some versions, by participant. Wait for
// the head first. Subscriptions are not looked at: who subscribes hears by the
// record's next version.
func (x *Index) ReliersOf(ctx context.Context, versions []uint64) ([]*Relier, error) {
	found := map[string]*Relier{}
	for list := range slices.Chunk(versions, versionsAtOnce) {
		reads, err := x.readsOf(ctx, list)
		if err != nil {
			return nil, err
		}
		for _, r := range reads {
			if err := x.relier(ctx, found, r); err != nil {
				return nil, err
			}
		}
	}
	var all []*Relier
	for _, r := range found {
		slices.Sort(r.Entries)
		r.Entries = slices.Compact(r.Entries)
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b *Relier) int { return strings.Compare(a.Participant, b.Participant) })
	return all, nil
}

// read is a query or check that looked at a version.
type read struct{ version, idx uint64 }

// readsOf gives the queries and checks that looked at any of some versions.
func (x *Index) readsOf(ctx context.Context, versions []uint64) ([]read, error) {
	args := make([]any, len(versions))
	for i, v := range versions {
		args[i] = int64(v)
	}
	args = filledUp(args)
	rows, err := x.DB.Index.Read().QueryContext(ctx, "SELECT version, idx FROM index_reads WHERE version IN ("+places(1, len(args))+") ORDER BY idx, version", args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []read
	for rows.Next() {
		var r read
		if err := rows.Scan(&r.version, &r.idx); err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, rows.Err()
}

// relier adds one query or check to those of its participant.
func (x *Index) relier(ctx context.Context, found map[string]*Relier, one read) error {
	consumer, body, err := x.reader(ctx, one.idx)
	if err != nil {
		return err
	}
	participant := verify.ParticipantOf(consumer)
	r := found[participant]
	if r == nil {
		r = &Relier{Participant: participant, seen: map[string]bool{}}
		found[participant] = r
	}
	opening, err := journal.OpenEntry(x.Keyring, x.Journal.Head().Origin, body)
	if err != nil {
		return fmt.Errorf("the opening of entry %d: %w", one.idx, err)
	}
	r.Systems, r.Entries, r.Version = addOnce(r.Systems, consumer), append(r.Entries, one.idx), max(r.Version, one.version)
	if number := opening.CaseNumber; number != "" && !r.seen[number] {
		r.seen[number], r.Cases = true, append(r.Cases, number)
	}
	return nil
}

// reader gives who made a query or a check, and its sealed opening.
func (x *Index) reader(ctx context.Context, idx uint64) (consumer string, body []byte, err error) {
	var leaf []byte
	err = x.DB.Reader().QueryRowContext(ctx, "SELECT l.leaf, s.body FROM ledger l JOIN sealed s ON s.idx = l.idx WHERE l.idx = $1", int64(idx)).Scan(&leaf, &body)
	if err != nil {
		return "", nil, fmt.Errorf("entry %d: %w", idx, err)
	}
	entry, err := decode(leaf)
	if err != nil {
		return "", nil, fmt.Errorf("entry %d: %w", idx, err)
	}
	if c := entry.GetChecked(); c != nil {
		return c.Consumer, body, nil
	}
	return entry.GetQueried().GetConsumer(), body, nil
}

// Relied says whether a participant queried or checked any of some versions.
func (x *Index) Relied(ctx context.Context, participant string, versions []uint64) (bool, error) {
	for list := range slices.Chunk(versions, versionsAtOnce) {
		reads, err := x.readsOf(ctx, list)
		if err != nil {
			return false, err
		}
		for _, r := range reads {
			consumer, _, err := x.reader(ctx, r.idx)
			if err != nil || verify.ParticipantOf(consumer) == participant {
				return err == nil, err
			}
		}
	}
	return false, nil
}

// CausesFrom gives entries of which those who have to do with a record are told,
// from an entry on, ascending.
func (x *Index) CausesFrom(ctx context.Context, from uint64, limit int) ([]uint64, error) {
	rows, err := x.DB.Index.Read().QueryContext(ctx, "SELECT idx FROM index_causes WHERE idx >= $1 ORDER BY idx LIMIT $2", int64(from), int64(limit))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []uint64
	for rows.Next() {
		var idx uint64
		if err := rows.Scan(&idx); err != nil {
			return nil, err
		}
		all = append(all, idx)
	}
	return all, rows.Err()
}

// Changed gives a channel that is closed when the index has followed further.
// Take it before reading what is to be waited for.
func (x *Index) Changed() <-chan struct{} { return *x.signal.Load() }

// ForgetReads deletes what is known of who relied on some versions; of an erased
// record, once they were told.
func (x *Index) ForgetReads(ctx context.Context, versions []uint64) error {
	list := make([]int64, len(versions))
	for i, v := range versions {
		list[i] = int64(v)
	}
	return x.DB.Index.Update(ctx, func(ctx context.Context, tx store.Tx) error { return forgetReads(ctx, tx, list) })
}
