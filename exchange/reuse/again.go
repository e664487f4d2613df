package reuse

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/query"
	"github.com/huitong-bus/huitong/exchange/release"
	"github.com/huitong-bus/huitong/exchange/store"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

// choice is what the applicant chose for a material, once.
type choice struct {
	idx    uint64 // entry of the collection
	copies int    // 0 for a material that was declined
	first  uint64 // entry of the first copy
}

// declined is false for what nobody chose yet.
func (c choice) declined() bool { return c.idx > 0 && c.copies == 0 }

func (r *Reuse) choices(ctx context.Context, tx store.Tx, a *assessment) (map[string]choice, error) {
	rows, err := tx.QueryContext(ctx, "SELECT material, idx, copies, first FROM choices WHERE case_token = $1 AND subject_token = $2",
		a.of.Token, r.Queries.Cases.SubjectToken(a.subject))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	chosen := map[string]choice{}
	for rows.Next() {
		var material string
		var c choice
		if err := rows.Scan(&material, &c.idx, &c.copies, &c.first); err != nil {
			return nil, err
		}
		chosen[material] = c
	}
	return chosen, rows.Err()
}

// sameChoices refuses choices that differ from those that were made before.
func (r *Reuse) sameChoices(ctx context.Context, a *assessment, chosen map[string]choice) error {
	for _, m := range a.materials {
		c, before := chosen[m.Code]
		if before && (c.copies == 0) != (m.state == wasDeclined) {
			err := fault.New(fault.Denied, "collect.choices",
				"for this case the applicant chose otherwise; a choice is made once: repeat it, or open another case")
			return r.Queries.Denied(ctx, a.allowed.Request, a.allowed.Decision, err)
		}
	}
	return nil
}

// again adds the copies that were released before. Each is cut anew from the same
// version: one that has changed since comes as a notice. One that may not be read
// any more, or not all that it shows, does not come.
func (r *Reuse) again(ctx context.Context, a *assessment, chosen map[string]choice, json bool, answer *exchangev1.CollectResponse) error {
	for _, m := range a.materials {
		c, before := chosen[m.Code]
		if !before || c.copies == 0 {
			continue
		}
		for n := range c.copies {
			one, until, err := r.copyAgain(ctx, a, m, c.first+uint64(n), json)
			if err != nil {
				return err
			}
			if one != nil {
				answer.Copies = append(answer.Copies, one)
				goodUntil(answer, until)
			}
		}
		if answer.Repeat {
			var err error
			if answer.Receipt, _, err = r.receiptOf(ctx, c.idx); err != nil {
				return err
			}
		}
	}
	return nil
}

// receiptOf is the receipt of an entry that was committed before.
func (r *Reuse) receiptOf(ctx context.Context, index uint64) (*exchangev1.Receipt, *ledgerv1.LedgerEntry, error) {
	var leaf []byte
	if err := r.Queries.DB.Brief().QueryRowContext(ctx, "SELECT leaf FROM ledger WHERE idx = $1", int64(index)).Scan(&leaf); err != nil {
		return nil, nil, fmt.Errorf("entry %d: %w", index, err)
	}
	entry := &ledgerv1.LedgerEntry{}
	if err := proto.Unmarshal(leaf, entry); err != nil {
		return nil, nil, fmt.Errorf("entry %d: %w", index, err)
	}
	return &exchangev1.Receipt{
		Index: index, At: timestamppb.New(time.UnixMicro(entry.AtUs).UTC()), Leaf: leaf, Repeat: true,
	}, entry, nil
}

// copyAgain makes the copy of an entry once more; nil if it may not leave now.
func (r *Reuse) copyAgain(ctx context.Context, a *assessment, m *material, index uint64, json bool) (*exchangev1.CollectedMaterial, time.Time, error) {
	of, entry, err := r.receiptOf(ctx, index)
	if err != nil {
		return nil, time.Time{}, err
	}
	queried := entry.GetQueried()
	opening, err := r.readOpening(ctx, index)
	if err != nil {
		return nil, time.Time{}, err
	}
	from, err := r.sourceOf(ctx, a, queried.GetTopic(), opening.Subject)
	if err != nil || !from.allowed.Decision.Allow {
		return nil, time.Time{}, err
	}
	detail := &ledgerv1.ReleaseDetail{}
	if len(opening.Details) != 1 || proto.Unmarshal(opening.Details[0], detail) != nil {
		return nil, time.Time{}, fmt.Errorf("entry %d: no copy of one record", index)
	}
	record, grade, err := r.versionAgain(ctx, from, detail, json)
	if rule := fault.RuleOf(err); rule == withheld || rule == otherUse {
		v := verdicts[rule]
		m.state, m.source, m.found, m.rule, m.reason, m.next = v.state, from, nil, rule, noMore[rule], submitTo(m.ItemMaterial)
		return nil, time.Time{}, nil
	}
	if err != nil {
		return nil, time.Time{}, err
	}
	until := time.UnixMicro(queried.GetUsableUntilUs())
	return &exchangev1.CollectedMaterial{
		Code: m.Code, Name: m.Name, Record: record, Receipt: of, Grade: grade,
		Annotation: r.annotation(a, from, time.UnixMicro(entry.AtUs), until),
	}, until, nil
}

