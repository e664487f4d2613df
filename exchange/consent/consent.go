// Package consent keeps what people allow departments to read about them, and who
// may act for whom.
//
// A consent is an artefact: exact bytes that say whose data may be read, which,
// by whom, for what and until when. It counts once somebody the exchange trusts
// has shown that the subject agreed to exactly these bytes: the subject's
// identity provider by a token, the subject by a key that the provider vouches
// for, or two officials at a counter, which is weaker. A child, or a person
// without capacity, consents through a representative on record.
//
// An artefact names its ledger and its recipient and holds random bytes, so that
// a consent shown elsewhere, or once more, is worth nothing. A revoked one cannot
// be given again. Every consent, revocation and representation is an entry whose
// leaf tells nothing that two entries of a subject share; artefacts and proofs
// are sealed.
//
// Whether a consent stands is a fact that a decision rests on: it is held by a
// guard until the commit, so that nothing is read behind its revocation.
package consent

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/store"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// attempts is how often a call is decided while the policy keeps moving.
const attempts = 8

// Cases tells whom a case is about.
type Cases interface {
	// SubjectsOf gives the subjects of a case of a participant, open or closed;
	// fault.NotFound if it has none of that number.
	SubjectsOf(ctx context.Context, participant, number string) ([]*ledgerv1.Subject, error)
}

// Config is what consents need.
type Config struct {
	DB        *store.DB
	Journal   *journal.Journal
	Catalogue *catalog.Catalogue
	Keyring   *identity.Keyring
	Cases     Cases
	// Clock tells the time; time.Now if nil.
	Clock func() time.Time
}

// Consents keeps consents, representations and identity providers. It is safe
// for concurrent use.
type Consents struct {
	Config
	// persons checks that an official signed.
	persons identity.PersonVerifier
}

// New makes the consents of an exchange.
func New(c Config) *Consents {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	return &Consents{Config: c, persons: identity.EnrolledKey{}}
}

// decided runs a change that a department may make, as the policy stands when it
// commits: a caller, a person or an identity provider that is suspended just then
// changes nothing.
func (c *Consents) decided(ctx context.Context, caller *identity.Caller, run func(by *identity.Caller, policy uint64) error) error {
	var err error
	for range attempts {
		policy := c.Catalogue.Policy() // before all that is decided by it
		var by *identity.Caller
		if by, err = c.Catalogue.Caller(caller.Fingerprint); err != nil {
			return err
		}
		if err = department(by); err != nil {
			return err
		}
		if err = run(by, policy); !errors.Is(err, journal.ErrPolicyMoved) {
			return err
		}
		if err := c.Catalogue.Refresh(ctx, 0); err != nil {
			return err
		}
	}
	return fault.Wrap(fault.Unavailable, "policy.moving", err, "permissions keep changing; try again")
}

func department(by *identity.Caller) error {
	if by.Roles.Has(identity.Department) {
		return nil
	}
	return fault.New(fault.Denied, "role.department", "consents and representations are kept by department systems")
}

func (c *Consents) origin() string { return c.Keyring.Origin() }

// holder gives the name by which rows and guards know the consents of a subject
// to a recipient.
func (c *Consents) holder(s *ledgerv1.Subject, recipient string) []byte {
	return Holder(c.Keyring, s, recipient)
}

// Holder is the token of a subject and a recipient.
func Holder(k *identity.Keyring, s *ledgerv1.Subject, recipient string) []byte {
	return k.Token(identity.TokenConsent, s.GetType(), s.GetNumber(), recipient)
}

// Sealed bodies are bound to their ledger, table and row.
const (
	consentBody        = "consent"
	representationBody = "representation"
)

func bodyData(origin, table string, digest []byte) []byte {
	return append(append(append([]byte(origin), 0), table...), digest...)
}

func (c *Consents) seal(table string, digest []byte, m proto.Message) ([]byte, error) {
	plain, err := catalog.Encode(m)
	if err != nil {
		return nil, err
	}
	return c.Keyring.Seal(plain, bodyData(c.origin(), table, digest))
}

func open(k *identity.Keyring, table string, digest, sealed []byte, into proto.Message) error {
	plain, err := k.Open(sealed, bodyData(k.Origin(), table, digest))
	if err != nil {
		return err
	}
	return proto.Unmarshal(plain, into)
}

func secret() []byte {
	b := make([]byte, verify.SecretSize)
	_, _ = rand.Read(b) // never fails
	return b
}

func leafOf(by *identity.Caller) *ledgerv1.LedgerEntry {
	return &ledgerv1.LedgerEntry{Actor: by.System, ActorCertificate: by.Fingerprint[:]}
}

func timeOf(us int64) *timestamppb.Timestamp { return timestamppb.New(time.UnixMicro(us).UTC()) }

// receipt gives the receipt of a commit.
func receipt(c *journal.Commit) *exchangev1.Receipt {
	if c == nil || len(c.Leaves) == 0 {
		return nil
	}
	return &exchangev1.Receipt{Index: c.Index, At: timeOf(c.At), Leaf: c.Leaves[0]}
}

// errRepeat ends a change that was made before.
var errRepeat = errors.New("it is done already")

// again gives the receipt of what a repeat finds.
func (c *Consents) again(ctx context.Context, index uint64) (*exchangev1.Receipt, error) {
	r := &exchangev1.Receipt{Index: index, Repeat: true}
	if err := c.DB.Reader().QueryRowContext(ctx, "SELECT leaf FROM ledger WHERE idx = $1", int64(index)).Scan(&r.Leaf); err != nil {
		return nil, err
	}
	entry := &ledgerv1.LedgerEntry{}
	if err := proto.Unmarshal(r.Leaf, entry); err != nil {
		return nil, err
	}
	r.At = timeOf(entry.AtUs)
	return r, nil
}
