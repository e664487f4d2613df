package node_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/huitong-bus/huitong/exchange/fault"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/node"
	"github.com/huitong-bus/huitong/services/huitong/node/nodetest"
)

// asIs sends bytes as they are and reads answers as protobuf.
type asIs struct{}

func (asIs) Name() string { return "proto" }

func (asIs) Marshal(v any) ([]byte, error) {
	if raw, ok := v.([]byte); ok {
		return raw, nil
	}
	return proto.Marshal(v.(proto.Message))
}

func (asIs) Unmarshal(data []byte, v any) error { return proto.Unmarshal(data, v.(proto.Message)) }

// publishRaw calls Publish with any bytes.
func publishRaw(ctx context.Context, c *sdk.Client, request any) (*exchangev1.PublishResponse, error) {
	answer := &exchangev1.PublishResponse{}
	err := c.Conn().Invoke(ctx, exchangev1.ExchangeService_Publish_FullMethodName, request, answer, grpc.ForceCodec(asIs{}))
	return answer, fault.FromStatus(err)
}

// unsigned lists the topics that bad input is sent to; they take unsigned calls.
func unsignedTopics(t *testing.T, x *nodetest.Exchange) {
	t.Helper()
	for _, topic := range []struct {
		name, contract string
		provider       sample.Department
	}{
		{"marriage", "Marriage", sample.CivilAffairs}, {"property", "Property", sample.Housing},
		{"certificate", "Certificate", sample.CivilAffairs}, {"household", "Household", sample.CivilAffairs},
		{"person", "Person", sample.CivilAffairs},
	} {
		if err := x.CreateTopic(t.Context(), unconditional(topic.name, topic.contract, topic.provider)); err != nil {
			t.Fatal(err)
		}
	}
}

// put makes a publication of a message, or of bytes.
func put(topic string, content any) *exchangev1.Publication {
	p := &exchangev1.Publication{Topic: topic}
	switch c := content.(type) {
	case proto.Message:
		raw, err := proto.Marshal(c)
		if err != nil {
			panic(err)
		}
		p.Content = &exchangev1.Publication_Protobuf{Protobuf: raw}
	case []byte:
		p.Content = &exchangev1.Publication_Protobuf{Protobuf: c}
	case string:
		p.Content = &exchangev1.Publication_Json{Json: c}
	}
	return p
}

// change copies a message and changes the copy.
func change[M proto.Message](m M, f func(M)) M {
	m = proto.CloneOf(m)
	f(m)
	return m
}

func wire(m proto.Message, more ...byte) []byte {
	raw, err := proto.Marshal(m)
	if err != nil {
		panic(err)
	}
	return append(raw, more...)
}

