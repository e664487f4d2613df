package query

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/catalog"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

// Submitted is the contract of what applicants submitted. Such a record may be used
// for the item that it was submitted for and for no other (Decree 716, art. 7),
// unless the applicant agreed to its reuse or consents to the reading.
const Submitted = "huitong.records.v1.SubmittedMaterial"

// UsableFor says whether a payload of a topic may be used as a request asks: for
// its purpose, under the consents that it rests on.
func UsableFor(topic *catalog.Topic, payload []byte, r *access.Request) (bool, error) {
	own := topic.Provider == r.Caller.Participant
	if topic.ContractName != Submitted || own || r.Facts.Consent.Standing == access.ConsentGiven {
		return true, nil
	}
	m := &recordsv1.SubmittedMaterial{}
	if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(payload, m); err != nil {
		return false, fmt.Errorf("a submitted material of %s: %w", topic.Name, err)
	}
	return m.ReuseConsented || m.ItemCode == r.Purpose, nil
}
