package subscription

import (
	"context"
	"crypto/rand"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/store"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Causes of an enrolment's beginning or end, as they stand in the ledger.
const (
	byRequest  = "request"
	caseClosed = "case closed"
)

// enrolment is one row.
type enrolment struct {
	pair
	id    string // of the subscription
	since uint64
	index uint64
	at    int64
}

func (e *enrolment) message() *exchangev1.Enrolment {
	return &exchangev1.Enrolment{
		Subject: e.subject, CaseNumber: e.number, Index: e.index, At: timestamppb.New(time.UnixMicro(e.at).UTC()),
	}
}

// enrolments reads rows.
func (m *Manager) enrolments(ctx context.Context, tx store.Tx, where string, args ...any) ([]enrolment, error) {
	rows, err := tx.QueryContext(ctx, "SELECT id, subject, case_token, since, idx, at, body FROM enrolments "+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []enrolment
	for rows.Next() {
		var e enrolment
		var body []byte
		if err := rows.Scan(&e.id, &e.token, &e.ofCase, &e.since, &e.index, &e.at, &body); err != nil {
			return nil, err
		}
		o, err := journal.OpenEntry(m.Keyring, m.cutter.Origin, body)
		if err != nil {
			return nil, err
		}
		e.subject, e.number = o.GetSubject(), o.GetCaseNumber()
		found = append(found, e)
	}
	return found, rows.Err()
}

// insertRows writes new enrolments.
func (m *Manager) insertRows(ctx context.Context, tx store.Tx, list []enrolment) error {
	for i := range list {
		e := &list[i]
		body, err := journal.SealEntry(m.Keyring, m.cutter.Origin, &ledgerv1.ReadOpening{Subject: e.subject, CaseNumber: e.number})
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO enrolments (subscription, subject, case_token, since, idx, at, id, body)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
			journal.Number(e.id), e.token, e.ofCase, int64(e.since), int64(e.index), e.at, e.id, body)
		if err != nil {
			return err
		}
	}
	return nil
}

// end ends enrolments of one subscription: what is released behind it was decided
// without them.
func (m *Manager) end(ctx context.Context, tx store.Tx, slot journal.Slot, id, topic, provider, cause, person string, list []enrolment) ([]journal.Entry, error) {
	slot.Bump(journal.GuardEnrolment, []byte(id))
	for i := range list {
		_, err := tx.ExecContext(ctx, "DELETE FROM enrolments WHERE subscription = $1 AND subject = $2 AND case_token = $3",
			journal.Number(id), list[i].token, list[i].ofCase)
		if err != nil {
			return nil, err
		}
	}
	var entries []journal.Entry
	for len(list) > 0 {
		n := min(len(list), MaxEnrolled)
		entry, err := enrolledEntry(id, topic, provider, cause, person, list[:n])
		if err != nil {
			return nil, err
		}
		entry.Leaf.GetEnrolled().Removed = true
		entries, list = append(entries, entry), list[n:]
	}
	return entries, nil
}

// enrolledEntry makes the entry of enrolments that begin or end.
func enrolledEntry(id, topic, provider, cause, person string, list []enrolment) (journal.Entry, error) {
	secret := make([]byte, verify.SecretSize)
	if _, err := rand.Read(secret); err != nil {
		return journal.Entry{}, err
	}
	body := &ledgerv1.SubjectsEnrolled{
		Subscription: id, Topic: topic, Provider: provider, Consumer: systemOf(id), Cause: cause,
		PersonCommitment: verify.CommitText(verify.Person, 0, secret, person),
	}
	o := &ledgerv1.ReadOpening{Secret: secret, Person: person}
	for i := range list {
		e := &list[i]
		subject := verify.CommitSubject(verify.Subject, uint32(i), secret, e.subject)
		number := verify.Commit(verify.Case, uint32(i), secret, []byte(e.number))
		body.SubjectCommitments = append(body.SubjectCommitments, subject[:])
		body.CaseCommitments = append(body.CaseCommitments, number[:])
		o.Subjects, o.Cases = append(o.Subjects, e.subject), append(o.Cases, e.number)
	}
	return journal.Entry{Leaf: &ledgerv1.LedgerEntry{Body: &ledgerv1.LedgerEntry_Enrolled{Enrolled: body}}, Opening: o}, nil
}

// systemOf gives the system of a subscription by its id.
func systemOf(id string) string {
	for i := len(id) - 1; i >= 0; i-- {
		if id[i] == '/' {
			return id[:i]
		}
	}
	return id
}

// CaseClosed ends what was enrolled for a case, in the transaction that closes
// it, and gives the entries that say so.
func (m *Manager) CaseClosed(ctx context.Context, tx store.Tx, slot journal.Slot, caseToken []byte) ([]journal.Entry, error) {
	list, err := m.enrolments(ctx, tx, "WHERE case_token = $1 ORDER BY id, subject", caseToken)
	if err != nil {
		return nil, err
	}
	var entries []journal.Entry
	for len(list) > 0 {
		id, n := list[0].id, 1
		for n < len(list) && list[n].id == id {
			n++
		}
		s, err := load(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		t, err := m.topicOf(s)
		if err != nil {
			return nil, err
		}
		ended, err := m.end(ctx, tx, slot, id, t.Name, t.Provider, caseClosed, "", list[:n])
		if err != nil {
			return nil, err
		}
		if err := touch(ctx, tx, id); err != nil {
			return nil, err
		}
		entries, list = append(entries, ended...), list[n:]
	}
	return entries, nil
}
