package inspect

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"

	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// caseEntry is a case as its entries tell of it.
type caseEntry struct {
	participant, item string
	at                int64
	after             bool
	number            string
	subjects          []*ledgerv1.Subject
	closed            uint64 // plus 1
}

// caseEntries are the cases by the entry that opened them.
type caseEntries map[uint64]*caseEntry

// change takes an entry that opens or closes a case, with its opening.
func (k caseEntries) change(e *ledgerv1.LedgerEntry, o *ledgerv1.ReadOpening) error {
	if b := e.GetCaseOpened(); b != nil {
		k[e.Index] = &caseEntry{
			participant: verify.ParticipantOf(b.Consumer), item: b.Item, at: e.AtUs, after: b.AfterTheFact, number: o.CaseNumber, subjects: o.Subjects,
		}
	}
	if b := e.GetCaseClosed(); b != nil {
		one := k[b.OpenedBy]
		if one == nil || one.closed != 0 || one.participant != verify.ParticipantOf(b.Consumer) || one.number != o.CaseNumber {
			return wrong("ledger", e.Index, "it closes no open case of that department")
		}
		one.closed = e.Index + 1
	}
	return nil
}

// checkCases compares the cases' rows with their entries.
func (c *checker) checkCases(ctx context.Context) error {
	rows := 0
	err := c.each(ctx, "cases", "SELECT token, participant, item, state, opened, closed, opened_at, after_fact, subjects FROM cases ORDER BY token", func(row *sql.Rows) error {
		var token, subjects []byte
		var participant, item string
		var state, at, after int64
		var opened, closed uint64
		if err := row.Scan(&token, &participant, &item, &state, &opened, &closed, &at, &after, &subjects); err != nil {
			return err
		}
		rows++
		name, known := hex.EncodeToString(token), c.cases[opened]
		if known == nil {
			return wrong("cases", name, "entry %d opens no case", opened)
		}
		var want []byte
		for _, s := range known.subjects {
			want = append(want, c.keys.Token(identity.TokenSubject, s.Type, s.Number)...)
		}
		open := accessv1.CaseState(state) == accessv1.CaseState_CASE_STATE_OPEN
		shut := accessv1.CaseState(state) == accessv1.CaseState_CASE_STATE_CLOSED
		switch {
		case !bytes.Equal(token, c.keys.Token(identity.TokenCase, known.participant, known.number)):
			return wrong("cases", name, "token is not that of the case that entry %d opens", opened)
		case participant != known.participant || item != known.item || at != known.at || after < 0 || after > 1 || (after == 1) != known.after:
			return wrong("cases", name, "the row is not what entry %d says", opened)
		case closed != known.closed || open != (closed == 0) || shut == open:
			return wrong("cases", name, "state and closed are not what the ledger says")
		case !bytes.Equal(subjects, want):
			return wrong("cases", name, "subjects are not those that entry %d commits to", opened)
		}
		return nil
	})
	if err == nil && rows != len(c.cases) {
		return wrong("cases", nil, "there are %d rows, the ledger has %d cases", rows, len(c.cases))
	}
	return err
}

// checkGuards looks at the versions of what decisions rest on. A version is no
// evidence; one that fell back could let a late decision through.
func (c *checker) checkGuards(ctx context.Context) error {
	return c.each(ctx, "guards", "SELECT kind, key, version FROM guards ORDER BY kind, key", func(row *sql.Rows) error {
		var kind, version int64
		var key []byte
		if err := row.Scan(&kind, &key, &version); err != nil {
			return err
		}
		form := map[journal.GuardKind]bool{
			journal.GuardCase: len(key) == identity.TokenSize, journal.GuardConsent: len(key) == identity.TokenSize,
			journal.GuardEnrolment: bytes.Count(key, []byte("/")) == 2, // a subscription's id
		}
		if !form[journal.GuardKind(kind)] || version < 1 || uint64(version) > c.head.Size {
			return wrong("guards", fmt.Sprintf("%d %x", kind, key), "the row is not what the journal writes")
		}
		return nil
	})
}
