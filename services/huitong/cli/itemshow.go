package cli

import (
	"fmt"
	"strings"

	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

// showItem prints an item as a clerk explains it at a counter.
func (a *app) showItem(i *recordsv1.ServiceItem) error {
	if err := a.show(i,
		pair{"item", i.Name}, pair{"code", i.ImplementationCode}, pair{"department", i.DepartmentName}, pair{"state", enumText(i.State)},
		pair{"legal bases", strings.Join(i.LegalBases, "；")}, pair{"conditions", strings.Join(i.Conditions, "；")},
		pair{"time limit", limitText(i)}, pair{"legal limit", legalLimitText(i)}, pair{"fee", feeText(i)}, pair{"fee basis", i.FeeBasis},
		pair{"result", i.Result}, pair{"place", i.Place}, pair{"hours", i.Hours}, pair{"contact", i.Contact}, pair{"complaints", i.ComplaintChannel},
	); err != nil || a.json() {
		return err
	}
	var steps, materials, filled, questions [][]string
	for _, s := range i.Steps {
		steps = append(steps, []string{s.Name, s.Department, s.Requirement})
	}
	for _, m := range i.Materials {
		materials = append(materials, []string{
			m.Name, m.Code, enumText(m.Necessity), copiesText(m), enumText(m.Medium), sourceText(m), evidenceText(m), bringText(m), orElse(documentsText(m), "-"),
		})
		if m.Standard+m.Guide+m.Basis != "" {
			filled = append(filled, []string{m.Name, orElse(m.Standard, "-"), orElse(m.Guide, "-"), orElse(m.Basis, "-")})
		}
	}
	for _, q := range i.Questions {
		questions = append(questions, []string{q.Question, q.Answer})
	}
	for _, t := range []struct {
		head []string
		rows [][]string
	}{
		{[]string{"STEP", "DEPARTMENT", "WHAT IS DONE"}, steps},
		{[]string{"MATERIAL", "CODE", "NEEDED", "HOW MANY", "FORM", "FROM", "TOPICS", "APPLICANT", "TO DOWNLOAD"}, materials},
		{[]string{"MATERIAL", "ACCEPTED IF", "HOW TO FILL IN", "ASKED BY"}, filled},
		{[]string{"QUESTION", "ANSWER"}, questions},
	} {
		if err := a.section(t.head, t.rows); err != nil {
			return err
		}
	}
	return nil
}

// section prints a table under an empty line; nothing if it has no rows.
func (a *app) section(head []string, rows [][]string) error {
	if len(rows) == 0 {
		return nil
	}
	a.printf("\n")
	t := newTable(a.out, head...)
	for _, r := range rows {
		if err := t.row(r...); err != nil {
			return err
		}
	}
	return t.flush()
}

// legalLimitText is the limit that the law sets; empty where it sets none.
func legalLimitText(i *recordsv1.ServiceItem) string {
	if i.LegalLimit == 0 {
		return ""
	}
	return fmt.Sprintf("%d %s", i.LegalLimit, enumText(i.LimitUnit))
}

func limitText(i *recordsv1.ServiceItem) string {
	if i.OnTheSpot {
		return "on the spot"
	}
	return fmt.Sprintf("%d %s", i.PromisedLimit, enumText(i.LimitUnit))
}

func feeText(i *recordsv1.ServiceItem) string {
	if i.Fee == recordsv1.Fee_FEE_CHARGED {
		return fmt.Sprintf("%d.%02d yuan", i.FeeFen/100, i.FeeFen%100)
	}
	return enumText(i.Fee)
}

func copiesText(m *recordsv1.ItemMaterial) string {
	var parts []string
	if m.Originals > 0 {
		parts = append(parts, fmt.Sprintf("%d original", m.Originals))
	}
	if m.Copies > 0 {
		parts = append(parts, fmt.Sprintf("%d copy", m.Copies))
	}
	return strings.Join(parts, ", ")
}

func sourceText(m *recordsv1.ItemMaterial) string { return orElse(m.SourceName, enumText(m.Source)) }

func evidenceText(m *recordsv1.ItemMaterial) string {
	var topics []string
	for _, e := range m.Evidence {
		topics = append(topics, e.Topic)
	}
	return orElse(strings.Join(topics, ", "), "-")
}

// bringText says what is left to the applicant.
func bringText(m *recordsv1.ItemMaterial) string {
	switch {
	case len(m.Evidence) > 0:
		return "only if not found"
	case m.Source == recordsv1.MaterialSource_MATERIAL_SOURCE_APPLICANT:
		return "fills in"
	}
	return "brings"
}

// toBring counts the materials that no topic can supply.
func toBring(i *recordsv1.ServiceItem) (n int) {
	for _, m := range i.GetMaterials() {
		if len(m.Evidence) == 0 {
			n++
		}
	}
	return n
}
