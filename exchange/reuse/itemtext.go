package reuse

import (
	"strings"

	"google.golang.org/protobuf/reflect/protopath"
	"google.golang.org/protobuf/reflect/protorange"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/exchange/fault"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

// prose are the fields of a service item that may have several lines.
var prose = map[protoreflect.Name]bool{
	"legal_bases": true, "conditions": true, "requirement": true, "fee_basis": true, "place": true, "hours": true, "contact": true,
	"complaint_channel": true, "guide": true, "standard": true, "basis": true, "condition": true, "question": true, "answer": true,
}

// CheckTexts finds the texts of a service item that have characters which people
// cannot see (text.control): an item is shown by many portals and printed by many
// programs. Several lines may have those that explain something.
func CheckTexts(item *recordsv1.ServiceItem) (found []fault.Violation) {
	visit := func(at protopath.Values) error {
		text, is := at.Index(-1).Value.Interface().(string)
		if !is {
			return nil
		}
		field, step := at.Index(-1), -1
		if field.Step.Kind() == protopath.ListIndexStep {
			step = -2
		}
		several := prose[at.Index(step).Step.FieldDescriptor().Name()]
		switch {
		case several && contract.Lines(text), !several && contract.OneLine(text):
			return nil
		case len(found) == maxItemViolations:
			return protorange.Terminate
		}
		message := "has a control character or a line end; write it in one line of what people can read"
		if several {
			message = "has a control character; write what people can read, in lines that end with a line feed"
		}
		_, path, _ := strings.Cut(at.Path.String(), ").")
		found = append(found, fault.Violation{Field: path, Rule: "text.control", Message: message})
		return nil
	}
	// What is visited is stopped for nothing but the bound above.
	_ = protorange.Options{Stable: true}.Range(item.ProtoReflect(), visit, nil)
	return found
}
