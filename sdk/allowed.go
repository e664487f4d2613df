package sdk

import (
	"context"
	"iter"

	"github.com/huitong-bus/huitong/exchange/fault"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
)

// AllowedTopics goes through the topics that this system may use, each with how:
// modes, purposes, fields, checks, what is left of a daily limit, whose consent
// is needed.
func (c *Client) AllowedTopics(ctx context.Context) iter.Seq2[*accessv1.AllowedTopic, error] {
	return c.allowed(ctx, false)
}

// TopicsAndRules goes through all topics, and says of what this system may not
// use which rule stands in the way and what would change it.
func (c *Client) TopicsAndRules(ctx context.Context) iter.Seq2[*accessv1.AllowedTopic, error] {
	return c.allowed(ctx, true)
}

func (c *Client) allowed(ctx context.Context, refused bool) iter.Seq2[*accessv1.AllowedTopic, error] {
	return func(yield func(*accessv1.AllowedTopic, error) bool) {
		service := accessv1.NewAllowedServiceClient(c.Conn())
		r := &accessv1.AllowedTopicsRequest{IncludeRefused: refused}
		for {
			resp, err := service.AllowedTopics(ctx, r)
			if err != nil {
				yield(nil, fault.FromStatus(err))
				return
			}
			for _, t := range resp.GetTopics() {
				if !yield(t, nil) {
					return
				}
			}
			if r.PageToken = resp.GetNextPageToken(); r.PageToken == "" {
				return
			}
		}
	}
}
