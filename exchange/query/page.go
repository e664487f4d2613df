package query

import (
	"bytes"
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/release"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// page is what one answer holds.
type page struct {
	batch *release.Batch
	next  string
	bytes int
}

// page reads and cuts what the question asks for.
func (q *Queries) page(ctx context.Context, topic *catalog.Topic, a *question, fields []uint32) (*page, error) {
	p := &page{batch: &release.Batch{}}
	switch a.By.(type) {
	case *exchangev1.QueryRequest_Index:
		return p, q.version(ctx, topic, a, fields, p)
	case *exchangev1.QueryRequest_Key:
		_, err := q.records(ctx, topic, a, [][]byte{a.token}, fields, p)
		return p, err
	}
	return p, q.ofSubject(ctx, topic, a, fields, p)
}

// version adds one version by its ledger index.
func (q *Queries) version(ctx context.Context, topic *catalog.Topic, a *question, fields []uint32, p *page) error {
	row, err := journal.ByIndex(ctx, q.DB.Reader(), a.GetIndex())
	if err != nil {
		return err
	}
	if row == nil || row.Topic != journal.Number(topic.Name) {
		return fault.New(fault.NotFound, "record.unknown", "entry %d publishes no record of this topic", a.GetIndex())
	}
	present, err := q.present(ctx, topic, [][]byte{row.KeyToken})
	if err != nil {
		return err
	}
	return q.add(p, topic, row, presence(present, row.KeyToken), release.View{Fields: fields, JSON: a.Json})
}

// ofSubject adds the subject's records, from behind the page before on.
func (q *Queries) ofSubject(ctx context.Context, topic *catalog.Topic, a *question, fields []uint32, p *page) error {
	if err := q.Index.Wait(ctx, q.Journal.Head().Size); err != nil {
		return err
	}
	after := a.after
	for {
		room := a.limit - len(p.batch.Records)
		tokens, err := q.Index.RecordsOfSubject(ctx, topic.Name, a.token, after, room+1)
		if err != nil {
			return err
		}
		more := len(tokens) > room
		tokens = tokens[:min(len(tokens), room)]
		done, err := q.records(ctx, topic, a, tokens, fields, p)
		if err != nil {
			return err
		}
		if done > 0 {
			after = tokens[done-1]
		}
		switch full := len(p.batch.Records) >= a.limit || p.bytes >= pageBytes; {
		case done == len(tokens) && !more:
			return nil
		case full:
			p.next = q.pageToken(a, after)
			return nil
		}
	}
}

// records adds the present versions of records, by their tokens, and says how
// many of these it came to before the page was full.
func (q *Queries) records(ctx context.Context, topic *catalog.Topic, a *question, tokens [][]byte, fields []uint32, p *page) (done int, err error) {
	present, err := q.present(ctx, topic, tokens)
	if err != nil {
		return 0, err
	}
	var wanted []journal.Present
	for _, token := range tokens {
		r, held := present[string(token)]
		if held && (a.IncludeInactive || r.Status == exchangev1.Status_STATUS_ACTIVE) {
			wanted = append(wanted, r)
		}
	}
	rows, err := journal.PayloadsOf(ctx, q.DB.Journal, q.DB.Reader(), wanted)
	if err != nil {
		return 0, err
	}
	for _, token := range tokens {
		if p.bytes >= pageBytes {
			return done, nil
		}
		done++
		row, ok := rows[string(token)]
		if !ok {
			continue
		}
		if about, err := q.about(topic, &row, a.subject); err != nil || !about {
			if err != nil {
				return done, err
			}
			continue
		}
		view := release.View{Fields: fields, JSON: a.Json, Current: true}
		if err := q.add(p, topic, &row, presence(present, token), view); err != nil {
			return done, err
		}
	}
	return done, nil
}

func (q *Queries) present(ctx context.Context, topic *catalog.Topic, tokens [][]byte) (map[string]journal.Present, error) {
	return journal.PresentOf(ctx, q.DB.Journal, q.DB.Reader(), journal.Number(topic.Name), tokens)
}

func presence(present map[string]journal.Present, token []byte) release.Presence {
	r, held := present[string(token)]
	return release.Presence{
		Held: held, Index: r.Index, PayloadIndex: r.PayloadIndex, Version: r.Version, Status: r.Status, ValidUntil: r.ValidUntil,
	}
}

// about says whether a version is about the subject, in the role that is asked
// for: the index knows only that some version of the record is.
func (q *Queries) about(topic *catalog.Topic, row *journal.Row, subject *ledgerv1.Subject) (bool, error) {
	if subject == nil {
		return true, nil
	}
	if row.Body == nil {
		return false, nil
	}
	opening, err := journal.OpenRecord(q.Keyring, q.Journal.Head().Origin, topic.Name, row.KeyToken, row.Body)
	if err != nil {
		return false, fmt.Errorf("entry %d: %w", row.Index, err)
	}
	return isAbout(opening, subject), nil
}

func isAbout(opening *ledgerv1.RecordOpening, subject *ledgerv1.Subject) bool {
	for _, s := range opening.Subjects {
		if s.Type == subject.Type && s.Number == subject.Number && (subject.Role == "" || s.Role == subject.Role) {
			return true
		}
	}
	return false
}

// add cuts a version into the page.
func (q *Queries) add(p *page, topic *catalog.Topic, row *journal.Row, present release.Presence, view release.View) error {
	v := &release.Version{
		Index: row.Index, KeyToken: row.KeyToken, Leaf: bytes.Clone(row.Leaf), Sealed: row.Body,
	}
	if err := q.cutter().Add(p.batch, topic, v, present, view); err != nil {
		return err
	}
	p.bytes += proto.Size(p.batch.Records[len(p.batch.Records)-1])
	return nil
}