// TestOneBadRecord sends each bad record between two good ones: it is refused
// with kind, rule and field, the good ones are committed, and nothing else is
// written but the entry of the refusal: the first of its topic and rule.
func TestOneBadRecord(t *testing.T) {
	x := nodetest.Start(t)
	civil := x.Join(t, sample.CivilAffairs, "registry")
	if err := x.Register(t.Context(), participant(sample.Housing)); err != nil {
		t.Fatal(err)
	}
	unsignedTopics(t, x)
	city := sample.NewCity(4, 60)
	marriage, person, certificate := city.Marriages()[0], city.Persons()[0], city.Certificates()[0]
	household := city.Households()[0]
	entered := map[string]bool{}
	for _, c := range []struct {
		name   string
		record *exchangev1.Publication
		kind   fault.Kind
		rule   string
		field  string
	}{
		{"unknown topic", put("nothing", marriage), fault.NotFound, "topic.unknown", ""},
		{"no topic", put("", marriage), fault.NotFound, "topic.unknown", ""},
		{"another department's topic", put("property", city.Properties()[0]), fault.Denied, "topic.owner", ""},
		{"another department's topic, again", put("property", city.Properties()[0]), fault.Denied, "topic.owner", ""},
		{"no content", put("marriage", nil), fault.Invalid, "content.required", "content"},
		{"another contract's content", put("marriage", city.Properties()[0]), fault.Invalid, "malformed", "state"},
		{"unknown contract version", change(put("marriage", marriage), func(p *exchangev1.Publication) { p.ContractVersion = 9 }), fault.Invalid, "contract.version", "contract_version"},
		{"unknown field number", put("marriage", wire(marriage, protowire.AppendVarint(protowire.AppendTag(nil, 99, protowire.VarintType), 1)...)), fault.Invalid, "unknown_field", "#99"},
		{"wrong wire type", put("marriage", wire(marriage, protowire.AppendVarint(protowire.AppendTag(nil, 10, protowire.VarintType), 1)...)), fault.Invalid, "malformed", "ended_date"},
		{"truncated protobuf", put("marriage", wire(marriage)[:40]), fault.Invalid, "malformed", "party_a_number"},
		{"not protobuf", put("marriage", []byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")), fault.Invalid, "malformed", ""},
		{"broken UTF-8", put("marriage", wire(change(marriage, func(m *recordsv1.Marriage) { m.PartyAName = "" }), protowire.AppendBytes(protowire.AppendTag(nil, 5, protowire.BytesType), []byte{0xff, 0xfe})...)), fault.Invalid, "utf8", "party_a_name"},
		{"not JSON", put("marriage", "{"), fault.Invalid, "json.syntax", ""},
		{"unknown JSON name", put("marriage", `{"certificateNumber": "J1", "shoeSize": 44}`), fault.Invalid, "unknown_field", "shoeSize"},
		{"too large", put("household", change(household, func(m *recordsv1.Household) { m.Address = strings.Repeat("长", 100_000) })), fault.TooLarge, "record.bytes", "content"},
		{"wrong check digit", put("marriage", change(marriage, func(m *recordsv1.Marriage) { m.PartyANumber = "999999199001010017" })), fault.Invalid, "identifier.resident_id", "party_a_number"},
		{"wrong check digit within a list", put("household", change(household, func(m *recordsv1.Household) { m.Members[1].IdNumber = "999999199001010017" })), fault.Invalid, "identifier.resident_id", "members[1].id_number"},
		{"wrong credit code", put("marriage", change(marriage, func(m *recordsv1.Marriage) { m.RegistrarCode = "11999900MB00000279" })), fault.Invalid, "identifier.credit_code", "registrar_code"},
		{"validity ends before it begins", put("certificate", change(certificate, func(m *recordsv1.Certificate) { m.ValidUntil = "2020-01-01" })), fault.Invalid, "validity.order", "valid_until"},
		{"no such day", put("certificate", change(certificate, func(m *recordsv1.Certificate) { m.ValidUntil = "2025-02-29" })), fault.Invalid, "date", "valid_until"},
		{"wrong subject type", put("person", change(person, func(m *recordsv1.Person) { m.IdType = "777" })), fault.Invalid, "subject.type", "id_number"},
		{"empty key", put("marriage", change(marriage, func(m *recordsv1.Marriage) { m.CertificateNumber = "" })), fault.Invalid, "string.min_len", "certificate_number"},
		{"revoke without key", &exchangev1.Publication{Topic: "marriage", Operation: ledgerv1.Operation_OPERATION_REVOKE, Reason: "r"}, fault.Invalid, "key.required", "key"},
		{"revoke without reason", &exchangev1.Publication{Topic: "marriage", Operation: ledgerv1.Operation_OPERATION_REVOKE, Key: "k"}, fault.Invalid, "reason.required", "reason"},
		{"a reason that is read backwards", &exchangev1.Publication{Topic: "marriage", Operation: ledgerv1.Operation_OPERATION_REVOKE, Key: "k", Reason: "一\n二\u202e"}, fault.Invalid, "reason.text", "reason"},
		{"a successor of two lines", &exchangev1.Publication{Topic: "marriage", Operation: ledgerv1.Operation_OPERATION_SUPERSEDE, Key: "k", Successor: "k\n2"}, fault.Invalid, "successor.text", "successor"},
		{"revoke what is not there", &exchangev1.Publication{Topic: "marriage", Operation: ledgerv1.Operation_OPERATION_REVOKE, Key: "k", Reason: "r"}, fault.NotFound, "record.unknown", ""},
		{"unknown operation", change(put("marriage", marriage), func(p *exchangev1.Publication) { p.Operation = 77 }), fault.Invalid, "operation.unknown", "operation"},
		{"a time before the calendar", change(put("marriage", marriage), func(p *exchangev1.Publication) { p.EffectiveAt = &timestamppb.Timestamp{Seconds: -1 << 40} }), fault.Invalid, "effective_at.range", "effective_at"},
		{"a time far ahead", change(put("marriage", marriage), func(p *exchangev1.Publication) { p.EffectiveAt = &timestamppb.Timestamp{Seconds: 1 << 35} }), fault.Invalid, "effective_at.range", "effective_at"},
		{"nanoseconds out of range", change(put("marriage", marriage), func(p *exchangev1.Publication) { p.EffectiveAt = &timestamppb.Timestamp{Nanos: -5} }), fault.Invalid, "effective_at.range", "effective_at"},
		{"short idempotency key", change(put("marriage", marriage), func(p *exchangev1.Publication) { p.IdempotencyKey = []byte("short") }), fault.Invalid, "idempotency_key.size", "idempotency_key"},
		{"short secret", change(put("marriage", marriage), func(p *exchangev1.Publication) { p.Secret = []byte("short") }), fault.Invalid, "secret.size", "secret"},
		{"a precondition that does not hold", change(put("marriage", marriage), func(p *exchangev1.Publication) { p.IfIndexPlusOne = 7 }), fault.Conflict, "if_index", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			good := []*recordsv1.Marriage{city.Marriages()[1], city.Marriages()[2]}
			before := x.Node.Journal.Head().Size
			answer, err := publishRaw(t.Context(), civil, &exchangev1.PublishRequest{
				Records: []*exchangev1.Publication{put("marriage", good[0]), c.record, put("marriage", good[1])},
			})
			if err != nil {
				t.Fatal(err)
			}
			if answer.Results[0].GetReceipt() == nil || answer.Results[2].GetReceipt() == nil {
				t.Errorf("a good record beside it: %v, %v", answer.Results[0].GetProblem(), answer.Results[2].GetProblem())
			}
			want := []string{"publish " + c.record.Topic + " " + c.rule}
			if c.rule == "topic.unknown" {
				want = []string{"publish topic.unknown"}
			}
			if entered[want[0]] {
				want = nil
			} else {
				entered[want[0]] = true
			}
			if got := refusalsFrom(t, x, before); !slices.Equal(got, want) {
				t.Errorf("entered is %v, not %v", got, want)
			}
			if added := x.Node.Journal.Head().Size - before; added != 2+uint64(len(want)) {
				t.Errorf("%d entries", added)
			}
			p := answer.Results[1].GetProblem()
			if p == nil {
				t.Fatal("it was taken")
			}
			checkProblem(t, p, c.kind, c.rule, c.field)
		})
	}
}

func checkProblem(t *testing.T, p *exchangev1.Problem, kind fault.Kind, rule, field string) {
	t.Helper()
	if p.Kind != kind.String() || p.Rule != rule {
		t.Errorf("%s %s (%s), not %v %s", p.Kind, p.Rule, p.Message, kind, rule)
	}
	if field != "" && !slices.ContainsFunc(p.Violations, func(v *exchangev1.Violation) bool { return v.Field == field && v.Rule == rule }) {
		t.Errorf("%v do not name %s of %s", p.Violations, rule, field)
	}
	if p.Message == "" {
		t.Error("no message")
	}
}

// TestBadCall sends what is refused as a whole; nothing is written but the entry of
// the refusal, the first of its rule. What cannot be read as a call leaves none.
func TestBadCall(t *testing.T) {
	x := nodetest.Start(t, node.Config{MaxCallRecords: 10})
	civil := x.Join(t, sample.CivilAffairs, "registry")
	unsigned := x.CreateTopic
	if err := unsigned(t.Context(), unconditional("marriage", "Marriage", sample.CivilAffairs)); err != nil {
		t.Fatal(err)
	}
	good := put("marriage", sample.NewCity(4, 60).Marriages()[0])
	call := func(records ...*exchangev1.Publication) *exchangev1.PublishRequest {
		return &exchangev1.PublishRequest{Records: records}
	}
	signed := func(signature []byte, p *exchangev1.Publication) *exchangev1.PublishRequest {
		p = change(p, func(p *exchangev1.Publication) {
			p.IdempotencyKey, p.Secret, p.Statement = make([]byte, 16), make([]byte, 32), nil
		})
		return &exchangev1.PublishRequest{Records: []*exchangev1.Publication{p}, Signature: signature}
	}
	entered := map[string]bool{}
	for _, c := range []struct {
		name    string
		request any
		kind    fault.Kind
		rule    string
		field   string
	}{
		{"not protobuf", []byte("\xff\xff\xff"), fault.Invalid, "message.malformed", ""},
		{"truncated", wire(call(good))[:30], fault.Invalid, "message.malformed", ""},
		{"wrong wire type", []byte{1<<3 | byte(protowire.VarintType), 1}, fault.Invalid, "call.records", "records"},
		{"broken UTF-8", protowire.AppendBytes([]byte{1<<3 | byte(protowire.BytesType)}, protowire.AppendBytes([]byte{2<<3 | byte(protowire.BytesType)}, []byte{0xff})), fault.Invalid, "message.malformed", ""},
		{"no records", call(), fault.Invalid, "call.records", "records"},
		{"11 records where 10 is the setting", call(slices.Repeat([]*exchangev1.Publication{good}, 11)...), fault.Invalid, "call.records", "records"},
		{"10,000 records", call(slices.Repeat([]*exchangev1.Publication{good}, 10_000)...), fault.Invalid, "call.records", "records"},
		{"9 MiB of records", call(slices.Repeat([]*exchangev1.Publication{put("marriage", make([]byte, 1<<20))}, 9)...), fault.TooLarge, "call.bytes", ""},
		{"100 MB", make([]byte, 100_000_000), fault.TooLarge, "", ""},
		{"wrong signature", signed([]byte("no signature"), good), fault.Invalid, "signature.wrong", "signature"},
		{"position without name", &exchangev1.PublishRequest{Records: []*exchangev1.Publication{good}, SourcePosition: &exchangev1.SourcePosition{}}, fault.Invalid, "source.name", "source_position.source"},
		{"position of a name with NUL", &exchangev1.PublishRequest{Records: []*exchangev1.Publication{good}, SourcePosition: &exchangev1.SourcePosition{Source: "a\x00b"}}, fault.Invalid, "source.name", "source_position.source"},
		{"long position", &exchangev1.PublishRequest{Records: []*exchangev1.Publication{good}, SourcePosition: &exchangev1.SourcePosition{Source: "s", Position: make([]byte, 2000)}}, fault.Invalid, "source.position", "source_position.position"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := x.Node.Journal.Head().Size
			_, err := publishRaw(t.Context(), civil, c.request)
			var f *fault.Error
			if !asFault(err, &f) {
				t.Fatalf("answered %v", err)
			}
			if f.Kind != c.kind || f.Rule != c.rule {
				t.Errorf("%v %s (%v), not %v %s", f.Kind, f.Rule, err, c.kind, c.rule)
			}
			if c.field != "" && (len(f.Violations) != 1 || f.Violations[0].Field != c.field) {
				t.Errorf("%v does not name %s", f.Violations, c.field)
			}
			var want []string
			on := ""
			if c.rule == "signature.wrong" {
				on = "marriage "
			}
			if _, raw := c.request.([]byte); (!raw || c.rule == "call.records") && !entered[c.rule] {
				want = []string{"publish " + on + c.rule}
				entered[c.rule] = true
			}
			if got := refusalsFrom(t, x, before); !slices.Equal(got, want) || x.Node.Journal.Head().Size != before+uint64(len(want)) {
				t.Errorf("entered is %v, not %v", got, want)
			}
		})
	}
	// The connection serves on.
	if answer, err := publishRaw(t.Context(), civil, call(good)); err != nil || answer.Results[0].GetReceipt() == nil {
		t.Errorf("%v, %v", answer, err)
	}
}

