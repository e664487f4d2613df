package inspect

import (
	"bytes"
	"context"
	"database/sql"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fanout"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/notice"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

// fanOuts compares the rows of fan-outs with what was asked, answered and
// reported: records on the exchange's own topics, which the ledger commits to.
type fanOuts struct {
	*checker
	// rows are the records that a row tells of, by topic and key.
	rows map[string]bool
	// gone are the erasures of reports that a row tells of.
	gone map[uint64]bool
}

// checkFanOuts checks that each row of a fan-out says what its records say, and
// that each record has its row.
func (c *checker) checkFanOuts(ctx context.Context) error {
	f := &fanOuts{checker: c, rows: map[string]bool{}, gone: map[uint64]bool{}}
	kept := fanout.New(fanout.Config{DB: c.db, Keyring: c.keyring})
	var ids []string
	err := c.each(ctx, "fan_outs", "SELECT id FROM fan_outs ORDER BY id", func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	})
	if err != nil {
		return err
	}
	for _, id := range ids {
		k, err := kept.Keep(ctx, id)
		if err != nil {
			return wrong("fan_outs", id, "the row or its sources cannot be read: %v", err)
		}
		if err := f.fanOut(ctx, k); err != nil {
			return err
		}
	}
	if err := f.haveErased(ctx); err != nil {
		return err
	}
	for _, of := range []struct{ topic, table string }{
		{notice.FanOutReports, "fan_outs"}, {notice.FanOutRequests, "fan_out_sources"}, {notice.FanOutAnswers, "fan_out_sources"},
	} {
		if err := f.haveRows(ctx, of.topic, of.table); err != nil {
			return err
		}
	}
	return c.each(ctx, "fan_out_sources", "SELECT fan_out FROM fan_out_sources WHERE fan_out NOT IN (SELECT id FROM fan_outs)", func(rows *sql.Rows) error {
		var id string
		if err := rows.Scan(&id); err != nil {
			return err
		}
		return wrong("fan_out_sources", id, "there is no such fan-out")
	})
}

// fanOut checks one fan-out and its sources.
func (f *fanOuts) fanOut(ctx context.Context, k *fanout.Kept) error {
	if err := k.Plausible(); err != nil {
		return wrong("fan_outs", k.ID, "%v", err)
	}
	if err := k.Complete(); err != nil {
		return wrong("fan_out_sources", k.ID, "%v", err)
	}
	if k.Erased {
		return f.erased(ctx, k)
	}
	report := &recordsv1.FanOutReport{}
	told, err := f.record(ctx, "fan_outs", k.ID, notice.FanOutReports, k.ID, k.Reported, report)
	if err != nil {
		return err
	}
	if told {
		if err := k.Matches(report); err != nil {
			return wrong("fan_outs", k.ID, "%v", err)
		}
	}
	for i, s := range k.Sources {
		if err := f.source(ctx, s); err != nil {
			return err
		}
		if !told {
			continue
		}
		if err := s.MatchesResult(report.Results[i]); err != nil {
			return wrong("fan_out_sources", s.ID, "%v", err)
		}
	}
	return nil
}

// erased checks that the report of a fan-out was erased, by the entry that its row
// names; or before, by one that a restored backup does not have.
func (f *fanOuts) erased(ctx context.Context, k *fanout.Kept) error {
	token := f.keys.Token(identity.TokenRecord, notice.FanOutReports, k.ID)
	if k.Reported == 0 {
		var made int
		err := f.db.Reader().QueryRowContext(ctx, "SELECT count(*) FROM erasures_restored WHERE topic = $1 AND key_token = $2", notice.FanOutReports, token).Scan(&made)
		if err != nil {
			return unreadable(ctx, f.db, err, "erasures_restored", nil)
		}
		if made == 0 {
			return wrong("fan_outs", k.ID, "the row tells nothing, and nothing was erased")
		}
		return nil
	}
	v, err := f.version(ctx, int64(k.Reported-1))
	if err != nil {
		return err
	}
	if v == nil || v.published.GetOperation() != ledgerv1.Operation_OPERATION_ERASE || !bytes.Equal(v.keyToken, token) {
		return wrong("fan_outs", k.ID, "the row does not name the erasure of its report")
	}
	f.gone[k.Reported-1] = true
	return nil
}

// haveErased checks that of each fan-out whose report was erased there is a row, so
// that nobody is asked again under its key.
func (f *fanOuts) haveErased(ctx context.Context) error {
	for _, e := range f.replay.erasures {
		v, err := f.version(ctx, int64(e.requestedBy))
		if err != nil {
			return err
		}
		if v.published.GetTopic() == notice.FanOutReports && !f.gone[e.requestedBy] {
			return wrong("fan_outs", nil, "the row is missing whose report entry %d erased", e.requestedBy)
		}
	}
	return nil
}

