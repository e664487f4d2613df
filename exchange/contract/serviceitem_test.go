package contract

import (
	"errors"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

// applicantMaterial is a good material that the applicant makes.
func applicantMaterial() *recordsv1.ItemMaterial {
	return &recordsv1.ItemMaterial{
		Code: "M2", Name: "困难群众临时补助申请表", Originals: 1, Medium: recordsv1.MaterialMedium_MATERIAL_MEDIUM_PAPER,
		Necessity: recordsv1.Necessity_NECESSITY_REQUIRED, Source: recordsv1.MaterialSource_MATERIAL_SOURCE_APPLICANT,
		Guide: "用黑色签字笔填写", BlankForm: "https://zwfw.example/f/1",
	}
}

func wholeItem() *recordsv1.ServiceItem {
	item := serviceItem()
	item.Materials = append(item.Materials, applicantMaterial())
	item.Forms = []*recordsv1.ItemForm{{Name: "申请表", Document: attached()}}
	return item
}

func attached() *recordsv1.Document {
	return &recordsv1.Document{Name: "申请表.docx", MediaType: "application/msword", Size: 1, Sha256: make([]byte, 32)}
}

// wrongItems break one rule each.
var wrongItems = []struct {
	field, rule string
	edit        func(*recordsv1.ServiceItem)
}{
	{"", "item.code", func(m *recordsv1.ServiceItem) { m.DepartmentCode = federal }},
	{"", "item.promise", func(m *recordsv1.ServiceItem) { m.LegalLimit = 4 }},
	{"", "item.limit", func(m *recordsv1.ServiceItem) { m.PromisedLimit = 0 }},
	{"", "item.limit", func(m *recordsv1.ServiceItem) { m.LimitUnit = 0 }},
	{"", "item.limit", func(m *recordsv1.ServiceItem) { m.OnTheSpot = true }},
	{"", "item.limit", func(m *recordsv1.ServiceItem) { m.OnTheSpot, m.PromisedLimit, m.LimitUnit = true, 0, 0 }},
	{"fee", "item.fee", func(m *recordsv1.ServiceItem) { m.Fee = 0 }},
	{"", "item.fee_basis", func(m *recordsv1.ServiceItem) { m.FeeFen = 1000 }},
	{"", "item.fee_basis", func(m *recordsv1.ServiceItem) { m.Fee, m.FeeFen = recordsv1.Fee_FEE_CHARGED, 1000 }},
	{"", "item.fee_basis", func(m *recordsv1.ServiceItem) {
		m.Fee, m.FeeBasis = recordsv1.Fee_FEE_CHARGED, "价费字〔1992〕240号"
	}},
	{"contact", "item.contact", func(m *recordsv1.ServiceItem) { m.Contact = "" }},
	{"contact", "item.contact", func(m *recordsv1.ServiceItem) { m.Contact = "暂无" }},
	{"complaint_channel", "item.complaint", func(m *recordsv1.ServiceItem) { m.ComplaintChannel = " / " }},
	{"materials", "item.material_codes", func(m *recordsv1.ServiceItem) { m.Materials[1].Code = "M1" }},
	{"steps[0]", "step.requirement", func(m *recordsv1.ServiceItem) { m.Steps[0].Requirement = "" }},
	{"steps[0]", "step.requirement", func(m *recordsv1.ServiceItem) { m.Steps[0].Requirement = "受理" }},
	{"steps[0]", "step.requirement", func(m *recordsv1.ServiceItem) { m.Steps[0].Requirement = "无" }},
	{"materials[1]", "material.copies", func(m *recordsv1.ServiceItem) { m.Materials[1].Originals = 0 }},
	{"materials[1]", "material.copies", func(m *recordsv1.ServiceItem) { m.Materials[1].Copies = 101 }},
	{"materials[1].medium", "material.medium", func(m *recordsv1.ServiceItem) { m.Materials[1].Medium = 0 }},
	{"materials[1].necessity", "material.necessity", func(m *recordsv1.ServiceItem) { m.Materials[1].Necessity = 0 }},
	{"materials[1].source", "material.source", func(m *recordsv1.ServiceItem) { m.Materials[1].Source = 0 }},
	{"materials[0]", "material.source_name", func(m *recordsv1.ServiceItem) { m.Materials[0].SourceName = "" }},
	{"materials[0]", "material.source_name", func(m *recordsv1.ServiceItem) { m.Materials[0].SourceName = " 无 " }},
	{"materials[1]", "material.guide", func(m *recordsv1.ServiceItem) { m.Materials[1].Guide = "" }},
	{"materials[1]", "material.sample", func(m *recordsv1.ServiceItem) { m.Materials[1].BlankForm = "" }},
	{"materials[1].blank_form", "material.blank_form", func(m *recordsv1.ServiceItem) { m.Materials[1].BlankForm = "窗口领取" }},
	{"materials[1].sample", "material.sample_address", func(m *recordsv1.ServiceItem) { m.Materials[1].Sample = "见附件" }},
	{"forms[0]", "form.download", func(m *recordsv1.ServiceItem) { m.Forms[0].Document = nil }},
	{"forms[0].address", "form.address", func(m *recordsv1.ServiceItem) { m.Forms[0].Address = "窗口领取" }},
	{"forms[0].document.sha256", "bytes.len", func(m *recordsv1.ServiceItem) { m.Forms[0].Document.Sha256 = []byte("1") }},
	{"materials[0].evidence[0].topic", "string.min_len", func(m *recordsv1.ServiceItem) { m.Materials[0].Evidence[0].Topic = "" }},
}

func TestServiceItemsAreRefusedForWhatTheInspectionFound(t *testing.T) {
	for _, c := range wrongItems {
		item := wholeItem()
		c.edit(item)
		f := refusalOf(t, item)
		if f == nil || len(f.Violations) != 1 || f.Violations[0].Field != c.field || f.Violations[0].Rule != c.rule {
			t.Errorf("%s %s: %+v", c.field, c.rule, f)
		}
	}
}

func TestGoodServiceItemsAreAccepted(t *testing.T) {
	for name, edit := range map[string]func(*recordsv1.ServiceItem){
		"whole":       func(*recordsv1.ServiceItem) {},
		"on the spot": func(m *recordsv1.ServiceItem) { m.OnTheSpot, m.PromisedLimit = true, 0 },
		"on the spot, no limit by law": func(m *recordsv1.ServiceItem) {
			m.OnTheSpot, m.PromisedLimit, m.LegalLimit, m.LimitUnit = true, 0, 0, 0
		},
		"charged": func(m *recordsv1.ServiceItem) {
			m.Fee, m.FeeFen, m.FeeBasis = recordsv1.Fee_FEE_CHARGED, 1000, "价费字〔1992〕240号"
		},
		"sample only": func(m *recordsv1.ServiceItem) {
			m.Materials[1].BlankForm, m.Materials[1].Sample = "", "http://zwfw.example/s/1"
		},
		"attached form": func(m *recordsv1.ServiceItem) {
			m.Materials[1].BlankForm, m.Materials[1].BlankFormDocument = "", attached()
		},
		"attached sample": func(m *recordsv1.ServiceItem) {
			m.Materials[1].BlankForm, m.Materials[1].SampleDocument = "", attached()
		},
		"form by address": func(m *recordsv1.ServiceItem) {
			m.Forms[0].Document, m.Forms[0].Address = nil, "https://zwfw.example/f/1"
		},
		"no materials":       func(m *recordsv1.ServiceItem) { m.Materials = nil },
		"contact in service": func(m *recordsv1.ServiceItem) { m.Contact = "政务服务中心一楼5号窗口" },
	} {
		item := wholeItem()
		edit(item)
		if f := refusalOf(t, item); f != nil {
			t.Errorf("%s: %+v", name, f.Violations)
		}
	}
}

// catchAlls are wordings that published lists of materials have, by the rule
// that refuses them.
var catchAlls = map[string][]string{
	"material.catch_all": {
		"其他材料", "其它材料", "其他有关材料", "其他相关证明材料", "其他需要提供的材料", "其他必要的文件", "其余资料", "其他证明", "其他证件复印件",
		"法律、法规规定的其他材料", "法律法规规定的其他条件", "法律、行政法规和国务院规定的其他文件", "审批机关认为需要提交的其他证明", "登记机关要求提供的其他情况说明",
		"申请书及其他材料", "营业执照（副本）和其他材料原件", "应当提交的其他材料（如有）", "主管部门认为必要的其他要件",
	},
	"material.open_list": {
		"身份证、户口簿等材料", "收入证明等相关证明材料", "房屋租赁合同等有关文件", "身份证件等", "户口簿（首页、本人页等）", "低保证、残疾证等证件复印件", "银行流水等其他资料",
	},
	"material.unnamed": {
		"材料", "相关材料", "有关证明材料", "申请材料", "证明材料", "需要提交的材料", "法律、法规、规章规定的材料", "有关部门要求提供的证明", "审批机关认为需要的材料",
		"按规定应当提交的相关资料", "根据实际情况需要补充的材料", "按要求提供的证明材料",
	},
}

func TestCatchAllsAreNoMaterials(t *testing.T) {
	for rule, names := range catchAlls {
		for _, name := range names {
			item := wholeItem()
			item.Materials[1].Name = name
			f := refusalOf(t, item)
			found := false
			if f != nil {
				for _, v := range f.Violations {
					found = found || v.Rule == rule && v.Field == "materials[1].name"
				}
			}
			if !found {
				t.Errorf("%s passes %s: %+v", name, rule, f)
			}
		}
	}
}

// realNames are materials that are asked somewhere and look a little like a
// catch-all.
var realNames = []string{
	"残疾等级证明", "伤残等级鉴定书", "因战致残证明（二等）", "高等学校毕业证书", "中等职业学校学籍证明", "普通话水平等级证书", "同等学力证明", "土地他项权利证明书", "其他组织登记证书",
	"其他应收款明细表", "其他共有人同意出售的证明", "工程建设其他费用明细表", "关联关系证明", "相关部门出具的收入证明", "与申请人的亲属关系证明", "符合规定的健康体检证明",
	"居民身份证", "居民户口簿", "申请材料真实性承诺书", "建设工程规划许可证及附图", "规定格式的授权委托书", "必要的医疗费用结算单", "家庭经济状况核对授权书",
	"其他家庭成员身份证", "法定代表人资格证明", "等额选举结果报告", "出生医学证明", "人民法院生效法律文书", "补充协议", "证明人身份证复印件", "所需设备清单",
	"等保测评报告", "个人所得税完税证明", "特种设备使用登记证", "不予处罚等次评定表",
}

func TestRealNamesAreMaterials(t *testing.T) {
	for _, name := range realNames {
		item := wholeItem()
		item.Materials[1].Name = name
		if f := refusalOf(t, item); f != nil {
			t.Errorf("%s is refused: %+v", name, f.Violations)
		}
	}
}

// refusalOf reads an item by its contract; nil if it is accepted.
func refusalOf(t *testing.T, m proto.Message) *fault.Error {
	t.Helper()
	_, err := contractOf(t, m).Read(marshal(t, m))
	var f *fault.Error
	if err != nil && !errors.As(err, &f) {
		t.Fatal(err)
	}
	return f
}
