package entry

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/exchange/fault"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
)

// Bounds of an entry's lists.
const (
	maxLinked = 200
	maxItems  = 1000
	maxPath   = 8
)

var (
	topicName    = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,95}$`)
	categoryCode = regexp.MustCompile(`^[0-9]{2,24}$`)
	itemCode     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$`)
)

const (
	conditional = cataloguev1.SharingClass_SHARING_CLASS_CONDITIONAL
	notShared   = cataloguev1.SharingClass_SHARING_CLASS_NOT_SHARED
)

// Secret is the rule by which an entry that is marked secret is refused.
const Secret = "topic.secret"

// CheckSecrecy refuses an entry whose classification marks it as secret: Decree
// 809, art. 3. A value that the exchange does not know is no "none".
func CheckSecrecy(t *cataloguev1.Topic) error {
	if t.GetSecrecy() <= cataloguev1.Secrecy_SECRECY_NONE && t.GetSecrecy() >= 0 {
		return nil
	}
	return fault.New(fault.Denied, Secret,
		"state secrets and work secrets are not exchanged here (Decree 809, art. 3); take the entry elsewhere, or state that the data are not secret").
		With(fault.Violation{Field: "topic.secrecy", Rule: Secret, Message: "marks the data as secret"})
}

// CheckDraft checks an entry that may be unfinished.
func CheckDraft(t *cataloguev1.Topic) error {
	var f found
	if !topicName.MatchString(t.Name) || contract.HoldsResidentID(t.Name) {
		f.add("topic.name", "topic.name",
			`starts with a lower-case letter or digit, has lower-case letters, digits, "-" and "_", at most 96 of them, and names no person`)
	}
	f.err(Name("topic.title", t.Title))
	f.err(Text("topic.contract", t.Contract, true))
	f.err(Text("topic.conditions", t.Conditions, false))
	f.err(Text("topic.legal_basis", t.LegalBasis, false))
	f.err(Text("topic.abstract", t.Abstract, false))
	f.err(Text("topic.format", t.Format, false))
	if !known(cataloguev1.SharingClass_name, t.SharingClass) || t.SharingClass == 0 {
		f.add("topic.sharing_class", "topic.sharing_class.required", "is unconditional, conditional or not shared")
	}
	if !known(cataloguev1.UpdateCycle_name, t.UpdateCycle) {
		f.add("topic.update_cycle", "topic.update_cycle.unknown", "is none that the exchange knows")
	}
	if !known(cataloguev1.OpenData_name, t.OpenData) {
		f.add("topic.open_data", "topic.open_data.unknown", "is none that the exchange knows")
	}
	if !known(cataloguev1.Consent_name, t.Consent) {
		f.add("topic.consent", "topic.consent.unknown", "is none that the exchange knows")
	}
	f.err(CheckModes("topic.delivery_modes", t.DeliveryModes))
	if t.Contract == submitted && slices.Contains(t.DeliveryModes, cataloguev1.DeliveryMode_DELIVERY_MODE_SUBSCRIBE) {
		f.add("topic.delivery_modes", "topic.delivery_modes.submitted", "what an applicant submitted is read for one item only, and a subscription has none; offer it by query")
	}
	checkCategory(&f, t.Category)
	checkLinked(&f, t.ServiceItems)
	checkItemTexts(&f, t.Items)
	return Err(f)
}

// submitted is the contract of what applicants submitted.
const submitted = "huitong.records.v1.SubmittedMaterial"

func known[E ~int32](names map[int32]string, e E) bool {
	_, ok := names[int32(e)]
	return ok
}

// CheckModes refuses delivery modes that are unknown or come twice.
func CheckModes(field string, modes []cataloguev1.DeliveryMode) error {
	for i, m := range modes {
		if m == 0 || !known(cataloguev1.DeliveryMode_name, m) || slices.Contains(modes[:i], m) {
			return fault.Field(field, field+".unknown", "names an unknown delivery mode, or one twice")
		}
	}
	return nil
}

func checkCategory(f *found, c *cataloguev1.Category) {
	if c == nil {
		return
	}
	if !categoryCode.MatchString(c.Code) {
		f.add("topic.category.code", "topic.category.code", "has 2 to 24 digits")
	}
	if len(c.Path) == 0 || len(c.Path) > maxPath {
		f.add("topic.category.path", "topic.category.path", fmt.Sprintf("has 1 to %d names, from the class down", maxPath))
	}
	for _, name := range c.Path {
		f.err(Text("topic.category.path", name, true))
	}
}

func checkLinked(f *found, items []*cataloguev1.LinkedItem) {
	if len(items) > maxLinked {
		f.add("topic.service_items", "topic.service_items.size", fmt.Sprintf("are more than %d", maxLinked))
		return
	}
	seen := map[string]bool{}
	for i, item := range items {
		at := fmt.Sprintf("topic.service_items[%d]", i)
		switch {
		case !itemCode.MatchString(item.GetCode()) || contract.HoldsResidentID(item.GetCode()):
			f.add(at+".code", "topic.service_items.code", "a service item code has 1 to 64 letters, digits and . _ : -")
		case seen[item.Code]:
			f.add(at+".code", "topic.service_items.twice", "is linked already")
		case !known(cataloguev1.Consent_name, item.Consent):
			f.add(at+".consent", "topic.consent.unknown", "is none that the exchange knows")
		}
		seen[item.GetCode()] = true
		f.err(Text(at+".title", item.GetTitle(), false))
	}
}

// CheckPublished checks an entry that is to be in force, under the newest
// version of its contract.
func CheckPublished(t *cataloguev1.Topic, k *cataloguev1.Contract) error {
	var f found
	published(&f, t, k)
	return Err(f)
}

func published(f *found, t *cataloguev1.Topic, k *cataloguev1.Contract) {
	if t.SharingClass == conditional {
		f.err(Text("topic.conditions", t.Conditions, true))
	}
	if t.SharingClass == notShared {
		switch {
		case Text("", t.LegalBasis, true) != nil:
			f.add("topic.legal_basis", "topic.legal_basis.required", "an entry that is not shared "+CitationRule)
		case !Cites(t.LegalBasis):
			f.add("topic.legal_basis", "topic.legal_basis.citation", "an entry that is not shared "+CitationRule)
		}
	}
	checkItems(f, t, k)
}

// CheckSubmitted checks an entry that its department hands in.
func CheckSubmitted(t *cataloguev1.Topic, k *cataloguev1.Contract) error {
	var f found
	published(&f, t, k)
	if t.Category == nil {
		f.add("topic.category", "topic.category.required", "is required: the place of the data in the catalogue's classification")
	}
	if t.UpdateCycle == 0 {
		f.add("topic.update_cycle", "topic.update_cycle.required", "is required: how often the records are brought up to date")
	}
	f.err(Text("topic.abstract", t.Abstract, true))
	f.err(Text("topic.format", t.Format, true))
	return Err(f)
}
