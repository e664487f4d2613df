package query

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/intake"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/release"
	"github.com/huitong-bus/huitong/exchange/store"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// then is a past of the ledger: when the entry of an index was the last.
type then struct {
	index uint64
	at    time.Time
}

// String tells one past from another, and from the present.
func (t *then) String() string {
	if t == nil {
		return ""
	}
	return strconv.FormatUint(t.index, 10)
}

// readAsOf reads what past is asked for, and then the page token, which is of
// that past.
func (q *Queries) readAsOf(ctx context.Context, a *question) error {
	if a.AsOf == nil {
		return q.readToken(a)
	}
	if _, byIndex := a.By.(*exchangev1.QueryRequest_Index); byIndex {
		return fault.Field("as_of", "as_of.index", "an index names one version already; ask by subject or key")
	}
	size, index := q.Journal.Head().Size, a.GetAsOfIndex()
	if by, ok := a.AsOf.(*exchangev1.QueryRequest_AsOfTime); ok {
		if by.AsOfTime.CheckValid() != nil {
			return fault.Field("as_of_time", "as_of.time", "is no time")
		}
		if by.AsOfTime.AsTime().After(q.Clock()) {
			return fault.Field("as_of_time", "as_of.future", "has not come yet")
		}
		next, err := journal.IndexAt(ctx, q.DB.Reader(), size, by.AsOfTime.AsTime().UnixMicro()+1)
		if err != nil {
			return err
		}
		if next == 0 {
			return fault.Field("as_of_time", "as_of.before", "is before the ledger's first entry")
		}
		index = next - 1
	}
	if index >= size {
		return fault.Field("as_of_index", "as_of.future", "the ledger has %d entries so far", size)
	}
	entry, err := entryAt(ctx, q.DB.Reader(), index)
	if err != nil {
		return err
	}
	a.then = &then{index, time.UnixMicro(entry.AtUs)}
	return q.readToken(a)
}

func entryAt(ctx context.Context, tx store.Tx, index uint64) (*ledgerv1.LedgerEntry, error) {
	var leaf []byte
	if err := tx.QueryRowContext(ctx, "SELECT leaf FROM ledger WHERE idx = $1", int64(index)).Scan(&leaf); err != nil {
		return nil, err
	}
	entry := &ledgerv1.LedgerEntry{}
	return entry, proto.Unmarshal(leaf, entry)
}

// tokens gives the records of a subject, now or then.
func (q *Queries) tokens(ctx context.Context, topic *catalog.Topic, a *question, after []byte, limit int) ([][]byte, error) {
	if a.then == nil {
		return q.Index.RecordsOfSubject(ctx, topic.Name, a.token, after, limit)
	}
	return q.Index.RecordsOfSubjectAt(ctx, topic.Name, a.token, after, limit, a.then.index)
}

