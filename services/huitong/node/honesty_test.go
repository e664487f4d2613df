package node_test

import (
	"crypto"
	"math"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/node/nodetest"
)

// TestFarPlacesOfTheLedger asks for what lies far outside of it: each is refused
// as the caller's mistake, and nothing breaks.
func TestFarPlacesOfTheLedger(t *testing.T) {
	x := nodetest.Start(t)
	c := ledgerv1.NewLedgerServiceClient(x.Join(t, sample.Audit, "audit", cataloguev1.Role_ROLE_AUDITOR).Conn())
	size := x.Node.Journal.Head().Size
	far := []uint64{size + 1000, 1 << 40, 1 << 62, 1 << 63, math.MaxUint64 - 2000}
	for _, n := range far {
		for name, err := range map[string]error{
			"entry":           tried(c.GetEntry(t.Context(), &ledgerv1.GetEntryRequest{Index: n})),
			"opening":         tried(c.GetEntry(t.Context(), &ledgerv1.GetEntryRequest{Index: n, WithOpening: true})),
			"inclusion":       tried(c.GetInclusionProof(t.Context(), &ledgerv1.GetInclusionProofRequest{Index: n})),
			"inclusion, size": tried(c.GetInclusionProof(t.Context(), &ledgerv1.GetInclusionProofRequest{Index: 1, Size: n + 2})),
			"inclusion, past": tried(c.GetInclusionProof(t.Context(), &ledgerv1.GetInclusionProofRequest{Index: size - 1, Size: 2})),
			"consistency":     tried(c.GetConsistencyProof(t.Context(), &ledgerv1.GetConsistencyProofRequest{FirstSize: n + 2})),
			"consistency, 2":  tried(c.GetConsistencyProof(t.Context(), &ledgerv1.GetConsistencyProofRequest{FirstSize: 1, SecondSize: n + 2})),
			"tile":            tried(c.GetTile(t.Context(), &ledgerv1.GetTileRequest{Index: n, Width: 1})),
			"tile, level":     tried(c.GetTile(t.Context(), &ledgerv1.GetTileRequest{Level: uint32(min(n, math.MaxUint32)), Width: 1})),
			"tile, width":     tried(c.GetTile(t.Context(), &ledgerv1.GetTileRequest{Width: uint32(min(n+1000, math.MaxUint32))})),
			"export":          received(c.ExportEntries(t.Context(), &ledgerv1.ExportEntriesRequest{FromIndex: n + 2, UntilIndex: n + 3})),
		} {
			err = fault.FromStatus(err)
			if k := fault.KindOf(err); err == nil || k != fault.NotFound && k != fault.Invalid {
				t.Errorf("%s of %d: %v", name, n, err)
			}
		}
		// A list from there on is empty, or refused.
		if _, err := c.ListEntries(t.Context(), &ledgerv1.ListEntriesRequest{Filter: &ledgerv1.EntryFilter{FromIndex: n}}); err != nil && fault.KindOf(fault.FromStatus(err)) != fault.Invalid {
			t.Errorf("a list from %d: %v", n, err)
		}
	}
}

