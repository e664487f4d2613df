package inspect_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/snapshot"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
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
