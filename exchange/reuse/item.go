package reuse

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/query"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

// ItemContract is the contract whose records ItemCheck looks at.
const ItemContract = query.ServiceItem

// maxItemViolations bounds what is said of one item.
const maxItemViolations = 64

// Topics finds a topic by name.
type Topics interface {
	Topic(name string) (*catalog.Topic, error)
}

// ItemCheck refuses a service item when it is published, if its evidence could
// never be found: a clerk would learn it only from a case that is stuck; if its
// forms and samples are not there for the applicant to download; or if its texts
// have characters that nobody sees.
type ItemCheck struct {
	Topics     Topics
	Conditions *Conditions
}

// Check looks at a service item's payload, and at the documents that its
// publication names. What is wrong is an Invalid fault.
func (c *ItemCheck) Check(payload []byte, documents []*ledgerv1.Document) error {
	item := &recordsv1.ServiceItem{}
	if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(payload, item); err != nil {
		return fault.Field("content", "malformed", "is no service item")
	}
	found, err := CheckItem(item, c.Topics, c.Conditions)
	if err != nil {
		return err
	}
	found = append(found, CheckDocuments(item, documents)...)
	found = append(found, CheckTexts(item)...)
	if len(found) == 0 {
		return nil
	}
	found = found[:min(len(found), maxItemViolations)]
	first := found[0]
	return fault.New(fault.Invalid, first.Rule, "%s: %s", first.Field, first.Message).With(found...)
}

// CheckItem finds the evidence of a service item that names no topic to look in
// (evidence.topic) or a condition that cannot be asked of the topic's records
// (evidence.condition). What is abolished is not looked at, so that an item can
// be abolished whatever became of its topics.
func CheckItem(item *recordsv1.ServiceItem, topics Topics, ready *Conditions) ([]fault.Violation, error) {
	if item.GetState() == recordsv1.ItemState_ITEM_STATE_ABOLISHED {
		return nil, nil
	}
	var found []fault.Violation
	for i, material := range item.GetMaterials() {
		for j, evidence := range material.GetEvidence() {
			one, err := checkEvidence(evidence, topics, ready)
			if err != nil {
				return nil, err
			}
			if one == nil {
				continue
			}
			one.Field = fmt.Sprintf("materials[%d].evidence[%d].%s", i, j, one.Field)
			if found = append(found, *one); len(found) == maxItemViolations {
				return found, nil
			}
		}
	}
	return found, nil
}

// checkEvidence says what is wrong with one kind of evidence; nil if nothing is.
func checkEvidence(e *recordsv1.Evidence, topics Topics, ready *Conditions) (*fault.Violation, error) {
	topic, err := topics.Topic(e.GetTopic())
	switch {
	case fault.KindOf(err) == fault.NotFound, err == nil && !topic.Active():
		// A draft and nothing look the same: who may not know of it does not learn.
		return noTopic("is no published topic; publish it first, or name one of the catalogue"), nil
	case err != nil:
		return nil, err
	case topic.SharingClass == cataloguev1.SharingClass_SHARING_CLASS_NOT_SHARED:
		return noTopic("is not shared, on the legal basis that the catalogue names; ask the applicant for the material"), nil
	case !topic.Delivers(cataloguev1.DeliveryMode_DELIVERY_MODE_QUERY):
		return noTopic("is not delivered by query, so that no copy could be made; name a topic that is, or have its provider offer it"), nil
	}
	k, err := topic.Contract(0)
	if err != nil {
		return nil, err
	}
	if k.AboutNobody() {
		return noTopic("has records that are about nobody; name a topic whose records are about the applicant or who belongs to the case"), nil
	}
	return checkCondition(e.GetCondition(), topic, k, ready)
}

func noTopic(message string) *fault.Violation {
	return &fault.Violation{Field: "topic", Rule: "evidence.topic", Message: message}
}

func checkCondition(text string, topic *catalog.Topic, k *contract.Contract, ready *Conditions) (*fault.Violation, error) {
	wrong := func(message string) *fault.Violation {
		return &fault.Violation{Field: "condition", Rule: "evidence.condition", Message: message}
	}
	condition, err := ready.Get(text, k)
	var f *fault.Error
	if errors.As(err, &f) && f.Kind == fault.Invalid && len(f.Violations) > 0 {
		return wrong(f.Violations[0].Message), nil
	}
	if err != nil {
		return nil, err
	}
	for _, field := range condition.Fields() {
		if topic.ItemClass(field) == cataloguev1.SharingClass_SHARING_CLASS_NOT_SHARED {
			return wrong("reads the field " + field + ", which is not shared"), nil
		}
	}
	return nil, nil
}
