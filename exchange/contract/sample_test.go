package contract

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

// contractOf gives the standard contract of a message.
func contractOf(t testing.TB, m proto.Message) *Contract {
	t.Helper()
	for _, c := range Standard() {
		if c.Name() == string(m.ProtoReflect().Descriptor().FullName()) {
			return c
		}
	}
	t.Fatalf("%s is not in the standard pack", m.ProtoReflect().Descriptor().FullName())
	return nil
}

func marshal(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// certificate is a valid record of about 1 KiB.
func certificate() *recordsv1.Certificate {
	return &recordsv1.Certificate{
		Identifier: "1.2.156.3005.2.11999900MB0000019D001.11999900MB00000278.2025000001.001.Q",
		TypeCode:   "11999900MB0000019D001",
		TypeName:   "中华人民共和国残疾人证",
		Name:       "中华人民共和国残疾人证",
		Number:     "99999919900101001643",
		IssuerCode: "11999900MB00000278",
		IssuerName: "示范市残疾人联合会",
		IssueDate:  "2025-01-02",
		HolderType: "111", HolderNumber: "999999199001010016", HolderName: "王小明",
		ValidFrom: "2025-01-02", ValidUntil: "2035-01-01",
		Region: "999900",
		Signer: "示范市残疾人联合会",
		FaceItems: []*recordsv1.FaceItem{
			{Title: "残疾类别", Value: "肢体"},
			{Title: "残疾等级", Value: "三级"},
			{Title: "住址", Value: "示范市示范区解放路一百二十三号五栋二单元六〇一室"},
			{Title: "监护人", Value: "王大明"},
		},
		Remarks: strings.Repeat("本证为电子证照，与纸质证照具有同等法律效力。", 5),
	}
}