func (f *fanOuts) source(ctx context.Context, s *fanout.KeptSource) error {
	if err := s.Plausible(); err != nil {
		return wrong("fan_out_sources", s.ID, "%v", err)
	}
	request, answer := &recordsv1.SupplierRequest{}, &recordsv1.SupplierAnswer{}
	there, err := f.record(ctx, "fan_out_sources", s.ID, notice.FanOutRequests, s.ID, s.Requested, request)
	if err != nil {
		return err
	}
	if there {
		if err := s.MatchesRequest(request); err != nil {
			return wrong("fan_out_sources", s.ID, "%v", err)
		}
	}
	if there, err = f.record(ctx, "fan_out_sources", s.ID, notice.FanOutAnswers, s.ID, s.Answered, answer); err != nil {
		return err
	}
	if there {
		if err := s.MatchesAnswer(answer); err != nil {
			return wrong("fan_out_sources", s.ID, "%v", err)
		}
	}
	if s.Read == 0 {
		return nil
	}
	read, err := f.isReading(ctx, s)
	if err == nil && !read {
		err = wrong("fan_out_sources", s.ID, "entry %d is no reading that the source was answered with", s.Read-1)
	}
	return err
}

// record opens the present version of one of the exchange's own records, whose
// entry + 1 a row names; there is none where that is 0.
func (f *fanOuts) record(ctx context.Context, table, row, topic, key string, plusOne uint64, into proto.Message) (there bool, err error) {
	token := f.keys.Token(identity.TokenRecord, topic, key)
	present, err := journal.PresentOf(ctx, f.db.Journal, f.db.Reader(), journal.Number(topic), [][]byte{token})
	if err != nil {
		return false, unreadable(ctx, f.db, err, "records", nil)
	}
	held, there := present[string(token)]
	if there != (plusOne != 0) || there && held.Index != plusOne-1 {
		return false, wrong(table, row, "the row does not name the entry of its record on %s, or there is none", topic)
	}
	if !there {
		return false, nil
	}
	f.rows[topic+" "+key] = true
	v, err := f.version(ctx, int64(held.Index))
	if err != nil {
		return false, err
	}
	opening, err := journal.OpenRecord(f.keys, f.origin, topic, v.keyToken, v.body)
	if err == nil {
		err = proto.Unmarshal(opening.Payload, into)
	}
	if err != nil {
		return false, wrong("sealed", held.Index, "it does not open")
	}
	return true, nil
}

// isReading says whether the entry that a source names is a reading by who asked,
// of the topic, for the case and about the subject.
func (f *fanOuts) isReading(ctx context.Context, s *fanout.KeptSource) (bool, error) {
	var leaf, body []byte
	err := f.db.Reader().QueryRowContext(ctx, "SELECT l.leaf, s.body FROM ledger l JOIN sealed s ON s.idx = l.idx WHERE l.idx = $1", int64(s.Read)-1).Scan(&leaf, &body)
	if err != nil {
		return false, wrong("fan_out_sources", s.ID, "entry %d cannot be read: %v", s.Read-1, err)
	}
	entry, err := decode(leaf)
	if err != nil || entry.GetQueried() == nil && entry.GetChecked() == nil {
		return false, nil
	}
	opening, err := journal.OpenEntry(f.keys, f.origin, body)
	if err != nil {
		return false, wrong("sealed", s.Read-1, "body does not open")
	}
	about := opening.GetSubject().GetType() + ":" + opening.GetSubject().GetNumber()
	if q := entry.GetQueried(); q != nil {
		return s.IsReading(q.Topic, verify.ParticipantOf(q.Consumer), opening.CaseNumber, about, q.Records > 0), nil
	}
	k := entry.GetChecked()
	return s.IsReading(k.Topic, verify.ParticipantOf(k.Consumer), opening.CaseNumber, about, opening.Answer != "not held"), nil
}

// haveRows checks that each record of a topic is one that a row tells of.
func (f *fanOuts) haveRows(ctx context.Context, topic, table string) error {
	var all []int64
	if err := f.each(ctx, "records", "SELECT idx FROM records WHERE topic = $1 ORDER BY idx", func(rows *sql.Rows) error {
		var idx int64
		err := rows.Scan(&idx)
		all = append(all, idx)
		return err
	}, journal.Number(topic)); err != nil {
		return err
	}
	for _, idx := range all {
		v, err := f.version(ctx, idx)
		if err != nil {
			return err
		}
		opening, err := journal.OpenRecord(f.keys, f.origin, topic, v.keyToken, v.body)
		if err != nil {
			return wrong("sealed", idx, "it does not open")
		}
		if !f.rows[topic+" "+opening.Key] {
			return wrong(table, opening.Key, "the row is missing of which entry %d tells", idx)
		}
	}
	return nil
}
