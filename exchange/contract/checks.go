package contract

import (
	"google.golang.org/protobuf/reflect/protoreflect"

	contractv1 "github.com/huitong-bus/huitong/proto/gen/huitong/contract/v1"
)

// Rules that Go code checks.
const (
	ruleResidentID    = "identifier.resident_id"
	ruleResidentOld   = "identifier.resident_id.old_form"
	ruleCreditCode    = "identifier.credit_code"
	ruleCertificateID = "identifier.certificate_id"
	ruleRegion        = "identifier.region"
	ruleDate          = "date"
)

// oldFormMessage goes with ruleResidentOld.
const oldFormMessage = "is a resident identity number of 15 digits, which has no check digit; it counts as the number of 18 characters"

// problem is a rule that a value breaks; none if it has no rule.
type problem struct{ rule, message string }

func problemOf(rule string, err error) problem {
	if err == nil {
		return problem{}
	}
	return problem{rule, err.Error()}
}

// check is what Go code checks of a field: its own value, or those within it.
type check struct {
	field  *field
	value  func(string) problem
	typeOf protoreflect.FieldDescriptor // the holder code type beside it
}

// checksOf finds what is to be checked in a message type. Inner types come
// first, so that theirs are known.
func (s *shape) checksOf(md protoreflect.MessageDescriptor) {
	l := s.layouts[md.FullName()]
	for _, f := range l.all {
		if f.desc.IsMap() {
			continue
		}
		c := s.checkOf(md, f)
		if c == nil && f.message != nil && len(f.message.checks) > 0 {
			c = &check{field: f}
		}
		if c != nil {
			l.checks = append(l.checks, c)
		}
	}
}

func (s *shape) checkOf(md protoreflect.MessageDescriptor, f *field) *check {
	item, path := itemOptions(f.desc), join(s.pathOf(md), f.desc.Name())
	kinds := 0
	c := &check{field: f}
	if id := item.GetIdentifier(); id != contractv1.Identifier_IDENTIFIER_UNSPECIFIED {
		kinds++
		if c.value = identifierCheck(id); c.value == nil {
			s.v.add(path, "item.identifier", "identifier %d is not known", id)
		}
	}
	if item.GetDate() {
		kinds++
		c.value = func(v string) problem { return problemOf(ruleDate, CheckDate(v)) }
	}
	if name := item.GetIdentifierType(); name != "" {
		kinds++
		c.typeOf = md.Fields().ByName(protoreflect.Name(name))
		if c.typeOf == nil || c.typeOf.Kind() != protoreflect.StringKind || c.typeOf.IsList() {
			s.v.add(path, "item.identifier_type", "identifier_type %q names no string field beside it", name)
		}
	}
	switch {
	case kinds == 0:
		return nil
	case kinds > 1:
		s.v.add(path, "item.identifier", "only one of identifier, identifier_type and date")
	case !f.text:
		s.v.add(path, "item.identifier", "identifiers and dates are strings")
	}
	return c
}

func identifierCheck(id contractv1.Identifier) func(string) problem {
	switch id {
	case contractv1.Identifier_IDENTIFIER_RESIDENT_ID:
		return checkResident
	case contractv1.Identifier_IDENTIFIER_CREDIT_CODE:
		return checkCredit
	case contractv1.Identifier_IDENTIFIER_CERTIFICATE_ID:
		return func(v string) problem { return problemOf(ruleCertificateID, CheckCertificateID(v)) }
	case contractv1.Identifier_IDENTIFIER_REGION:
		return func(v string) problem { return problemOf(ruleRegion, CheckRegion(v)) }
	}
	return nil
}

func checkResident(v string) problem {
	n, p := normalise(TypeResidentID, v)
	if p.rule == "" && len(n) != len(fold(v)) {
		return problem{ruleResidentOld, oldFormMessage}
	}
	return p
}

func checkCredit(v string) problem {
	_, p := normalise(TypeCreditCode, v)
	return p
}

// checkTyped checks a number by the holder code type beside it.
func checkTyped(kind, v string) problem {
	switch kind {
	case TypeResidentID:
		return checkResident(v)
	case TypeCreditCode:
		return checkCredit(v)
	}
	_, p := normalise(kind, v)
	return p
}

// runChecks checks a message of a layout.
func (l *layout) runChecks(m protoreflect.Message, r *report) {
	for _, c := range l.checks {
		if !m.Has(c.field.desc) {
			continue
		}
		v := m.Get(c.field.desc)
		r.at.enter(c.field.name, -1)
		if c.field.list {
			list := v.List()
			for i := range list.Len() {
				if r.full() {
					break
				}
				r.at.element(i)
				c.run(m, list.Get(i), r)
			}
		} else {
			c.run(m, v, r)
		}
		r.at.leave()
	}
}

// run checks one value of a field of m.
func (c *check) run(m protoreflect.Message, v protoreflect.Value, r *report) {
	var p problem
	switch {
	case c.field.message != nil:
		c.field.message.runChecks(v.Message(), r)
		return
	case v.String() == "":
		// An empty value is absent, which is for other rules.
		return
	case c.typeOf != nil:
		p = checkTyped(m.Get(c.typeOf).String(), v.String())
	default:
		p = c.value(v.String())
	}
	if p.rule != "" {
		r.add(p)
	}
}