// known adds records as they are, or as they were then.
func (q *Queries) known(ctx context.Context, topic *catalog.Topic, a *question, tokens [][]byte, fields []uint32, p *page) (done int, err error) {
	if a.then == nil {
		return q.records(ctx, topic, a, tokens, fields, p)
	}
	present, err := q.present(ctx, topic, tokens)
	if err != nil {
		return 0, err
	}
	for _, token := range tokens {
		if p.bytes >= pageBytes {
			return done, nil
		}
		done++
		held, ok := present[string(token)]
		if ok {
			p.saw(topic, &held)
		}
		v, err := q.versionThen(ctx, topic, token, held, ok, a.then)
		if err == nil && v != nil {
			err = q.addThen(p, topic, a, v, fields)
		}
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// past is a record as it was.
type past struct {
	newest  *journal.Row // the newest version then
	payload *journal.Row // the version whose payload stood then
	number  uint64
}

// versionThen follows a record's versions back to the newest that was known then;
// nil if the record was not. What was erased since has lost its key but for the
// row of its erasure, from which its versions are followed.
func (q *Queries) versionThen(ctx context.Context, topic *catalog.Topic, token []byte, held journal.Present, isHeld bool, at *then) (*past, error) {
	if isHeld {
		v, err := q.follow(ctx, held.Index, held.Version, at)
		if err != nil || v != nil {
			return v, err
		}
	}
	rows, err := q.DB.Reader().QueryContext(ctx,
		"SELECT idx FROM sealed WHERE topic = $1 AND key_token = $2 AND key_token IS NOT NULL AND body IS NULL AND idx > $3 ORDER BY idx LIMIT 1",
		journal.Number(topic.Name), token, int64(at.index))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var eraser uint64
	if !rows.Next() {
		return nil, rows.Err()
	}
	if err := rows.Scan(&eraser); err != nil {
		return nil, err
	}
	if err := rows.Close(); err != nil {
		return nil, err
	}
	v, err := q.follow(ctx, eraser, 0, at)
	if v != nil {
		v.newest.KeyToken = token
	}
	return v, err
}

// follow goes back from a version of a number to the newest that was known then,
// and from there to the payload that stood.
func (q *Queries) follow(ctx context.Context, from, number uint64, at *then) (*past, error) {
	v := &past{number: number}
	for index := int64(from); index >= 0; {
		var prev int64
		if err := q.DB.Reader().QueryRowContext(ctx, "SELECT prev FROM sealed WHERE idx = $1", index).Scan(&prev); err != nil {
			return nil, fmt.Errorf("entry %d: %w", index, err)
		}
		switch {
		case uint64(index) > at.index:
			if v.number > 0 {
				v.number--
			}
		default:
			row, err := journal.ByIndex(ctx, q.DB.Reader(), uint64(index))
			if err != nil || row == nil {
				return nil, err
			}
			entry := &ledgerv1.LedgerEntry{}
			if err := proto.Unmarshal(row.Leaf, entry); err != nil {
				return nil, err
			}
			if v.newest == nil {
				v.newest = row
			}
			if op := entry.GetPublished().GetOperation(); op == ledgerv1.Operation_OPERATION_PUT {
				v.payload = row
				return v, nil
			} else if op == ledgerv1.Operation_OPERATION_ERASE {
				return nil, nil // another life of the key, which had ended by then
			}
		}
		index = prev - 1
	}
	if v.newest == nil {
		return nil, nil
	}
	v.payload = v.newest
	return v, nil
}

// maySayErased says whether the caller may hear that a record was erased: nobody
// knows any more whom it was about, and so whether the case names its subject. To
// the provider, and of records that are about nobody, it is told.
func maySayErased(topic *catalog.Topic, a *question) (bool, error) {
	if participant, _, _ := strings.Cut(a.caller, "/"); participant == topic.Provider {
		return true, nil
	}
	k, err := topic.Contract(0)
	return err == nil && k.AboutNobody(), err
}

// addThen adds a record as it was, if it was about the subject and had a status
// that is asked for. One that was erased since says so, and nothing else, to whom
// it may be told.
func (q *Queries) addThen(p *page, topic *catalog.Topic, a *question, v *past, fields []uint32) error {
	view := release.View{Fields: fields, JSON: a.Json, Current: true}
	if v.payload.Body == nil {
		if says, err := maySayErased(topic, a); err != nil || !says {
			return err
		}
		return q.addAt(p, topic, v.newest, release.Presence{}, view, q.Clock)
	}
	entry := &ledgerv1.LedgerEntry{}
	if err := proto.Unmarshal(v.newest.Leaf, entry); err != nil {
		return err
	}
	status := release.StatusAfter(entry.GetPublished().GetOperation())
	if !a.IncludeInactive && status != exchangev1.Status_STATUS_ACTIVE {
		return nil
	}
	if about, err := q.about(topic, v.payload, a); err != nil || !about {
		return err
	}
	until, err := q.validUntil(topic, v.payload)
	if err != nil {
		return err
	}
	return q.addAt(p, topic, v.payload, release.Presence{
		Held: true, Index: v.newest.Index, PayloadIndex: v.payload.Index, Version: v.number, Status: status, ValidUntil: until,
	}, view, func() time.Time { return a.then.at })
}

// validUntil reads a version's last day of validity: the pointers keep that of
// the present version only.
func (q *Queries) validUntil(topic *catalog.Topic, row *journal.Row) (int64, error) {
	entry := &ledgerv1.LedgerEntry{}
	if err := proto.Unmarshal(row.Leaf, entry); err != nil {
		return 0, err
	}
	opening, err := journal.OpenRecord(q.Keyring, q.Journal.Head().Origin, topic.Name, row.KeyToken, row.Body)
	if err != nil {
		return 0, fmt.Errorf("entry %d: %w", row.Index, err)
	}
	k, err := topic.Contract(entry.GetPublished().GetContractVersion())
	if err != nil {
		return 0, err
	}
	record, err := k.Read(opening.Payload)
	if err != nil {
		return 0, fmt.Errorf("entry %d: %w", row.Index, err)
	}
	_, until := intake.ValidDays(record)
	return until, nil
}
