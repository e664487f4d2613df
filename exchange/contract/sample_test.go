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

// Fictional persons and departments, with right check digits.
const (
	wang     = "999999199001010016"
	li       = "999999198506150028"
	zhang    = "999999195003010038"
	child    = "999999201010200049"
	federal  = "11999900MB00000278"
	bureau   = "11999900MB0000019D"
	company  = "91999900MA0000015N"
	itemCode = bureau + "0123456789012"
)

// samples are valid records, one of each contract of the standard pack.
func samples() []proto.Message {
	return []proto.Message{
		certificate(),
		&recordsv1.Person{
			IdType: "111", IdNumber: wang, Name: "王小明", Sex: recordsv1.Sex_SEX_MALE, BirthDate: "1990-01-01",
			EthnicGroup: "汉族", Nationality: "CHN", RegisteredRegion: "999999", RegisteredAddress: "示范市解放路一号",
			FormerNames: []string{"王明"},
		},
		&recordsv1.Enterprise{
			CreditCode: company, Name: "示范贸易有限公司", Kind: "有限责任公司", State: recordsv1.EnterpriseState_ENTERPRISE_STATE_OPERATING,
			RepresentativeType: "111", RepresentativeNumber: li, RepresentativeName: "李华",
			RegisteredCapitalFen: 100_000_000, EstablishedDate: "2015-06-01", TermFrom: "2015-06-01",
			BusinessScope: "日用百货销售", Region: "999900", RegistrarCode: bureau, RegistrarName: "示范市市场监督管理局",
		},
		&recordsv1.Household{
			HouseholdNumber: "9999990001", Kind: recordsv1.HouseholdKind_HOUSEHOLD_KIND_FAMILY, Region: "999999", Address: "示范市解放路一号",
			Members: []*recordsv1.HouseholdMember{
				{IdType: "111", IdNumber: wang, Name: "王小明", Role: "head"},
				{IdType: "111", IdNumber: li, Name: "李华", Role: "spouse"},
				{IdType: "999", IdNumber: "99990001-3", Name: "王小小", Role: "child"},
			},
		},
		&recordsv1.Marriage{
			CertificateNumber: "J999999-2015-000001", State: recordsv1.MarriageState_MARRIAGE_STATE_MARRIED,
			PartyAType: "111", PartyANumber: wang, PartyAName: "王小明", PartyBType: "111", PartyBNumber: li, PartyBName: "李华",
			RegisteredDate: "2015-05-20",
		},
		&recordsv1.Income{
			RecordNumber: "SR-2025-01-0001", IdType: "111", IdNumber: wang, Name: "王小明", Source: recordsv1.IncomeSource_INCOME_SOURCE_WAGE,
			PeriodFrom: "2025-01-01", PeriodUntil: "2025-01-31", GrossFen: 320_000, NetFen: 280_000, PayerCode: company, PayerName: "示范贸易有限公司",
		},
		&recordsv1.Property{
			CertificateNumber: "示(2020)示范市不动产权第0000001号", UnitNumber: "999999001001GB00001F00010001",
			HolderType: "111", HolderNumber: wang, HolderName: "王小明", HolderShare: "50%",
			CoOwners:  []*recordsv1.CoOwner{{Type: "111", Number: li, Name: "李华", Share: "50%"}},
			Ownership: recordsv1.OwnershipKind_OWNERSHIP_KIND_BY_SHARES, Region: "999999", Location: "示范市解放路一号五栋六〇一室",
			FloorAreaDm2: 8950, TermFrom: "2001-01-01", TermUntil: "2070-12-31",
		},
		&recordsv1.Disability{
			CertificateNumber: "99999919900101001643", IdType: "111", IdNumber: wang, Name: "王小明",
			Kinds: []recordsv1.DisabilityKind{recordsv1.DisabilityKind_DISABILITY_KIND_PHYSICAL}, Grade: 3,
			ValidFrom: "2025-01-02", ValidUntil: "2035-01-01", IssuerCode: federal,
		},
		&recordsv1.SubmittedMaterial{
			MaterialId: "CL-2025-000001", MaterialName: "家庭收入承诺书", ItemCode: itemCode, CaseNumber: "BJ-2025-000001",
			ApplicantType: "111", ApplicantNumber: wang, ApplicantName: "王小明",
			Concerned:  []*recordsv1.ConcernedParty{{Type: "111", Number: child, Name: "王小小"}},
			TrustGrade: recordsv1.TrustGrade_TRUST_GRADE_D, SubmittedDate: "2025-03-01", ReceiverCode: bureau,
			Documents: []*recordsv1.Document{{Name: "承诺书.pdf", MediaType: "application/pdf", Size: 12345, Sha256: make([]byte, 32)}},
		},
		serviceItem(),
		&recordsv1.Consultation{
			ConsultationNumber: "ZX-2025-000001", DepartmentCode: bureau, Title: "申请条件", Question: "困难补助怎么申请？", AskedDate: "2025-03-01",
		},
		&recordsv1.Complaint{
			ComplaintNumber: "TS-2025-000001", ComplainantType: "111", ComplainantNumber: wang, RespondentCode: bureau,
			Content: "逾期未办结", FiledDate: "2025-03-01", State: recordsv1.ComplaintState_COMPLAINT_STATE_FILED,
		},
		&recordsv1.Deadline{
			DeadlineId: "0123456789abcdef0123", Event: recordsv1.DeadlineEvent_DEADLINE_EVENT_PASSED, Kind: "grant.answer.conditional",
			Object: "g1", Owner: bureau, Parties: []string{federal}, Topic: "marriage", StartedDate: "2026-09-28", DueDate: "2026-10-16", Days: 10,
		},
		&recordsv1.Notice{
			NoticeId: "0123456789abcdef0123", Recipient: bureau, Cause: "corrected", Topic: "marriage", Provider: federal,
			Happened: "记录已更正", ToDo: "请复核所依据的办件", CaseNumbers: []string{"BJ-2025-000001"},
		},
		&recordsv1.FanOutReport{
			FanOutId: "f1", Consumer: bureau, System: bureau + "/hall", Purpose: "000115004000", CaseNumber: "SF-2026-000042", Version: 1,
			Results: []*recordsv1.FanOutResult{{
				Topic: "income", Provider: federal, IdType: "111", IdNumber: wang, State: recordsv1.FanOutState_FAN_OUT_STATE_FOUND,
			}},
		},
		&recordsv1.SupplierAnswer{
			RequestId: "f1-0", Supplier: federal, System: federal + "/registry", Topic: "income",
			Outcome: recordsv1.SupplierOutcome_SUPPLIER_OUTCOME_FOUND, Records: []uint64{7},
		},
		&recordsv1.SupplierRequest{
			RequestId: "f1-0", Supplier: federal, Topic: "income", Consumer: bureau, Purpose: "000115004000", CaseNumber: "SF-2026-000042",
			IdType: "111", IdNumber: wang, Fields: []string{"net_fen"}, DeadlineUs: 1, LateUntilUs: 2,
		},
	}
}