// TestSameTwiceInOneCall: of two publications with one idempotency key the second
// is refused; two publications of one record are two versions, in order.
func TestSameTwiceInOneCall(t *testing.T) {
	x := nodetest.Start(t)
	civil := x.Join(t, sample.CivilAffairs, "registry")
	if err := x.CreateTopic(t.Context(), unconditional("marriage", "Marriage", sample.CivilAffairs)); err != nil {
		t.Fatal(err)
	}
	first := put("marriage", sample.NewCity(4, 60).Marriages()[0])
	first.IdempotencyKey = []byte("0123456789abcdef")
	second := change(first, func(p *exchangev1.Publication) { p.IdempotencyKey = []byte("fedcba9876543210") })
	before := x.Node.Journal.Head().Size
	answer, err := publishRaw(t.Context(), civil, &exchangev1.PublishRequest{Records: []*exchangev1.Publication{first, first, second}})
	if err != nil {
		t.Fatal(err)
	}
	checkProblem(t, answer.Results[1].GetProblem(), fault.Invalid, "idempotency_key.duplicate", "idempotency_key")
	if a, b := answer.Results[0].GetReceipt(), answer.Results[2].GetReceipt(); a.GetIndex() != before || b.GetIndex() != before+1 {
		t.Errorf("%v and %v", a, b)
	}
	if got := refusalsFrom(t, x, before); !slices.Equal(got, []string{"publish marriage idempotency_key.duplicate"}) || x.Node.Journal.Head().Size != before+3 {
		t.Errorf("entered is %v beside the two", got)
	}
}
