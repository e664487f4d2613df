package catalog

import (
	"context"
	"fmt"

	"github.com/huitong-bus/huitong/exchange/deadline"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/journal"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
)

// Review is an operator's answer to what was submitted.
type Review struct {
	Topic   string
	Publish bool
	// Findings are all that is wrong; none with Publish.
	Findings []*cataloguev1.Finding
}

const maxFindings = 200

func (r *Review) check() error {
	switch {
	case r.Publish && len(r.Findings) > 0:
		return fault.Field("findings", "findings.publish", "an entry with findings is returned, not published")
	case !r.Publish && len(r.Findings) == 0:
		return fault.Field("findings", "findings.required", "name all that is wrong with the entry, at once")
	case len(r.Findings) > maxFindings:
		return fault.Field("findings", "findings.size", "are more than %d", maxFindings)
	}
	for i, f := range r.Findings {
		at := fmt.Sprintf("findings[%d]", i)
		if err := First(Text(at+".field", f.GetField(), false), Text(at+".message", f.GetMessage(), true)); err != nil {
			return err
		}
	}
	return nil
}

// ReviewTopic publishes what was submitted or returns it, and says whether that
// came late. An operator may.
func (c *Catalogue) ReviewTopic(ctx context.Context, ch Change, r Review) (t *cataloguev1.Topic, late bool, commit *journal.Commit, err error) {
	if err := r.check(); err != nil {
		return nil, false, nil, err
	}
	t, commit, err = c.changeTopic(ctx, ch, func(ctx context.Context, w *Write) (*cataloguev1.Topic, error) {
		if err := w.RequireOperator(); err != nil {
			return nil, err
		}
		t, err := w.Topic(ctx, r.Topic)
		if err != nil {
			return nil, err
		}
		if t == nil {
			return nil, fault.New(fault.NotFound, "topic.unknown", "the catalogue has no such topic")
		}
		p := pending(t)
		if p.GetState() != submitted {
			return nil, fault.New(fault.Conflict, "topic.not_submitted", "nothing of the topic is under review")
		}
		if late, err = deadline.Stop(ctx, w.Tx, w.Slot.At, deadline.CatalogueReview, t.Name); err != nil {
			return nil, err
		}
		if !r.Publish {
			p.State, p.Findings = returned, r.Findings
			return t, w.putTopic(ctx, t, "return", "")
		}
		next := t
		if p != t {
			if err := fixed(t, p); err != nil {
				return nil, err
			}
			next = over(t, p)
			next.Revision = nil
		}
		k, err := w.contractOf(ctx, next)
		if err != nil {
			return nil, err
		}
		if err := w.publish(ctx, next, k); err != nil {
			return nil, err
		}
		return next, w.putTopic(ctx, next, "publish", "")
	})
	return t, late, commit, err
}
