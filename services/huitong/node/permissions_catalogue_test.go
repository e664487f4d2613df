package node_test

import (
	"context"

	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	"github.com/huitong-bus/huitong/services/departments/sample"
)

// catalogueRows are the steps in the life of a catalogue entry that is in force.
func (p *permissions) catalogueRows() []matrixRow {
	theirs := "DENIED topic.owner + refused"
	return []matrixRow{
		// The operator's update says what is in force already.
		{"catalogue.UpdateTopic", func(ctx context.Context, c clientsOf) error {
			return tried(c.UpdateTopic(ctx, &cataloguev1.UpdateTopicRequest{Topic: unconditional("marriage", "Marriage", sample.CivilAffairs), ValidateOnly: true}))
		}, map[string]string{"o": "ok", "M": "ok", "A": notDepartment, "W": notDepartment, "": theirs}},
		{"catalogue.SubmitTopic", func(ctx context.Context, c clientsOf) error {
			return tried(c.SubmitTopic(ctx, &cataloguev1.SubmitTopicRequest{Name: "marriage", ValidateOnly: true}))
		}, map[string]string{"o": "CONFLICT topic.published + refused", "M": "CONFLICT topic.published + refused", "A": notDepartment, "W": notDepartment, "": theirs}},
		{"catalogue.ReviewTopic", func(ctx context.Context, c clientsOf) error {
			return tried(c.ReviewTopic(ctx, &cataloguev1.ReviewTopicRequest{Name: "marriage", Publish: true, ValidateOnly: true}))
		}, map[string]string{"M": "CONFLICT topic.not_submitted + refused", "": notOperator}},
	}
}
