// Package entry says what a catalogue entry must be. It holds no state and asks
// nobody, so the exchange and a command that reads entries from files check by
// the same rules.
//
// Three bars, each above the one before. A draft is well formed and marks
// nothing as secret. What is published has the conditions and the legal basis
// that its sharing class needs, in the entry and in each data item. What a
// department submits has besides all that Decree 809, art. 13, asks of an entry.
// A fault names everything that is wrong at once: what is missing is told once.
package entry

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
)

// Content gives what its writer says of an entry, and nothing of what the
// exchange adds: two entries with equal contents say the same.
func Content(t *cataloguev1.Topic) *cataloguev1.Topic {
	c := &cataloguev1.Topic{}
	if raw, err := proto.Marshal(t); err != nil || (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(raw, c) != nil {
		// Texts that are no UTF-8: the check of texts tells.
		c = proto.CloneOf(t)
	}
	c.State, c.CreatedAt, c.Partition, c.Code = 0, nil, 0, ""
	c.Revision, c.Findings, c.SubmittedAt, c.PublishedAt, c.Edition = nil, nil, nil, nil, 0
	if c.Category.GetCode() == "" && len(c.Category.GetPath()) == 0 {
		c.Category = nil
	}
	if c.Secrecy == cataloguev1.Secrecy_SECRECY_NONE {
		c.Secrecy = 0
	}
	if c.OpenData == cataloguev1.OpenData_OPEN_DATA_NO {
		c.OpenData = 0
	}
	if len(c.DeliveryModes) == 0 {
		c.DeliveryModes = []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_SUBSCRIBE, cataloguev1.DeliveryMode_DELIVERY_MODE_QUERY}
	}
	slices.Sort(c.DeliveryModes)
	slices.SortFunc(c.ServiceItems, func(a, b *cataloguev1.LinkedItem) int { return strings.Compare(a.GetCode(), b.GetCode()) })
	return c
}

// found gathers what is wrong.
type found []fault.Violation

func (f *found) add(field, rule, message string) {
	*f = append(*f, fault.Violation{Field: field, Rule: rule, Message: message})
}

// err takes over the violations of a check.
func (f *found) err(err error) {
	if e, ok := err.(*fault.Error); ok {
		*f = append(*f, e.Violations...)
	}
}

// Err makes one fault of violations; nil if there are none.
func Err(all []fault.Violation) error {
	switch len(all) {
	case 0:
		return nil
	case 1:
		return fault.Field(all[0].Field, all[0].Rule, "%s", all[0].Message)
	}
	var texts []string
	for _, v := range all {
		texts = append(texts, v.Field+": "+v.Message)
	}
	return fault.New(fault.Invalid, all[0].Rule, "%d things are wrong with the entry: %s", len(all), strings.Join(texts, "; ")).With(all...)
}
