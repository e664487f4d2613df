package consent

import (
	"time"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/contract"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// majority is the age from which a person acts for itself (Civil Code, art. 17).
const majority = 18

// underage says whether somebody is a child on a day. Only a resident identity
// number tells; whoever is known by another number counts as grown up.
func underage(s *ledgerv1.Subject, day int32) bool {
	if s.GetType() != contract.TypeResidentID || len(s.GetNumber()) != 18 {
		return false
	}
	born, err := time.Parse("20060102", s.GetNumber()[6:14])
	if err != nil {
		return false
	}
	return day < dayOf(born.AddDate(majority, 0, 0))
}

// adult says whether somebody's own consent counts in a family's means test: a
// person, and no child.
func adult(s *ledgerv1.Subject, day int32) bool {
	return s.GetType() != contract.TypeCreditCode && !underage(s, day)
}

// dayOf gives a date as days since 1970-01-01.
func dayOf(date time.Time) int32 { return int32(date.Unix() / (24 * 60 * 60)) }

// parseDay reads "YYYY-MM-DD".
func parseDay(text string) (int32, bool) {
	if contract.CheckDate(text) != nil {
		return 0, false
	}
	t, err := time.Parse(time.DateOnly, text)
	return dayOf(t), err == nil
}

func (c *Consents) today() int32 { return access.DayOf(c.Clock()) }
