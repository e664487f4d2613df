package access

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/exchange/fault"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
)

// MaxTerms bounds the bytes of a request's terms.
const MaxTerms = 64 << 10

// termFields are the fields of a grant that both sides agree on.
var termFields = map[protoreflect.Name]bool{
	"topic": true, "consumer": true, "basis": true, "scenario": true, "fields": true, "service_items": true, "delivery_modes": true,
	"standing_purpose": true, "standing_legal_basis": true, "scope": true, "valid_from": true, "valid_until": true, "daily_limit": true, "checks": true,
}

// Terms reads the terms of a request, the exact bytes that are signed, and checks
// all of them that needs no transaction. The grant it gives has neither id nor
// state; it begins on the day of the agreement where valid_from is empty.
func (p *Policy) Terms(raw []byte) (*accessv1.Grant, error) {
	if len(raw) == 0 || len(raw) > MaxTerms {
		return nil, fault.Field("terms", "grant.terms.size", "has 1 to %d bytes: a marshalled Grant", MaxTerms)
	}
	m := &accessv1.Grant{}
	if err := proto.Unmarshal(raw, m); err != nil || len(m.ProtoReflect().GetUnknown()) > 0 {
		return nil, fault.Field("terms", "grant.terms.format", "is no marshalled Grant of this exchange's version")
	}
	if err := contract.CheckTexts("terms", m.ProtoReflect(), nil); err != nil {
		return nil, err
	}
	var other string
	m.ProtoReflect().Range(func(f protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		if !termFields[f.Name()] {
			other = string(f.Name())
		}
		return other == ""
	})
	if other != "" {
		return nil, fault.Field("terms."+other, "grant.terms.field", "is no term: the exchange fills it in")
	}
	from, today := m.ValidFrom, DayOf(p.Clock())
	n, err := p.prepare(m)
	if err != nil {
		return nil, err
	}
	if dayOr(from, maxDay) < today {
		return nil, fault.Field("terms.valid_from", "grant.past", "has passed")
	}
	n.Id, n.Version, n.State, n.RecordedOutside, n.ValidFrom, n.Terms = "", 0, 0, false, from, raw
	return n, p.checkChecks(n)
}

// Ended says whether a grant's period is over on a day.
func Ended(g *accessv1.Grant, today int32) bool { return today > dayOr(g.ValidUntil, maxDay) }
