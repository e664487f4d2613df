package sample

import recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"

// ServiceItem is a whole service item of a department, which its contract accepts.
// code is the implementation code: the department's credit code and 13 characters.
func ServiceItem(code, name string, d Department, materials ...*recordsv1.ItemMaterial) *recordsv1.ServiceItem {
	return &recordsv1.ServiceItem{
		ImplementationCode: code, BasicCode: code[len(d.Code) : len(d.Code)+12], Name: name, TypeScheme: "GB", TypeCode: "05",
		DepartmentCode: d.Code, DepartmentName: d.Name, ServiceObjects: []recordsv1.ServiceObject{recordsv1.ServiceObject_SERVICE_OBJECT_PERSON},
		LegalBases: []string{"《社会救助暂行办法》第五十八条"}, Conditions: []string{"具有示范市户籍"},
		Steps:      []*recordsv1.ServiceStep{{Name: "受理", Requirement: "核对材料齐全，信息一致", Department: d.Name, Limit: 1}},
		LegalLimit: 20, PromisedLimit: 5, LimitUnit: recordsv1.LimitUnit_LIMIT_UNIT_WORKING_DAYS, Fee: recordsv1.Fee_FEE_FREE,
		Contact: "0999-8800101", ComplaintChannel: "12345政务服务便民热线", Place: ServiceHall.Name, Hours: "工作日9:00-17:00",
		Result: "审定通知", ItemVersion: "1", State: recordsv1.ItemState_ITEM_STATE_IN_USE, Materials: materials,
	}
}

// IssuedMaterial is a material that a department issues, with what stands in for it.
func IssuedMaterial(code, name string, issuer Department, evidence ...*recordsv1.Evidence) *recordsv1.ItemMaterial {
	return &recordsv1.ItemMaterial{
		Code: code, Name: name, Copies: 1, Medium: recordsv1.MaterialMedium_MATERIAL_MEDIUM_EITHER,
		Necessity: recordsv1.Necessity_NECESSITY_REQUIRED, Source: recordsv1.MaterialSource_MATERIAL_SOURCE_DEPARTMENT,
		SourceName: issuer.Name, Evidence: evidence,
	}
}
