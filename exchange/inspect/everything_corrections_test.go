package inspect_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/cases"
	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	"github.com/huitong-bus/huitong/exchange/correction"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/snapshot"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// fullLoad loads a topic of its own, whose second record the load no longer
// mentions.
func (w *world) fullLoad(t testing.TB, at map[string]uint64) {
	t.Helper()
	const loaded = "loaded"
	w.Topic(loaded, catalogtest.Security, cataloguev1.SharingClass_SHARING_CLASS_UNCONDITIONAL)
	of := func(number string) *exchangev1.Publication {
		p := put(number, "王芳")
		p.Topic = loaded
		return p
	}
	w.publish(t, w.security, of("L1"), of("L2"))
	l := snapshot.Open(snapshot.Config{
		DB: w.DB, Journal: w.Journal, Topics: w.Catalogue, Access: w.policy, Refusals: w.refusals, Keys: w.Identity.Keyring,
	})
	defer l.Close()
	begun, err := l.Begin(t.Context(), w.security.Caller, &exchangev1.BeginSnapshotRequest{Topic: loaded})
	must(t, err)
	w.publish(t, w.security, of("L1"))
	statement := verify.SnapshotStatement(w.Journal.Head().Origin, w.security.Caller.System, loaded, begun.Receipt.Index, false)
	signature, err := verify.Sign(w.security.Key, statement)
	must(t, err)
	ended, err := l.End(t.Context(), w.security.Caller, &exchangev1.EndSnapshotRequest{
		Topic: loaded, Begun: begun.Receipt.Index, Signature: signature, ConfirmRemoved: proto.Uint64(1),
	})
	must(t, err)
	at["snapshot ended"], at["snapshot removal"] = ended.Receipt.Index, ended.Receipt.Index+1
}

// disputes raises a dispute of a record and answers it, and one of a record that
// is erased afterwards.
func (w *world) disputes(t testing.TB, at map[string]uint64) {
	t.Helper()
	must(t, w.index.Wait(t.Context(), w.Journal.Head().Size))
	known := cases.New(cases.Config{DB: w.DB, Journal: w.Journal, Catalogue: w.Catalogue, Keyring: w.Identity.Keyring})
	_, _, err := known.Open(t.Context(), w.civil.Caller, &accessv1.OpenCaseRequest{
		Number: caseNumber, Item: item, Person: "clerk-7", Subjects: []*ledgerv1.Subject{subject("K1")},
	})
	must(t, err)
	k, err := correction.Open(t.Context(), correction.Config{
		DB: w.DB, Journal: w.Journal, Topics: w.Catalogue, Readers: w.policy, Reliance: w.index, Refusals: w.refusals,
		Cases: known, Sealer: w.Identity.Keyring, Marks: &correction.Marks{},
	})
	must(t, err)
	defer k.Close()
	of := func(index uint64) uint64 {
		d, err := k.Dispute(t.Context(), w.civil.Caller, &exchangev1.DisputeRecordRequest{
			Topic: people, Index: index, Fields: []string{"name"}, Reason: "姓名有误",
			Acting: &exchangev1.Acting{Person: "clerk-7", CaseNumber: caseNumber},
		})
		must(t, err)
		return d.Receipt.Index
	}
	wrong := w.publish(t, w.security, put("D1", "王方"), put("D2", "李那"))
	at["disputed"] = of(wrong[0])
	of(wrong[1])
	right := w.publish(t, w.security, put("D1", "王芳"))[0]
	_, err = k.Answer(t.Context(), w.security.Caller, &exchangev1.AnswerDisputeRequest{
		Dispute: at["disputed"], Outcome: &exchangev1.AnswerDisputeRequest_Corrected{Corrected: right}, Person: "officer-3", Reason: "已更正",
	})
	must(t, err)
	at["dispute answered"] = w.Journal.Head().Size - 1
}
