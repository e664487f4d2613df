package inspect

import (
	"bytes"
	"context"
	"database/sql"
	"strings"

	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
)

// checkEnrolments compares who is enrolled with what the rows seal, and with the
// entries that they name.
func (c *checker) checkEnrolments(ctx context.Context) error {
	return c.each(ctx, "enrolments", "SELECT subscription, subject, case_token, since, idx, at, id, body FROM enrolments ORDER BY subscription, subject, case_token", func(row *sql.Rows) error {
		var number, at int64
		var subject, ofCase, body []byte
		var since, index uint64
		var id string
		if err := row.Scan(&number, &subject, &ofCase, &since, &index, &at, &id, &body); err != nil {
			return err
		}
		opening, err := journal.OpenEntry(c.keys, c.origin, body)
		if err != nil {
			return wrong("enrolments", id, "body does not open")
		}
		participant, _, _ := strings.Cut(id, "/")
		switch {
		case number != journal.Number(id) || !c.objects.has("subscription", id):
			return wrong("enrolments", id, "there is no such subscription")
		case !bytes.Equal(subject, c.keys.Token(identity.TokenSubject, opening.GetSubject().GetType(), opening.GetSubject().GetNumber())),
			!bytes.Equal(ofCase, c.keys.Token(identity.TokenCase, participant, opening.CaseNumber)):
			return wrong("enrolments", id, "the tokens are not those of what is sealed")
		case since > index || index >= c.head.Size || at <= 0:
			return wrong("enrolments", id, "the row is not what an enrolment writes")
		}
		return nil
	})
}

// checkArrears looks at what subscriptions are owed: whether it fits the stream.
func (c *checker) checkArrears(ctx context.Context) error {
	return c.each(ctx, "arrears", "SELECT subscription, sequence, lane, idx, enrolled FROM arrears ORDER BY subscription, sequence", func(row *sql.Rows) error {
		var subscription, lane int64
		var sequence, index, enrolled uint64
		if err := row.Scan(&subscription, &sequence, &lane, &index, &enrolled); err != nil {
			return err
		}
		if sequence == 0 || !c.reached(sequence) || lane < 0 || index >= enrolled || enrolled >= c.head.Size {
			return wrong("arrears", subscription, "the row is not what an enrolment writes")
		}
		return nil
	})
}
