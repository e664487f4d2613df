package sample

// Department is a participant: its credit code and name.
type Department struct{ Code, Name string }

// The departments of the sample city. None exists.
var (
	PublicSecurity   = department(1, "示范市公安局")
	CivilAffairs     = department(2, "示范市民政局")
	HumanResources   = department(3, "示范市人力资源和社会保障局")
	Housing          = department(4, "示范市自然资源和不动产登记中心")
	MarketRegulation = department(5, "示范市市场监督管理局")
	DisabledPersons  = department(6, "示范市残疾人联合会")
	ServiceHall      = department(7, "示范市政务服务中心")
	DataAuthority    = department(8, "示范市数据局")
	Audit            = department(9, "示范市审计局")
)

func department(n int, name string) Department {
	organisation := "MB00000" + string(rune('0'+n))
	return Department{CreditCode("11999900" + organisation + organisationCheck(organisation)), name}
}
