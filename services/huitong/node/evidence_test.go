package node_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/node/nodetest"
)

// TestOneEntryProvesItselfAlone: by the ledger's key and what the evidence holds,
// and not with one byte of any part of it changed.
func TestOneEntryProvesItselfAlone(t *testing.T) {
	x := nodetest.Start(t)
	tax := x.Join(t, sample.HumanResources, "payroll")
	auditor := x.Join(t, sample.Housing, "audit", cataloguev1.Role_ROLE_AUDITOR)
	ok(t, x.CreateTopic(t.Context(), unconditional("income", "Income", sample.HumanResources)))
	publisher := tax.Publisher(sdk.PublisherConfig{})
	var batch []sdk.Publication
	for n := range 3 {
		batch = append(batch, sdk.Publication{Topic: "income", Message: income(earner, n)})
	}
	results, err := publisher.PublishBatch(t.Context(), batch)
	ok(t, err)
	later, err := publisher.Publish(t.Context(), "income", income(earner, 7))
	ok(t, err)
	ok(t, publisher.Close(t.Context()))
	other, err := auditor.Evidence(t.Context(), later.Index, false)
	ok(t, err)
	for _, result := range results {
		ok(t, result.Err)
		receipt := result.Receipt
		e, err := auditor.Evidence(t.Context(), receipt.Index, false)
		ok(t, err)
		proven, err := sdk.VerifyEvidence(e, x.Node.LedgerKey())
		ok(t, err)
		if !proven.Signed || proven.Entry.GetPublished().GetTopic() != "income" {
			t.Errorf("entry %d is proven as %+v", receipt.Index, proven)
		}
		changedByte(t, e, x.Node.LedgerKey())
	}
	for name, change := range map[string]func(e *sdk.Evidence){
		"the signature of another call": func(e *sdk.Evidence) { e.Signature, e.Statements = other.Signature, other.Statements },
		"no signature":                  func(e *sdk.Evidence) { e.Signature = nil },
		"no certificate":                func(e *sdk.Evidence) { e.Certificate = nil },
		"no statements":                 func(e *sdk.Evidence) { e.Statements = nil },
	} {
		e, err := auditor.Evidence(t.Context(), results[0].Receipt.Index, false)
		ok(t, err)
		change(e)
		if _, err := sdk.VerifyEvidence(e, x.Node.LedgerKey()); err == nil {
			t.Errorf("with %s it is proven", name)
		}
	}
	// What nobody signs: an entry of the exchange itself.
	e, err := auditor.Evidence(t.Context(), 0, false)
	ok(t, err)
	proven, err := sdk.VerifyEvidence(e, x.Node.LedgerKey())
	ok(t, err)
	if proven.Signed {
		t.Error("entry 0 is signed by a publisher")
	}
}

// changedByte changes each byte of each part, one at a time.
func changedByte(t *testing.T, e *sdk.Evidence, key string) {
	t.Helper()
	text := []byte(e.Proof)
	parts := map[string][]byte{"leaf": e.Leaf, "certificate": e.Certificate, "signature": e.Signature, "proof": text}
	for i, s := range e.Statements {
		parts["statement "+string(rune('0'+i))] = s
	}
	for name, part := range parts {
		for at := range part {
			part[at] ^= 1
			forged := proto.CloneOf(e)
			forged.Proof = string(text)
			if _, err := sdk.VerifyEvidence(forged, key); err == nil {
				t.Errorf("with byte %d of its %s changed it is proven", at, name)
			}
			part[at] ^= 1
		}
	}
	if _, err := sdk.VerifyEvidence(e, key); err != nil {
		t.Error("the evidence was not restored:", err)
	}
}

