package cases

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/store"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// plain gives what a case's row says, which holds nothing personal.
func (c *Case) plain() *accessv1.Case {
	m := &accessv1.Case{
		Participant: c.Participant, Item: c.Item, State: accessv1.CaseState_CASE_STATE_CLOSED, AfterTheFact: c.AfterTheFact,
		Opened: c.Opened, OpenedAt: timestamppb.New(time.UnixMicro(c.OpenedAt).UTC()),
	}
	if c.Open {
		m.State = accessv1.CaseState_CASE_STATE_OPEN
	} else {
		m.ClosedPlusOne = c.Closed + 1
	}
	return m
}

// whole adds to a case what the sealed openings of its entries say.
func (c *Cases) whole(ctx context.Context, tx store.Tx, one *Case) (*accessv1.Case, error) {
	m := one.plain()
	leaf, opening, err := c.entry(ctx, tx, one.Opened)
	if err != nil {
		return nil, err
	}
	m.System, m.AppliedAt = leaf.Actor, timestamppb.New(time.UnixMicro(leaf.GetCaseOpened().GetAppliedAtUs()).UTC())
	m.Number, m.Subjects, m.Person, m.Reason = opening.CaseNumber, opening.Subjects, opening.Person, opening.Reason
	if one.Open {
		return m, nil
	}
	if leaf, opening, err = c.entry(ctx, tx, one.Closed); err != nil {
		return nil, err
	}
	m.ClosedAt, m.Outcome = timestamppb.New(time.UnixMicro(leaf.AtUs).UTC()), opening.Reason
	return m, nil
}

func (c *Cases) entry(ctx context.Context, tx store.Tx, index uint64) (*ledgerv1.LedgerEntry, *ledgerv1.ReadOpening, error) {
	var leaf, body []byte
	err := tx.QueryRowContext(ctx, "SELECT l.leaf, s.body FROM ledger l JOIN sealed s ON s.idx = l.idx WHERE l.idx = $1", int64(index)).Scan(&leaf, &body)
	if err != nil {
		return nil, nil, fmt.Errorf("entry %d of a case: %w", index, err)
	}
	entry := &ledgerv1.LedgerEntry{}
	if err := proto.Unmarshal(leaf, entry); err != nil {
		return nil, nil, err
	}
	opening, err := journal.OpenEntry(c.Keyring, c.Journal.Head().Origin, body)
	return entry, opening, err
}

// Subjects gives whom a case names.
func (c *Cases) Subjects(ctx context.Context, one *Case) ([]*ledgerv1.Subject, error) {
	_, opening, err := c.entry(ctx, c.DB.Reader(), one.Opened)
	return opening.GetSubjects(), err
}

// SubjectsOf gives the subjects of a case of a participant, open or closed.
func (c *Cases) SubjectsOf(ctx context.Context, participant, number string) ([]*ledgerv1.Subject, error) {
	one, err := Find(ctx, c.DB.Reader(), c.Token(participant, number))
	if err != nil {
		return nil, err
	}
	if one == nil {
		return nil, errUnknown()
	}
	return c.Subjects(ctx, one)
}

// Standing answers, in the order asked, how cases of a participant stand, by their
// numbers, each with a subject that it may name; in the transaction of what rests
// on the answer.
func (c *Cases) Standing(ctx context.Context, tx store.Tx, participant string, numbers []string, subjects []*ledgerv1.Subject) ([]access.CaseFacts, error) {
	found := make([]access.CaseFacts, len(numbers))
	known := map[string]*Case{}
	for i, number := range numbers {
		one, looked := known[number]
		if !looked {
			var err error
			if one, err = Find(ctx, tx, c.Token(participant, number)); err != nil {
				return nil, err
			}
			known[number] = one
		}
		found[i] = FactsOf(one, c.SubjectToken(subjects[i]))
	}
	return found, nil
}

// Get gives a case of the caller's participant.
func (c *Cases) Get(ctx context.Context, by *identity.Caller, number string) (*accessv1.Case, error) {
	if err := mayOpen(by); err != nil {
		return nil, err
	}
	if err := reference("number", number); err != nil {
		return nil, err
	}
	one, err := Find(ctx, c.DB.Reader(), c.Token(by.Participant, number))
	if err != nil {
		return nil, err
	}
	if one == nil {
		return nil, errUnknown()
	}
	return c.whole(ctx, c.DB.Reader(), one)
}

func mayOpen(by *identity.Caller) error {
	if by.Roles.Has(identity.Department) {
		return nil
	}
	return fault.New(fault.Denied, "role.department", "a case is for the department that opened it")
}

// List gives cases, the newest first. A department sees its own; operators and
// auditors see those of all, without what is personal.
func (c *Cases) List(ctx context.Context, by *identity.Caller, r *accessv1.ListCasesRequest, page catalog.Page) ([]*accessv1.Case, error) {
	n, err := page.Size()
	if err != nil {
		return nil, err
	}
	all := by.Roles.Has(identity.Operator, identity.Auditor)
	if err := mayOpen(by); err != nil && !all {
		return nil, err
	}
	participant := r.Participant
	if participant == "" && !all {
		participant = by.Participant
	}
	if participant != by.Participant && !all {
		return nil, fault.New(fault.Denied, "participant.other", "a department lists its own cases only")
	}
	rows, err := c.rows(ctx, r, participant, page.After, n)
	if err != nil {
		return nil, err
	}
	list := make([]*accessv1.Case, len(rows))
	for i, one := range rows {
		if list[i] = one.plain(); one.Participant == by.Participant && mayOpen(by) == nil {
			if list[i], err = c.whole(ctx, c.DB.Reader(), one); err != nil {
				return nil, err
			}
		}
	}
	return list, nil
}

func (c *Cases) rows(ctx context.Context, r *accessv1.ListCasesRequest, participant, after string, limit int) ([]*Case, error) {
	before := int64(math.MaxInt64)
	if after != "" {
		var err error
		if before, err = strconv.ParseInt(after, 10, 64); err != nil {
			return nil, fault.Field("page_token", "page_token", "is not one that the exchange gave")
		}
	}
	since := int64(0)
	if r.OpenedSince != nil {
		since = r.OpenedSince.AsTime().UnixMicro()
	}
	onlyAfter := int64(0)
	if r.AfterTheFact {
		onlyAfter = 1
	}
	where, first := "WHERE participant = $1 AND opened < $2", any(participant)
	if participant == "" {
		where, first = "WHERE participant <> $1 AND opened < $2", any("")
	}
	rows, err := c.DB.Reader().QueryContext(ctx, columns+where+` AND opened_at >= $3 AND after_fact >= $4
		AND ($5 = '' OR item = $5) AND ($6 = 0 OR state = $6) ORDER BY opened DESC LIMIT $7`,
		first, before, since, onlyAfter, r.Item, int64(r.State), int64(limit))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []*Case
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	if err := rows.Err(); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, err
	}
	return list, nil
}