// certified enrols a department system and gives its key with its connection.
func certified(t *testing.T, x *nodetest.Exchange, d sample.Department, system string) (*sdk.Client, crypto.Signer) {
	t.Helper()
	if err := x.Register(t.Context(), participant(d)); err != nil {
		t.Fatal(err)
	}
	config, err := x.Certify(t.Context(), &cataloguev1.System{Participant: d.Code, Name: system, Roles: []cataloguev1.Role{cataloguev1.Role_ROLE_DEPARTMENT}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := sdk.Connect(t.Context(), *config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, config.Certificate.PrivateKey.(crypto.Signer)
}

// revocations are two publications of a signed call, which needs no contract.
func revocations(topic string) []*exchangev1.Publication {
	var both []*exchangev1.Publication
	for i := range byte(2) {
		both = append(both, &exchangev1.Publication{
			Topic: topic, Operation: ledgerv1.Operation_OPERATION_REVOKE, Key: string('a' + i), Reason: "登记有误",
			IdempotencyKey: slices.Repeat([]byte{i + 1}, verify.KeySize), Secret: slices.Repeat([]byte{i + 7}, verify.SecretSize),
			EffectiveAt: timestamppb.New(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)), SourceVersion: 9,
		})
	}
	return both
}

func sign(t *testing.T, key crypto.Signer, system string, publications []*exchangev1.Publication) []byte {
	t.Helper()
	var statements [][verify.HashSize]byte
	for _, p := range publications {
		s := &verify.Statement{
			IdempotencyKey: p.IdempotencyKey, Topic: p.Topic, Operation: p.Operation, EffectiveAtUs: p.EffectiveAt.AsTime().UnixMicro(),
			SourceVersion: p.SourceVersion, IfIndexPlusOne: p.IfIndexPlusOne,
			KeyCommitment:       verify.CommitText(verify.Key, 0, p.Secret, p.Key),
			ReasonCommitment:    verify.CommitText(verify.Reason, 0, p.Secret, p.Reason),
			SuccessorCommitment: verify.CommitText(verify.Successor, 0, p.Secret, p.Successor),
		}
		h := s.LeafHash()
		p.Statement = h[:]
		statements = append(statements, h)
	}
	signature, err := verify.Sign(key, verify.CallStatement(system, statements))
	if err != nil {
		t.Fatal(err)
	}
	return signature
}

// TestASignatureCoversTheWholeCall: whatever of a signed call is another, or
// stands in another place, or comes from another system, the call is refused and
// nothing is written but the entry of that.
func TestASignatureCoversTheWholeCall(t *testing.T) {
	x := nodetest.Start(t)
	civil, key := certified(t, x, sample.CivilAffairs, "registry")
	other, _ := certified(t, x, sample.CivilAffairs, "second")
	for _, topic := range []string{"marriage", "divorce"} {
		if err := x.CreateTopic(t.Context(), unconditional(topic, "Marriage", sample.CivilAffairs)); err != nil {
			t.Fatal(err)
		}
	}
	system, entered := sample.CivilAffairs.Code+"/registry", map[string]bool{}
	for name, c := range map[string]struct {
		by     *sdk.Client
		change func(r *exchangev1.PublishRequest)
		rule   string
	}{
		"as signed":         {civil, func(*exchangev1.PublishRequest) {}, ""},
		"by another system": {other, func(*exchangev1.PublishRequest) {}, "signature.wrong"},
		"another topic":     {civil, func(r *exchangev1.PublishRequest) { r.Records[0].Topic, r.Records[0].Statement = "divorce", nil }, "signature.wrong"},
		"another key":       {civil, func(r *exchangev1.PublishRequest) { r.Records[0].Key, r.Records[0].Statement = "c", nil }, "signature.wrong"},
		"another reason":    {civil, func(r *exchangev1.PublishRequest) { r.Records[1].Reason, r.Records[1].Statement = "r", nil }, "signature.wrong"},
		"another operation": {civil, func(r *exchangev1.PublishRequest) {
			r.Records[1].Operation, r.Records[1].Statement = ledgerv1.Operation_OPERATION_CANCEL, nil
		}, "signature.wrong"},
		"another time":                         {civil, func(r *exchangev1.PublishRequest) { r.Records[1].EffectiveAt.Nanos, r.Records[1].Statement = 1000, nil }, "signature.wrong"},
		"another version":                      {civil, func(r *exchangev1.PublishRequest) { r.Records[1].SourceVersion, r.Records[1].Statement = 10, nil }, "signature.wrong"},
		"another precondition":                 {civil, func(r *exchangev1.PublishRequest) { r.Records[1].IfIndexPlusOne, r.Records[1].Statement = 1, nil }, "signature.wrong"},
		"another order":                        {civil, func(r *exchangev1.PublishRequest) { slices.Reverse(r.Records) }, "signature.wrong"},
		"one left out":                         {civil, func(r *exchangev1.PublishRequest) { r.Records = r.Records[:1] }, "signature.wrong"},
		"one twice":                            {civil, func(r *exchangev1.PublishRequest) { r.Records = append(r.Records, r.Records[0]) }, "signature.wrong"},
		"a refused record that states nothing": {civil, func(r *exchangev1.PublishRequest) { r.Records[0].Topic, r.Records[0].Statement = "nothing", nil }, "statement.required"},
		"cut short":                            {civil, func(r *exchangev1.PublishRequest) { r.Signature = r.Signature[:10] }, "signature.wrong"},
	} {
		t.Run(name, func(t *testing.T) {
			r := &exchangev1.PublishRequest{Records: revocations("marriage")}
			r.Signature = sign(t, key, system, r.Records)
			c.change(r)
			before := x.Node.Journal.Head().Size
			answer, err := exchangev1.NewExchangeServiceClient(c.by.Conn()).Publish(t.Context(), r)
			if c.rule != "" {
				wantRule(t, fault.FromStatus(err), fault.Invalid, c.rule)
			} else if err != nil || answer.Results[0].GetProblem().GetRule() != "record.unknown" {
				t.Errorf("%v, %v", answer, err)
			}
			// The first refusal by a rule on a topic is an entry, and nothing else is.
			got := refusalsFrom(t, x, before)
			if beside := x.Node.Journal.Head().Size - before - uint64(len(got)); beside != 0 || slices.ContainsFunc(got, func(r string) bool { return entered[c.by.System()+r] }) {
				t.Errorf("entered is %v, and %d others", got, beside)
			}
			for _, r := range got {
				entered[c.by.System()+r] = true
			}
		})
	}
	if !entered[system+"publish marriage signature.wrong"] || !entered[other.System()+"publish marriage signature.wrong"] {
		t.Errorf("entered is %v", entered)
	}
}

// TestIdempotencyKeysAreASystemsOwn: one system's key is no repeat of another's.
func TestIdempotencyKeysAreASystemsOwn(t *testing.T) {
	x := nodetest.Start(t)
	first, _ := certified(t, x, sample.CivilAffairs, "registry")
	second, _ := certified(t, x, sample.CivilAffairs, "second")
	if err := x.CreateTopic(t.Context(), unconditional("marriage", "Marriage", sample.CivilAffairs)); err != nil {
		t.Fatal(err)
	}
	for i, c := range []*sdk.Client{first, second, first} {
		p := put("marriage", marriages(60)[0])
		p.IdempotencyKey = []byte("0123456789abcdef")
		answer, err := publishRaw(t.Context(), c, &exchangev1.PublishRequest{Records: []*exchangev1.Publication{p}})
		if err != nil || answer.Results[0].GetReceipt() == nil {
			t.Fatal(answer, err)
		}
		if repeat := answer.Results[0].GetReceipt().Repeat; repeat != (i == 2) {
			t.Errorf("publication %d: repeat %v", i, repeat)
		}
	}
}