// TestAnOpeningThatWasAlteredIsFound: what a holder shows beside the proof of an
// entry is what the entry commits to, or it is told that nothing proves it.
func TestAnOpeningThatWasAlteredIsFound(t *testing.T) {
	x := nodetest.Start(t)
	tax := x.Join(t, sample.HumanResources, "payroll")
	auditor := x.Join(t, sample.Audit, "audit", cataloguev1.Role_ROLE_AUDITOR)
	ok(t, x.CreateTopic(t.Context(), unconditional("income", "Income", sample.HumanResources)))
	receipt := publishOne(t, tax, "income", income(earner, 1))
	whole, err := tax.Evidence(t.Context(), receipt.Index, true)
	ok(t, err)
	proven, err := sdk.VerifyEvidence(whole, x.Node.LedgerKey())
	ok(t, err)
	if !proven.Opened || len(whole.RecordOpening.Payload) == 0 {
		t.Errorf("its publisher's own opening is proven as %+v", proven)
	}
	for name, change := range map[string]func(e *sdk.Evidence){
		"another key":         func(e *sdk.Evidence) { e.RecordOpening.Key += "1" },
		"a reason":            func(e *sdk.Evidence) { e.RecordOpening.Reason = "更正" },
		"a successor":         func(e *sdk.Evidence) { e.RecordOpening.Successor = "2" },
		"another subject":     func(e *sdk.Evidence) { e.RecordOpening.Subjects[0].Number += "1" },
		"no subjects":         func(e *sdk.Evidence) { e.RecordOpening.Subjects = nil },
		"a document":          func(e *sdk.Evidence) { e.RecordOpening.Documents = []*sdk.Document{{Title: "证明"}} },
		"another secret":      func(e *sdk.Evidence) { e.RecordOpening.Secret[0] ^= 1 },
		"a payload changed":   func(e *sdk.Evidence) { p := e.RecordOpening.Payload; p[len(p)-1] ^= 1 },
		"a payload cut short": func(e *sdk.Evidence) { e.RecordOpening.Payload = e.RecordOpening.Payload[:2] },
		"no proof of payload": func(e *sdk.Evidence) { e.Cut = nil },
	} {
		e := proto.CloneOf(whole)
		change(e)
		if _, err := sdk.VerifyEvidence(e, x.Node.LedgerKey()); err == nil {
			t.Errorf("with %s it is proven", name)
		}
	}
	part, err := auditor.Evidence(t.Context(), receipt.Index, true)
	ok(t, err)
	if proven, err = sdk.VerifyEvidence(part, x.Node.LedgerKey()); err != nil || !proven.Opened || part.RecordOpening.GetKey() == "" || part.RecordOpening.Secret != nil {
		t.Errorf("what an auditor sees of it is proven as %+v: %v", proven, err)
	}
	for name, change := range map[string]func(o *ledgerv1.RecordOpening){
		"another key":     func(o *ledgerv1.RecordOpening) { o.Key += "1" },
		"a reason":        func(o *ledgerv1.RecordOpening) { o.Reason = "更正" },
		"another subject": func(o *ledgerv1.RecordOpening) { o.Subjects[0].Number += "1" },
		"no subjects":     func(o *ledgerv1.RecordOpening) { o.Subjects = nil },
		"a payload":       func(o *ledgerv1.RecordOpening) { o.Payload = []byte{8, 1} },
		"a document":      func(o *ledgerv1.RecordOpening) { o.Documents = []*sdk.Document{{Title: "证明"}} },
		"no salt":         func(o *ledgerv1.RecordOpening) { o.Salts.Key = nil },
		"another's salt":  func(o *ledgerv1.RecordOpening) { o.Salts.Key = o.Salts.Subjects[0] },
	} {
		e := proto.CloneOf(part)
		change(e.RecordOpening)
		if _, err := sdk.VerifyEvidence(e, x.Node.LedgerKey()); err == nil {
			t.Errorf("with %s a part is proven", name)
		}
	}
	look, err := auditor.Evidence(t.Context(), x.Node.Journal.Head().Size-1, true) // the entry of that look
	ok(t, err)
	if proven, err = sdk.VerifyEvidence(look, x.Node.LedgerKey()); err != nil || !proven.Opened || look.ReadOpening.GetFilter() == "" {
		t.Errorf("the opening of a read is proven as %+v: %v", proven, err)
	}
	look.ReadOpening.Filter += "1"
	if _, err = sdk.VerifyEvidence(look, x.Node.LedgerKey()); err == nil {
		t.Error("an altered opening of a read is proven")
	}
	part.RecordOpening.Salts = nil
	if proven, err = sdk.VerifyEvidence(part, x.Node.LedgerKey()); err != nil || proven.Opened {
		t.Errorf("an opening without secret and salts is proven as %+v: %v", proven, err)
	}
}
