package reuse

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/huitong-bus/huitong/exchange/fault"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

// CheckDocuments finds what of a service item is not there to download: a document
// that it names and its publication does not have (item.document), what the
// applicant makes without a form or sample (material.document), and a form without
// its file (form.document). An address alone is not enough: what lies behind it
// may be gone. What is abolished is not looked at.
func CheckDocuments(item *recordsv1.ServiceItem, attached []*ledgerv1.Document) (found []fault.Violation) {
	if item.GetState() == recordsv1.ItemState_ITEM_STATE_ABOLISHED {
		return nil
	}
	named := func(field string, d *recordsv1.Document) {
		if d != nil && !slices.ContainsFunc(attached, func(a *ledgerv1.Document) bool { return isDocument(d, a) }) {
			found = append(found, fault.Violation{Field: field, Rule: "item.document",
				Message: "is no document of this publication; upload the file and name its id with the publication"})
		}
	}
	for i, m := range item.GetMaterials() {
		field := fmt.Sprintf("materials[%d]", i)
		named(field+".blank_form_document", m.BlankFormDocument)
		named(field+".sample_document", m.SampleDocument)
		named(field+".guide_document", m.GuideDocument)
		if m.Source == recordsv1.MaterialSource_MATERIAL_SOURCE_APPLICANT && m.BlankFormDocument == nil && m.SampleDocument == nil {
			found = append(found, fault.Violation{Field: field, Rule: "material.document",
				Message: "is made by the applicant and has neither form nor sample to download; attach one as a document of the item"})
		}
	}
	for i, f := range item.GetForms() {
		field := fmt.Sprintf("forms[%d]", i)
		named(field+".document", f.Document)
		if f.Document == nil {
			found = append(found, fault.Violation{Field: field, Rule: "form.document",
				Message: "cannot be downloaded from here; attach it as a document of the item"})
		}
	}
	return found
}

// isDocument says whether a document is the one that an item names.
func isDocument(named *recordsv1.Document, d *ledgerv1.Document) bool {
	return bytes.Equal(named.Sha256, d.Sha256) && named.Size == d.Size && named.MediaType == d.MediaType
}