func serviceItem() *recordsv1.ServiceItem {
	return &recordsv1.ServiceItem{
		ImplementationCode: itemCode, BasicCode: "000511001000", Name: "困难群众临时补助", TypeScheme: "GB", TypeCode: "05",
		DepartmentCode: bureau, DepartmentName: "示范市民政局", ServiceObjects: []recordsv1.ServiceObject{recordsv1.ServiceObject_SERVICE_OBJECT_PERSON},
		LegalBases: []string{"《社会救助暂行办法》第五十八条"}, Conditions: []string{"家庭人均收入低于当地标准"},
		Steps:      []*recordsv1.ServiceStep{{Name: "受理", Requirement: "核对材料齐全", Department: "示范市民政局", Limit: 1}},
		LegalLimit: 20, PromisedLimit: 5, LimitUnit: recordsv1.LimitUnit_LIMIT_UNIT_WORKING_DAYS,
		Fee: recordsv1.Fee_FEE_FREE, Contact: "0999-12345", ComplaintChannel: "12345", Place: "示范市政务服务中心", Hours: "工作日9:00-17:00", Result: "补助决定书",
		Materials: []*recordsv1.ItemMaterial{{
			Code: "M1", Name: "残疾人证", Copies: 1, Medium: recordsv1.MaterialMedium_MATERIAL_MEDIUM_EITHER,
			Necessity: recordsv1.Necessity_NECESSITY_REQUIRED, Source: recordsv1.MaterialSource_MATERIAL_SOURCE_DEPARTMENT,
			SourceName: "示范市残疾人联合会",
			Evidence:   []*recordsv1.Evidence{{Topic: "disability", Condition: "r.grade <= 2", MaxAgeDays: 365}},
		}},
		ItemVersion: "1", State: recordsv1.ItemState_ITEM_STATE_IN_USE,
	}
}

// certificate is a valid record of 1 KiB.
func certificate() *recordsv1.Certificate {
	return &recordsv1.Certificate{
		Identifier: "1.2.156.3005.2.11999900MB0000019D001.11999900MB00000278.2025000001.001.Q",
		TypeCode:   "11999900MB0000019D001",
		TypeName:   "中华人民共和国残疾人证",
		Name:       "中华人民共和国残疾人证",
		Number:     "99999919900101001643",
		IssuerCode: federal,
		IssuerName: "示范市残疾人联合会",
		IssueDate:  "2025-01-02",
		HolderType: "111", HolderNumber: wang, HolderName: "王小明",
		ValidFrom: "2025-01-02", ValidUntil: "2035-01-01",
		Region: "999900",
		Signer: "示范市残疾人联合会",
		FaceItems: []*recordsv1.FaceItem{
			{Title: "残疾类别", Value: "肢体"},
			{Title: "残疾等级", Value: "三级"},
			{Title: "住址", Value: "示范市示范区解放路一百二十三号五栋二单元六〇一室"},
			{Title: "监护人", Value: "王大明"},
		},
		Remarks: strings.Repeat("本证为电子证照，与纸质证照具有同等法律效力。", 7),
	}
}
