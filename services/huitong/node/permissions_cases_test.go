package node_test

import (
	"context"

	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

func (p *permissions) caseRows() []matrixRow {
	departments := map[string]string{"M": notDepartment, "A": notDepartment, "W": notDepartment, "": "ok"}
	// s is another system of the department that g is of; d opened a case of its
	// own under the same number.
	subjects := []*ledgerv1.Subject{{Type: "111", Number: "999999199001010016"}}
	return []matrixRow{
		{"access.OpenCase", func(ctx context.Context, c clientsOf) error {
			return tried(c.OpenCase(ctx, &accessv1.OpenCaseRequest{Number: "1", Item: acting.Purpose, Person: "p", Subjects: subjects, ValidateOnly: true}))
		}, departments},
		{"access.CloseCase", func(ctx context.Context, c clientsOf) error {
			return tried(c.CloseCase(ctx, &accessv1.CloseCaseRequest{Number: acting.Case, Person: "p", ValidateOnly: true}))
		}, departments},
		{"access.GetCase", func(ctx context.Context, c clientsOf) error {
			return tried(c.GetCase(ctx, &accessv1.GetCaseRequest{Number: acting.Case}))
		}, departments},
		{"access.ListCases", func(ctx context.Context, c clientsOf) error {
			return tried(c.ListCases(ctx, &accessv1.ListCasesRequest{}))
		}, map[string]string{"W": notDepartment, "": "ok"}},
	}
}
