package bench

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/services/departments/sample"
)

// recordBytes is the size of a record's content.
const recordBytes = 1024

// issuer is the department that publishes.
var issuer = sample.DisabledPersons

// model is what all certificates of the bench share.
var model = &recordsv1.Certificate{
	TypeCode: issuer.Code + "001", TypeName: "残疾人证", Name: "中华人民共和国残疾人证",
	IssuerCode: issuer.Code, IssuerName: issuer.Name, IssueDate: "2022-03-01",
	HolderType: "111", HolderName: "王秀英", ValidFrom: "2022-03-01", ValidUntil: "2032-02-29",
	Region: sample.Region, Signer: issuer.Name,
	FaceItems: []*recordsv1.FaceItem{
		{Title: "残疾类别", Value: "肢体"}, {Title: "残疾等级", Value: "二级"},
		{Title: "监护人", Value: "王建国"}, {Title: "住址", Value: "示范市人民路12号304室"},
	},
}

// remark fills a certificate up to its size.
var remark = func() string {
	m := fill(proto.CloneOf(model), 0)
	text := "本证由残疾人联合会依据残疾评定结果核发，持证人依法享受各项扶助政策。"
	missing := recordBytes - proto.Size(m) - len("\x92\x01\x80\x04") // tag and length of the field
	text = strings.Repeat(text, missing/len(text)+1)
	return strings.ToValidUTF8(text[:missing], "")
}()

// certificate makes the n-th certificate: nobody else's number, right check
// digits, 1 KiB.
func certificate(n int) *recordsv1.Certificate {
	m := &recordsv1.Certificate{
		TypeCode: model.TypeCode, TypeName: model.TypeName, Name: model.Name,
		IssuerCode: model.IssuerCode, IssuerName: model.IssuerName, IssueDate: model.IssueDate,
		HolderType: model.HolderType, HolderName: model.HolderName,
		ValidFrom: model.ValidFrom, ValidUntil: model.ValidUntil,
		Region: model.Region, Signer: model.Signer, FaceItems: model.FaceItems, Remarks: remark,
	}
	return fill(m, n)
}

// firstBirth is the birthday of the first holder.
var firstBirth = time.Date(1940, 1, 1, 0, 0, 0, 0, time.UTC)

// holder is the number of the n-th certificate's holder.
func holder(n int) string { return sample.ResidentID(firstBirth.AddDate(0, 0, n/999%25_000), 1+n%999) }

func fill(m *recordsv1.Certificate, n int) *recordsv1.Certificate {
	m.Identifier = identifier(n)
	m.HolderNumber = holder(n)
	m.Number = m.HolderNumber + "42"
	return m
}

func identifier(n int) string {
	return sample.CertificateID(model.TypeCode, issuer.Code, fmt.Sprintf("2022%09d", n), 1)
}
