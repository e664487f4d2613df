package query

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/catalog"
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
	// seen are the records that it holds, as they stood.
	seen []journal.Seen
}

// saw remembers a record of a topic that leaves with the page.
func (p *page) saw(topic *catalog.Topic, r *journal.Present) {
	p.seen = append(p.seen, journal.SeenOf(journal.Number(topic.Name), r))
}

// page reads and cuts what the question asks for.
func (q *Queries) page(ctx context.Context, topic *catalog.Topic, a *question, fields []uint32) (*page, error) {
	p := &page{batch: &release.Batch{}}
	if a.live != nil {
		return p, q.supplied(ctx, topic, a, fields, p)
	}
	switch a.By.(type) {
	case *exchangev1.QueryRequest_Index:
		return p, q.version(ctx, topic, a, fields, p)
	case *exchangev1.QueryRequest_Key:
		return p, q.ofKey(ctx, topic, a, fields, p)
	}
	return p, q.ofSubject(ctx, topic, a, fields, p)
}

// version adds one version by its ledger index.
func (q *Queries) version(ctx context.Context, topic *catalog.Topic, a *question, fields []uint32, p *page) error {
	row, err := journal.ByIndex(ctx, q.DB.Brief(), a.GetIndex())
	if err != nil {
		return err
	}
	if row == nil || row.Topic != journal.Number(topic.Name) {
		return errOthers
	}
	present, err := q.present(ctx, topic, [][]byte{row.KeyToken})
	if err != nil {
		return err
	}
	if about, err := q.aboutVersion(ctx, topic, row, present[string(row.KeyToken)], a); err != nil || !about {
		return cmp.Or(err, errOthers)
	}
	if r, held := present[string(row.KeyToken)]; held {
		p.saw(topic, &r)
	}
	if a.document != nil {
		return addDocument(p, row, present[string(row.KeyToken)], a.document)
	}
	return q.add(p, topic, row, presence(present, row.KeyToken), release.View{Fields: fields, JSON: a.Json})
}

// ofKey adds the record of a key.
func (q *Queries) ofKey(ctx context.Context, topic *catalog.Topic, a *question, fields []uint32, p *page) error {
	if _, err := q.known(ctx, topic, a, [][]byte{a.token}, fields, p); err != nil || len(p.batch.Records) > 0 {
		return err
	}
	if k, err := topic.Contract(0); err != nil || k.AboutNobody() {
		return err
	}
	// There may be none, or one that is about others or no longer active.
	return errOthers
}

// ofSubject adds the subject's records, from behind the page before on.
func (q *Queries) ofSubject(ctx context.Context, topic *catalog.Topic, a *question, fields []uint32, p *page) error {
	if err := q.Index.Wait(ctx, q.Journal.Head().Published); err != nil {
		return err
	}
	after := a.after
	for {
		room := a.limit - len(p.batch.Records)
		tokens, err := q.tokens(ctx, topic, a, after, room+1)
		if err != nil {
			return err
		}
		more := len(tokens) > room
		tokens = tokens[:min(len(tokens), room)]
		done, err := q.known(ctx, topic, a, tokens, fields, p)
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
	held, err := journal.HeldOf(ctx, q.DB.Journal, q.DB.Brief(), journal.Number(topic.Name), tokens)
	if err != nil {
		return 0, err
	}
	for _, token := range tokens {
		if p.bytes >= pageBytes {
			return done, nil
		}
		done++
		h := held[string(token)]
		if h == nil || !a.IncludeInactive && h.Present.Status != exchangev1.Status_STATUS_ACTIVE {
			continue
		}
		if about, err := q.about(topic, &h.Row, a); err != nil || !about {
			if err != nil {
				return done, err
			}
			continue
		}
		p.saw(topic, &h.Present)
		view := release.View{Fields: fields, JSON: a.Json, Current: true}
		if err := q.add(p, topic, &h.Row, presenceOf(h.Present), view); err != nil {
			return done, err
		}
	}
	return done, nil
}

func (q *Queries) present(ctx context.Context, topic *catalog.Topic, tokens [][]byte) (map[string]journal.Present, error) {
	return journal.PresentOf(ctx, q.DB.Journal, q.DB.Brief(), journal.Number(topic.Name), tokens)
}

func presence(present map[string]journal.Present, token []byte) release.Presence {
	if r, held := present[string(token)]; held {
		return presenceOf(r)
	}
	return release.Presence{}
}

func presenceOf(r journal.Present) release.Presence {
	return release.Presence{
		Held: true, Index: r.Index, PayloadIndex: r.PayloadIndex, Version: r.Version, Status: r.Status, ValidUntil: r.ValidUntil,
	}
}

// aboutVersion says whether a version is about somebody whom the case names. An
// operation without payload names nobody itself: it is about those whom the
// record's payload names.
func (q *Queries) aboutVersion(ctx context.Context, topic *catalog.Topic, row *journal.Row, present journal.Present, a *question) (bool, error) {
	var entry ledgerv1.LedgerEntry
	if err := proto.Unmarshal(row.Leaf, &entry); err != nil {
		return false, err
	}
	if len(entry.GetPublished().GetSubjectCommitments()) > 0 || len(present.KeyToken) == 0 {
		return q.about(topic, row, a)
	}
	payloads, err := journal.PayloadsOf(ctx, q.DB.Journal, q.DB.Brief(), []journal.Present{present})
	if err != nil {
		return false, err
	}
	payload, held := payloads[string(row.KeyToken)]
	if !held {
		return false, nil
	}
	return q.about(topic, &payload, a)
}

// about says whether a version is about the subject, in the role that is asked
// for, as the index knows only that some version of the record is; or, if none is
// asked for, about somebody whom the case names.
func (q *Queries) about(topic *catalog.Topic, row *journal.Row, a *question) (bool, error) {
	if row.Body == nil {
		// Erased: nobody knows any more whom it was about.
		return false, nil
	}
	opening, err := journal.OpenRecord(q.Keyring, q.Journal.Head().Origin, topic.Name, row.KeyToken, row.Body)
	if err != nil {
		return false, fmt.Errorf("entry %d: %w", row.Index, err)
	}
	if usable, err := UsableFor(topic, opening.Payload, &a.request); err != nil || !usable {
		return false, err
	}
	if a.subject == nil {
		k, err := topic.Contract(0)
		return err == nil && (k.AboutNobody() || q.named(a.of, opening.Subjects)), err
	}
	return isAbout(opening, a.subject), nil
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
	return q.addAt(p, topic, row, present, view, q.Clock)
}

// addAt cuts a version as it was seen at a time.
func (q *Queries) addAt(p *page, topic *catalog.Topic, row *journal.Row, present release.Presence, view release.View, clock func() time.Time) error {
	v := &release.Version{
		Index: row.Index, KeyToken: row.KeyToken, Leaf: bytes.Clone(row.Leaf), Sealed: row.Body,
	}
	cutter := q.Cutter()
	cutter.Clock = clock
	if err := cutter.Add(p.batch, topic, v, present, view); err != nil {
		return err
	}
	p.bytes += proto.Size(p.batch.Records[len(p.batch.Records)-1])
	return nil
}
