package sdk_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
)

// TestReceiptsAreProvenAgain: a receipt, a repeat's too, is proven against a
// later ledger, and its proof as text is checked without the exchange.
func TestReceiptsAreProvenAgain(t *testing.T) {
	x := open(t)
	civil := x.Join(t, sample.CivilAffairs, "registry")
	p := civil.Publisher(sdk.PublisherConfig{})
	defer closePublisher(t, p)
	key := sdk.NewIdempotencyKey()
	first, err := p.Publish(soon(t), marriages, some(1)[0], sdk.WithIdempotencyKey(key))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := civil.Checkpoint(soon(t)); err != nil {
		t.Fatal(err)
	}
	publishAll(t, p, some(300))
	repeat, err := p.Publish(soon(t), marriages, some(1)[0], sdk.WithIdempotencyKey(key))
	if err != nil {
		t.Fatal(err)
	}
	if repeat.Proven() || !repeat.Repeat || !bytes.Equal(repeat.Leaf, first.Leaf) {
		t.Fatalf("a repeat: %+v", repeat)
	}
	for _, r := range []*sdk.Receipt{first, repeat} {
		if err := civil.ProveReceipt(soon(t), r); err != nil {
			t.Fatal(err)
		}
		text, err := r.TlogProof()
		if err != nil {
			t.Fatal(err)
		}
		kept, err := sdk.ReadReceipt(r.Leaf, text)
		if err != nil {
			t.Fatal(err)
		}
		if err := kept.Verify(x.Node.LedgerKey()); err != nil {
			t.Error(err)
		}
	}
	// The ledger grew from the checkpoint seen before, and says so with a proof.
	newest, err := civil.Checkpoint(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	if newest.Size != x.Node.Journal.Head().Size {
		t.Errorf("the checkpoint is of %d entries", newest.Size)
	}
}

// TestWhoeverHoldsALeafMayProveIt, and nobody finds out by guessing what the
// entries of others are.
func TestWhoeverHoldsALeafMayProveIt(t *testing.T) {
	x := open(t)
	civil := x.Join(t, sample.CivilAffairs, "registry")
	stranger := x.Join(t, sample.Housing, "estates")
	p := civil.Publisher(sdk.PublisherConfig{})
	defer closePublisher(t, p)
	r, err := p.Publish(soon(t), marriages, some(1)[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := stranger.ProveLeaf(soon(t), r.Index, r.Leaf); err != nil {
		t.Errorf("the holder of a leaf: %v", err)
	}
	wrong := bytes.Clone(r.Leaf)
	wrong[len(wrong)-1]++
	if err := stranger.ProveLeaf(soon(t), r.Index, wrong); err == nil {
		t.Error("a leaf that is not in the ledger was proven")
	}
	entries := ledgerv1.NewLedgerServiceClient(stranger.Conn())
	if _, err := entries.GetEntry(soon(t), &ledgerv1.GetEntryRequest{Index: r.Index}); err == nil {
		t.Error("a stranger was given the entry")
	}
}

// TestPartiesListTheirOwnEntries: a participant lists the entries it is party
// to, an auditor all of them.
func TestPartiesListTheirOwnEntries(t *testing.T) {
	x := open(t)
	civil := x.Join(t, sample.CivilAffairs, "registry")
	hall := x.Join(t, sample.ServiceHall, "hall")
	auditor := x.Join(t, sample.Audit, "audit", cataloguev1.Role_ROLE_AUDITOR)
	p := civil.Publisher(sdk.PublisherConfig{})
	defer closePublisher(t, p)
	publishAll(t, p, some(3))
	if _, err := x.CreateGrant(t.Context(), grant(marriages, "certificate_number", "state")); err != nil {
		t.Fatal(err)
	}
	x.OpenCase(t, hall, "2026-0042", purpose, sdk.Subject{Type: "111", Number: some(1)[0].PartyANumber})
	answer, err := hall.Query(soon(t), byNumber(some(1)[0].PartyANumber))
	if err != nil {
		t.Fatal(err)
	}
	kinds := func(c *sdk.Client) map[string]int {
		found := map[string]int{}
		got, err := ledgerv1.NewLedgerServiceClient(c.Conn()).ListEntries(soon(t), &ledgerv1.ListEntriesRequest{PageSize: 1000})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range got.Entries {
			m := e.Entry.ProtoReflect()
			found[string(m.WhichOneof(m.Descriptor().Oneofs().ByName("body")).Name())]++
			if !sameEntry(e) {
				t.Errorf("entry %d is not what its leaf says", e.Entry.Index)
			}
		}
		return found
	}
	if k := kinds(civil); k["published"] != 3 || k["queried"] != 1 {
		t.Errorf("the provider sees %v", k)
	}
	if k := kinds(hall); k["published"] != 0 || k["queried"] != 1 {
		t.Errorf("the consumer sees %v", k)
	}
	if k := kinds(auditor); k["published"] != 3 || k["queried"] != 1 || k["certificate"] < 4 {
		t.Errorf("the auditor sees %v", k)
	}
	if err := auditor.ProveLeaf(soon(t), answer.Release.Index, answer.Release.Leaf); err != nil {
		t.Error(err)
	}
}

func byNumber(number string) sdk.Query {
	return sdk.Query{
		Topic: marriages, Acting: sdk.Acting{Person: "clerk-17", Purpose: purpose, Case: "2026-0042"},
		By: sdk.BySubject(sdk.Subject{Type: "111", Number: number}),
	}
}

func sameEntry(e *ledgerv1.Entry) bool {
	decoded := &ledgerv1.LedgerEntry{}
	return proto.Unmarshal(e.Leaf, decoded) == nil && proto.Equal(decoded, e.Entry)
}

// TestAuditorExportsAndVerifies: the whole ledger is checked offline; a
// department may not export it.
func TestAuditorExportsAndVerifies(t *testing.T) {
	x := open(t)
	civil := x.Join(t, sample.CivilAffairs, "registry")
	auditor := x.Join(t, sample.Audit, "audit", cataloguev1.Role_ROLE_AUDITOR)
	p := civil.Publisher(sdk.PublisherConfig{})
	defer closePublisher(t, p)
	publishAll(t, p, some(700))
	var export bytes.Buffer
	if _, err := civil.Export(soon(t), &export); !errors.Is(err, &fault.Error{Kind: fault.Denied}) {
		t.Errorf("a department exports: %v", err)
	}
	export.Reset()
	checkpoint, err := auditor.Export(soon(t), &export)
	if err != nil {
		t.Fatal(err)
	}
	whole := export.Bytes()
	found, err := sdk.AuditExport(bytes.NewReader(whole), checkpoint.Signed, x.Node.LedgerKey())
	if err != nil {
		t.Fatal(err)
	}
	if found.Entries != checkpoint.Size || found.Kinds["published"] != 700 || found.SignedCalls == 0 || found.UnsignedCalls != 0 {
		t.Errorf("%+v", found)
	}
	// A signature that was not made by the caller's key, and a byte elsewhere.
	for _, at := range []int{len(whole) / 3, len(whole) - 1} {
		changed := bytes.Clone(whole)
		changed[at] ^= 1
		if _, err := sdk.AuditExport(bytes.NewReader(changed), checkpoint.Signed, x.Node.LedgerKey()); !errors.Is(err, sdk.ErrUnproven) {
			t.Errorf("byte %d changed: %v", at, err)
		}
	}
	if _, err := sdk.AuditExport(bytes.NewReader(whole), strings.Replace(checkpoint.Signed, "\n", "x\n", 1), x.Node.LedgerKey()); err == nil {
		t.Error("another checkpoint was taken")
	}
}
