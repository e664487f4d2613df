package inspect

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/store"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Policy decides who may read the ledger.
type Policy interface {
	Decide(r access.Request) access.Decision
	// Refresh brings what decisions rest on up to a count of policy changes, or
	// to the newest if it is 0.
	Refresh(ctx context.Context, atLeast uint64) error
}

// Refuser commits the entry of a denial before the caller hears of it.
type Refuser interface {
	Refuse(ctx context.Context, r access.Request, d access.Decision) error
}

// Ledger answers reads of the ledger. All its fields are needed.
type Ledger struct {
	DB       *store.DB
	Journal  *journal.Journal
	Index    *Index
	Keys     Keys
	Policy   Policy
	Refusals Refuser
	// VerifierKey is the key that checkpoints verify by, a C2SP vkey.
	VerifierKey string
}

// errUnknown is the answer for an entry that is not there, and for one that the
// caller is not party to: it must not learn which.
func errUnknown() error {
	return fault.New(fault.NotFound, "entry.unknown", "the ledger has no such entry, or none that the caller is party to")
}

// decide answers whether a caller may do an action, and enters a refusal.
func (l *Ledger) decide(ctx context.Context, caller *identity.Caller, action access.Action) (access.Decision, error) {
	request := access.Request{Caller: caller, Action: action}
	d := l.Policy.Decide(request)
	if d.Allow {
		return d, nil
	}
	if err := l.Refusals.Refuse(ctx, request, d); err != nil {
		return d, err
	}
	return d, d.Err()
}

// attempts bounds how often a read is decided anew while the policy moves.
const attempts = 8

// enter decides a read and commits its entry; text says what is read, and is
// sealed.
func (l *Ledger) enter(ctx context.Context, caller *identity.Caller, action access.Action, word, text string) (access.Decision, *journal.Commit, error) {
	for range attempts {
		d, err := l.decide(ctx, caller, action)
		if err != nil {
			return d, nil, err
		}
		entry, err := readEntry(caller, word, text)
		if err != nil {
			return d, nil, err
		}
		commit, err := l.Journal.Submit(ctx, &journal.Call{From: caller.System, DecidedAt: d.Policy, Entries: []journal.Entry{entry}})
		if !errors.Is(err, journal.ErrPolicyMoved) {
			return d, commit, err
		}
		if err := l.Policy.Refresh(ctx, 0); err != nil {
			return d, nil, err
		}
	}
	return access.Decision{}, nil, fault.New(fault.Unavailable, "policy.moving", "permissions are changing; try again")
}

// readEntry makes the entry of a read. A filter may name a subject, so the leaf
// holds a salted commitment to it.
func readEntry(caller *identity.Caller, word, text string) (journal.Entry, error) {
	secret := make([]byte, verify.SecretSize)
	if _, err := rand.Read(secret); err != nil {
		return journal.Entry{}, err
	}
	commitment := verify.Commit(verify.Question, 0, secret, []byte(text))
	return journal.Entry{
		Leaf: &ledgerv1.LedgerEntry{
			Actor: caller.System, ActorCertificate: caller.Fingerprint[:],
			Body: &ledgerv1.LedgerEntry_Read{Read: &ledgerv1.LedgerRead{Action: word, FilterDigest: commitment[:]}},
		},
		Opening: &ledgerv1.ReadOpening{Secret: secret, Filter: text},
	}, nil
}

// visible says whether an entry is for a caller.
func visible(caller *identity.Caller, all bool, e *ledgerv1.LedgerEntry) bool {
	f := factsOf(e)
	return all || partyTo(&f, caller.Participant)
}

func partyTo(f *facts, participant string) bool {
	for _, p := range f.parties {
		if p == participant {
			return true
		}
	}
	return false
}

// leaf reads one committed leaf; nil if there is none.
func (l *Ledger) leaf(ctx context.Context, index uint64) ([]byte, error) {
	if index >= l.Journal.Head().Size {
		return nil, nil
	}
	var leaf []byte
	err := l.DB.Reader().QueryRowContext(ctx, "SELECT leaf FROM ledger WHERE idx = $1", int64(index)).Scan(&leaf)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return leaf, err
}

// entry reads one entry that the caller may see; nil if there is none.
func (l *Ledger) entry(ctx context.Context, caller *identity.Caller, all bool, index uint64) (*ledgerv1.Entry, error) {
	leaf, err := l.leaf(ctx, index)
	if err != nil || leaf == nil {
		return nil, err
	}
	decoded, err := decode(leaf)
	if err != nil {
		return nil, err
	}
	if !visible(caller, all, decoded) {
		return nil, nil
	}
	return &ledgerv1.Entry{Leaf: leaf, Entry: decoded}, nil
}

// Get gives one entry, with its opening as far as the caller may see it. A look
// at an opening is an entry; the entry alone, which holds nothing personal, is
// not.
func (l *Ledger) Get(ctx context.Context, caller *identity.Caller, index uint64, withOpening bool) (*ledgerv1.Entry, error) {
	d, err := l.decide(ctx, caller, access.ReadLedger)
	if err != nil {
		return nil, err
	}
	found, err := l.entry(ctx, caller, d.All, index)
	if err != nil {
		return nil, err
	}
	if found == nil {
		return nil, errUnknown()
	}
	if !withOpening {
		return found, nil
	}
	shown, err := l.open(ctx, caller, d.All, found)
	if err != nil || !shown {
		return found, err
	}
	if _, _, err := l.enter(ctx, caller, access.ReadLedger, "open", indexText(index)); err != nil {
		return nil, err
	}
	return found, nil
}
