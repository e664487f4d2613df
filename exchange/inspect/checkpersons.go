package inspect

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"

	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// persons is what the ledger says of officials.
type persons struct {
	verify.Persons
	last map[string]*lastPerson
}

// lastPerson is the last entry of a person.
type lastPerson struct {
	index  uint64
	digest []byte
	policy uint64
}

// change takes an entry of a person.
func (p *persons) change(origin string, index uint64, e *ledgerv1.PersonChanged) error {
	if err := p.Enter(origin, e); err != nil {
		return wrong("ledger", index, "%v", err)
	}
	if p.last == nil {
		p.last = map[string]*lastPerson{}
	}
	p.last[string(e.Person)] = &lastPerson{index, e.Digest, e.Policy}
	return nil
}

// checkPersons compares each person's row with its last entry, and what is
// sealed with what the row commits to.
func (c *checker) checkPersons(ctx context.Context) error {
	n := 0
	err := c.each(ctx, "persons", "SELECT fingerprint, participant, reference, changed, body, details FROM persons ORDER BY fingerprint", func(rows *sql.Rows) error {
		var fingerprint, reference, body, details []byte
		var participant string
		var changed uint64
		if err := rows.Scan(&fingerprint, &participant, &reference, &changed, &body, &details); err != nil {
			return err
		}
		n++
		c.report.Objects++
		name := fmt.Sprintf("%x", fingerprint)
		known := c.persons.last[string(fingerprint)]
		if known == nil {
			return wrong("persons", name, "the ledger knows of no such person")
		}
		if digest := sha256.Sum256(body); !bytes.Equal(digest[:], known.digest) {
			return wrong("persons", name, "the row is not what entry %d commits to", known.index)
		}
		p, err := catalog.OpenPerson(c.keyring, body, details)
		switch {
		case err != nil:
			return wrong("persons", name, "details do not open, or are not those that body commits to")
		case !bytes.Equal(p.Fingerprint, fingerprint), p.Participant != participant:
			return wrong("persons", name, "the columns are not those of the body")
		case !bytes.Equal(reference, c.keyring.Token(identity.TokenPerson, participant, p.Reference)):
			return wrong("persons", name, "reference is not the token of the person's reference")
		case changed != known.policy:
			return wrong("persons", name, "changed is %d, by entry %d it is %d", changed, known.index, known.policy)
		}
		return nil
	})
	if err == nil && n != len(c.persons.last) {
		return wrong("persons", nil, "there are %d, the ledger enrolled %d", n, len(c.persons.last))
	}
	return err
}