func (r *Reuse) readOpening(ctx context.Context, index uint64) (*ledgerv1.ReadOpening, error) {
	var body []byte
	if err := r.Queries.DB.Brief().QueryRowContext(ctx, "SELECT body FROM sealed WHERE idx = $1", int64(index)).Scan(&body); err != nil {
		return nil, fmt.Errorf("the opening of entry %d: %w", index, err)
	}
	return journal.OpenEntry(r.Queries.Keyring, r.Queries.Journal.Head().Origin, body)
}

// sourceOf decides anew on a topic that a copy came from.
func (r *Reuse) sourceOf(ctx context.Context, a *assessment, topic string, about *ledgerv1.Subject) (*source, error) {
	t, err := r.Topics.Topic(topic)
	if err != nil {
		return nil, err
	}
	s := &sources{r: r, a: a, known: map[string]*source{}}
	if err := s.add(ctx, t, about); err != nil {
		return nil, err
	}
	return s.get(topic, about), nil
}

// versionAgain cuts the version that a detail names to the fields that left, and
// gives its grade.
func (r *Reuse) versionAgain(ctx context.Context, from *source, detail *ledgerv1.ReleaseDetail, json bool) (*exchangev1.ReleasedRecord, string, error) {
	q := r.Queries
	row, err := journal.ByIndex(ctx, q.DB.Brief(), detail.Index)
	if err != nil || row == nil {
		return nil, "", fmt.Errorf("entry %d: %w", detail.Index, err)
	}
	present, err := journal.PresentOf(ctx, q.DB.Journal, q.DB.Brief(), row.Topic, [][]byte{row.KeyToken})
	if err != nil {
		return nil, "", err
	}
	p, held := present[string(row.KeyToken)]
	fields, err := leftAs(from, row, detail)
	if err != nil {
		return nil, "", err
	}
	grade, err := r.gradeAgain(from, row)
	if err != nil {
		return nil, "", err
	}
	batch := &release.Batch{}
	v := &release.Version{Index: row.Index, KeyToken: row.KeyToken, Leaf: row.Leaf, Sealed: row.Body}
	err = q.Cutter().Add(batch, from.topic, v, release.Presence{
		Held: held, Index: p.Index, PayloadIndex: p.PayloadIndex, Version: p.Version, Status: p.Status, ValidUntil: p.ValidUntil,
	}, release.View{Fields: fields, JSON: json, Current: true})
	if err != nil {
		return nil, "", err
	}
	return batch.Records[0], grade, nil
}

// noMore says why what left once does not come again.
var noMore = map[string]string{
	withheld: "the copy shows fields that the grant or the consent does not cover any more",
	otherUse: "the applicant submitted it for another service item, and does not agree to its reuse any more",
}

func doesNotCome(rule string) error { return fault.New(fault.Denied, rule, "%s", noMore[rule]) }

// leftAs are the fields of a version that left; a fault of the rule grant.fields if
// some of them may not be seen now.
func leftAs(from *source, row *journal.Row, detail *ledgerv1.ReleaseDetail) ([]uint32, error) {
	entry := &ledgerv1.LedgerEntry{}
	if err := proto.Unmarshal(row.Leaf, entry); err != nil {
		return nil, fmt.Errorf("entry %d: %w", row.Index, err)
	}
	k, err := from.topic.Contract(entry.GetPublished().GetContractVersion())
	if err != nil {
		return nil, err
	}
	granted, fields := from.allowed.Decision.Fields, []uint32{}
	for _, n := range k.Fields() {
		if slices.Contains(detail.Withheld, n) {
			continue
		}
		if granted != nil && !slices.Contains(granted, n) {
			return nil, doesNotCome(withheld)
		}
		fields = append(fields, n)
	}
	slices.Sort(fields)
	return fields, nil
}

// gradeAgain is the grade of a version; empty if it was erased since, and a fault of
// the rule material.purpose if its applicant does not agree to this use any more.
func (r *Reuse) gradeAgain(from *source, row *journal.Row) (string, error) {
	if row.Body == nil {
		return "", nil
	}
	if from.topic.ContractName != query.Submitted {
		return gradeOf(recordsv1.TrustGrade_TRUST_GRADE_A), nil
	}
	opening, err := journal.OpenRecord(r.Queries.Keyring, r.Queries.Journal.Head().Origin, from.topic.Name, row.KeyToken, row.Body)
	if err != nil {
		return "", fmt.Errorf("entry %d: %w", row.Index, err)
	}
	m := &recordsv1.SubmittedMaterial{}
	if err := proto.Unmarshal(opening.Payload, m); err != nil {
		return "", fmt.Errorf("entry %d: %w", row.Index, err)
	}
	if usable, err := query.UsableFor(from.topic, opening.Payload, &from.allowed.Request); err != nil || !usable {
		return "", cmp.Or(err, doesNotCome(otherUse))
	}
	return gradeOf(gradeSubmitted(m)), nil
}

// arrange puts the copies into the item's order, and tells how all other materials
// stand.
func (a *assessment) arrange(r *Reuse, answer *exchangev1.CollectResponse) {
	place := map[string]int{}
	for i, m := range a.materials {
		place[m.Code] = i
	}
	slices.SortStableFunc(answer.Copies, func(x, y *exchangev1.CollectedMaterial) int { return place[x.Code] - place[y.Code] })
	came := map[string]bool{}
	for _, c := range answer.Copies {
		came[c.Code] = true
	}
	for _, m := range a.materials {
		if !came[m.Code] {
			answer.Others = append(answer.Others, r.show(m))
		}
	}
}
