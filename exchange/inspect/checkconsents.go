package inspect

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/consent"
	"github.com/huitong-bus/huitong/exchange/identity"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// agreed is what the ledger says of consents, or of representations: by digest
// where each began and where it ended, plus one.
type agreed map[string]*lifetime

type lifetime struct {
	party        string
	began, ended uint64
}

func (a *agreed) begin(digest []byte, party string, index uint64) error {
	if *a == nil {
		*a = agreed{}
	}
	if (*a)[string(digest)] != nil {
		return errors.New("it was recorded before")
	}
	(*a)[string(digest)] = &lifetime{party: party, began: index}
	return nil
}

func (a agreed) end(digest []byte, party string, index uint64) error {
	s := a[string(digest)]
	if s == nil || s.party != party || s.ended != 0 {
		return errors.New("it ends what was not recorded, or has ended")
	}
	s.ended = index + 1
	return nil
}

// agreement follows an entry of consents or representations whose opening is the
// one that it commits to.
func (c *checker) agreement(e *ledgerv1.LedgerEntry, o *ledgerv1.ReadOpening) error {
	switch b := e.Body.(type) {
	case *ledgerv1.LedgerEntry_ConsentGiven:
		return c.consents.begin(o.Consents[0], b.ConsentGiven.Recipient, e.Index)
	case *ledgerv1.LedgerEntry_ConsentRevoked:
		return c.consents.end(o.Consents[0], b.ConsentRevoked.Recipient, e.Index)
	case *ledgerv1.LedgerEntry_Representation:
		if b.Representation.Change == "end" {
			return c.acting.end(o.Consents[0], b.Representation.Participant, e.Index)
		}
		return c.acting.begin(o.Consents[0], b.Representation.Participant, e.Index)
	}
	return nil
}

// checkConsents compares each consent's row with its entries, and its columns
// with what is sealed.
func (c *checker) checkConsents(ctx context.Context) error {
	n := 0
	err := c.each(ctx, "consents", `SELECT digest, holder, recipient, valid_from, valid_until, given, revoked, representation, body
		FROM consents ORDER BY digest`, func(rows *sql.Rows) error {
		var digest, holder, representation, body []byte
		var recipient string
		var from, until int64
		var given, revoked uint64
		if err := rows.Scan(&digest, &holder, &recipient, &from, &until, &given, &revoked, &representation, &body); err != nil {
			return err
		}
		n++
		name := fmt.Sprintf("%x", digest)
		known := c.consents[string(digest)]
		if known == nil || known.began != given || known.ended != revoked || known.party != recipient {
			return wrong("consents", name, "the row is not what the ledger says of such a consent")
		}
		m, err := consent.OpenConsent(c.keyring, digest, body)
		if err != nil {
			return wrong("consents", name, "body does not open")
		}
		a := &accessv1.Consent{}
		sum := sha256.Sum256(m.Artefact)
		if proto.Unmarshal(m.Artefact, a) != nil || !bytes.Equal(sum[:], digest) || m.Given != given || m.RevokedPlusOne != revoked {
			return wrong("consents", name, "body is of another consent, or of another time")
		}
		switch wantFrom, wantUntil := consent.Days(a); {
		case !bytes.Equal(holder, consent.Holder(c.keyring, a.Subject, recipient)):
			return wrong("consents", name, "holder is not the token of the subject")
		case a.Recipient != recipient, from != int64(wantFrom), until != int64(wantUntil), !bytes.Equal(representation, a.Representation):
			return wrong("consents", name, "the columns are not those of the body")
		}
		return nil
	})
	if err == nil && n != len(c.consents) {
		err = wrong("consents", nil, "there are %d, the ledger has %d", n, len(c.consents))
	}
	return err
}

// checkRepresentations does the same for representations.
func (c *checker) checkRepresentations(ctx context.Context) error {
	n := 0
	err := c.each(ctx, "representations", "SELECT digest, principal, participant, recorded, ended, body FROM representations ORDER BY digest", func(rows *sql.Rows) error {
		var digest, principal, body []byte
		var participant string
		var recorded, ended uint64
		if err := rows.Scan(&digest, &principal, &participant, &recorded, &ended, &body); err != nil {
			return err
		}
		n++
		name := fmt.Sprintf("%x", digest)
		known := c.acting[string(digest)]
		if known == nil || known.began != recorded || known.ended != ended || known.party != participant {
			return wrong("representations", name, "the row is not what the ledger says of such a representation")
		}
		m, err := consent.OpenRepresentation(c.keyring, digest, body)
		if err != nil {
			return wrong("representations", name, "body does not open")
		}
		r := &accessv1.Representation{}
		sum := sha256.Sum256(m.Statement)
		switch {
		case proto.Unmarshal(m.Statement, r) != nil, !bytes.Equal(sum[:], digest), m.Recorded != recorded, m.EndedPlusOne != ended, m.Participant != participant:
			return wrong("representations", name, "body is of another representation, or of another time")
		case !bytes.Equal(principal, c.keyring.Token(identity.TokenSubject, r.Principal.GetType(), r.Principal.GetNumber())):
			return wrong("representations", name, "principal is not the token of the principal")
		}
		return nil
	})
	if err == nil && n != len(c.acting) {
		err = wrong("representations", nil, "there are %d, the ledger has %d", n, len(c.acting))
	}
	return err
}

func (c *checker) checkIdentityProviders(ctx context.Context) error {
	return c.each(ctx, "identity_providers", "SELECT issuer, version, changed, body FROM identity_providers ORDER BY issuer", func(rows *sql.Rows) error {
		var id string
		var version, changed uint64
		var body []byte
		if err := rows.Scan(&id, &version, &changed, &body); err != nil {
			return err
		}
		c.report.Objects++
		if err := c.objects.held("identity_providers", objectID{kind: "identity-provider", id: id}, version, changed, body); err != nil {
			return err
		}
		return bodyOf("identity_providers", id, body, func(m *accessv1.IdentityProvider) bool { return m.Issuer == id && m.Version == version })
	})
}
