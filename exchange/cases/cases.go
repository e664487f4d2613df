// Package cases keeps the applications for which departments read: each case is
// opened and closed by an entry, and nothing is read for a case that is not
// open, is another department's, or does not name who is asked about.
//
// A case is known by its participant and that department's own number, of which
// the database holds a token. Number, subjects, person and reason stand in the
// sealed openings of its entries and nowhere else.
package cases

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/store"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// OnClose ends, in the transaction that closes a case, what rests on the case,
// and gives the entries that say so.
type OnClose func(ctx context.Context, tx store.Tx, slot journal.Slot, c *Case) ([]journal.Entry, error)

// Config is what cases need.
type Config struct {
	DB        *store.DB
	Journal   *journal.Journal
	Catalogue *catalog.Catalogue
	Keyring   *identity.Keyring
	// Clock tells the time; time.Now if nil.
	Clock func() time.Time
}

// Cases opens, closes and finds cases. It is safe for concurrent use once all
// that wants to hear of closings is registered.
type Cases struct {
	Config
	onClose []OnClose
	known   known
}

// New makes the cases of an exchange.
func New(c Config) *Cases {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	return &Cases{Config: c}
}

// OnClose registers what is to end with a case. Call it before the first case
// is closed.
func (c *Cases) OnClose(f OnClose) { c.onClose = append(c.onClose, f) }

// Case is a case as its row has it.
type Case struct {
	// Token is what the database knows it by.
	Token       []byte
	Participant string
	Item        string
	Open        bool
	// Opened is the index of the entry that opened it; Closed that of the one
	// that closed it.
	Opened, Closed uint64
	OpenedAt       int64
	AfterTheFact   bool
	subjects       []byte
}

// Names says whether a subject is among the case's, by its token.
func (c *Case) Names(subject []byte) bool {
	for at := 0; at+identity.TokenSize <= len(c.subjects); at += identity.TokenSize {
		if string(c.subjects[at:at+identity.TokenSize]) == string(subject) {
			return true
		}
	}
	return false
}

// Token gives what the database knows a case by.
func (c *Cases) Token(participant, number string) []byte {
	return c.Keyring.Token(identity.TokenCase, participant, number)
}

// SubjectToken gives what the database knows a subject by.
func (c *Cases) SubjectToken(s *ledgerv1.Subject) []byte {
	return c.Keyring.Token(identity.TokenSubject, s.GetType(), s.GetNumber())
}

const columns = "SELECT token, participant, item, state, opened, closed, opened_at, after_fact, subjects FROM cases "

type scanner interface{ Scan(into ...any) error }

func scan(row scanner) (*Case, error) {
	c := &Case{}
	var state, after, closed int64
	err := row.Scan(&c.Token, &c.Participant, &c.Item, &state, &c.Opened, &closed, &c.OpenedAt, &after, &c.subjects)
	c.Open, c.AfterTheFact = accessv1.CaseState(state) == accessv1.CaseState_CASE_STATE_OPEN, after != 0
	if closed > 0 {
		c.Closed = uint64(closed - 1)
	}
	return c, err
}

// Find reads a case by its token; nil if there is none. tx may be that of a
// change.
func Find(ctx context.Context, tx store.Tx, token []byte) (*Case, error) {
	c, err := scan(tx.QueryRowContext(ctx, columns+"WHERE token = $1", token))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return c, err
}

// Find finds a participant's case by its number; nil if there is none.
func (c *Cases) Find(ctx context.Context, participant, number string) (*Case, error) {
	return Find(ctx, c.DB.Reader(), c.Token(participant, number))
}

// Guard holds what was read of an open case until a commit: closing it is the
// one thing that changes a case.
func (c *Case) Guard() journal.Guard {
	return journal.Guard{Kind: journal.GuardCase, Key: c.Token}
}

// FactsOf tells how a case stands for a reading that is about a subject, or
// about nobody yet if subject is nil.
func FactsOf(c *Case, subject []byte) access.CaseFacts {
	if c == nil {
		return access.CaseFacts{}
	}
	return access.CaseFacts{Known: true, Open: c.Open, Item: c.Item, Names: subject == nil || c.Names(subject)}
}
