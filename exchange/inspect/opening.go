package inspect

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// open adds what the caller may see of an entry's opening, and says whether
// that is anything.
func (l *Ledger) open(ctx context.Context, caller *identity.Caller, all bool, e *ledgerv1.Entry) (bool, error) {
	view := viewOf(caller, all, e.Entry)
	if view == nothing {
		return false, nil
	}
	var keyToken, body []byte
	err := l.DB.Reader().QueryRowContext(ctx, "SELECT key_token, body FROM sealed WHERE idx = $1", int64(e.Entry.Index)).Scan(&keyToken, &body)
	if errors.Is(err, sql.ErrNoRows) || err == nil && body == nil {
		return false, nil // nothing to open, or erased
	}
	if err != nil {
		return false, err
	}
	origin := l.Journal.Head().Origin
	if p := e.Entry.GetPublished(); p != nil {
		opening, err := journal.OpenRecord(l.Keys, origin, p.Topic, keyToken, body)
		if err != nil {
			return false, fmt.Errorf("the opening of entry %d: %w", e.Entry.Index, err)
		}
		e.RecordOpening = cutRecord(opening, view)
		return true, nil
	}
	opening, err := journal.OpenEntry(l.Keys, origin, body)
	if err != nil {
		return false, fmt.Errorf("the opening of entry %d: %w", e.Entry.Index, err)
	}
	e.ReadOpening = cutRead(e.Entry, opening, view)
	return true, nil
}

// view is how much of an opening somebody sees.
type view int

const (
	nothing view = iota
	// part is an auditor's view of a record, and a provider's of a read.
	part
	// answer is whole, but for the details.
	answer
	whole
)

// viewOf says how much of an entry's opening is for a caller; the package
// comment has the table.
func viewOf(caller *identity.Caller, auditor bool, e *ledgerv1.LedgerEntry) view {
	own := verify.ParticipantOf(e.Actor) == caller.Participant
	switch b := e.Body.(type) {
	case *ledgerv1.LedgerEntry_Published:
		return choose(own, auditor, part)
	case *ledgerv1.LedgerEntry_Refused, *ledgerv1.LedgerEntry_Read:
		return choose(own || auditor, false, nothing)
	case *ledgerv1.LedgerEntry_Queried:
		own = verify.ParticipantOf(b.Queried.Consumer) == caller.Participant
		return choose(own || auditor, b.Queried.Provider == caller.Participant, part)
	case *ledgerv1.LedgerEntry_Released:
		own = verify.ParticipantOf(b.Released.Consumer) == caller.Participant
		return choose(own || auditor, b.Released.Provider == caller.Participant, part)
	case *ledgerv1.LedgerEntry_Received:
		own = verify.ParticipantOf(b.Received.Consumer) == caller.Participant
		return choose(own || auditor, b.Received.Provider == caller.Participant, part)
	case *ledgerv1.LedgerEntry_Checked:
		if !auditor && verify.ParticipantOf(b.Checked.Consumer) == caller.Participant {
			return answer // and neither which records it rests on nor how many
		}
		return choose(auditor, b.Checked.Provider == caller.Participant, part)
	case *ledgerv1.LedgerEntry_StatusAsked:
		return choose(own || auditor, false, nothing)
	case *ledgerv1.LedgerEntry_Enrolled:
		own = verify.ParticipantOf(b.Enrolled.Consumer) == caller.Participant
		return choose(own || auditor, false, nothing)
	case *ledgerv1.LedgerEntry_Disputed:
		return choose(own || auditor, b.Disputed.Provider == caller.Participant, part)
	case *ledgerv1.LedgerEntry_DisputeAnswered:
		own = own || verify.ParticipantOf(b.DisputeAnswered.Consumer) == caller.Participant
		return choose(own || auditor, false, nothing)
	case *ledgerv1.LedgerEntry_ConsentGiven:
		return choose(own || auditor || b.ConsentGiven.Recipient == caller.Participant, false, nothing)
	case *ledgerv1.LedgerEntry_ConsentRevoked:
		return choose(own || auditor || b.ConsentRevoked.Recipient == caller.Participant, false, nothing)
	case *ledgerv1.LedgerEntry_Prepared, *ledgerv1.LedgerEntry_Collected, *ledgerv1.LedgerEntry_Submitted, *ledgerv1.LedgerEntry_Papers:
		return choose(own || auditor, false, nothing)
	case *ledgerv1.LedgerEntry_CaseOpened, *ledgerv1.LedgerEntry_CaseClosed, *ledgerv1.LedgerEntry_Representation,
		*ledgerv1.LedgerEntry_DocumentStored, *ledgerv1.LedgerEntry_DocumentReturned:
		return choose(own || auditor, false, nothing)
	}
	return nothing
}

func choose(all, other bool, otherView view) view {
	switch {
	case all:
		return whole
	case other:
		return otherView
	}
	return nothing
}

func cutRecord(o *ledgerv1.RecordOpening, v view) *ledgerv1.RecordOpening {
	if v == whole {
		return o
	}
	return verify.PartOfRecord(o)
}

func cutRead(e *ledgerv1.LedgerEntry, o *ledgerv1.ReadOpening, v view) *ledgerv1.ReadOpening {
	switch v {
	case whole:
		return o
	case answer:
		cut := proto.CloneOf(o)
		cut.Details = nil
		return cut
	}
	return verify.PartOfRead(e, o)
}
