package reuse

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/query"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

// For an application form an item names nothing that stands in, for it is filled in
// anew for each case. Once the department has it for the case it is not asked for
// again.

// ownPapers are the topics on which the caller's department enters what applicants
// submit to it.
func (s *sources) ownPapers() (own []*catalog.Topic) {
	for _, t := range s.r.Topics.TopicsUnder(query.Submitted) {
		if t.Active() && t.Provider == s.a.allowed.Request.Caller.Participant {
			own = append(own, t)
		}
	}
	return own
}

// decideBrought decides on the department's own topics if a material may be on them
// alone.
func (s *sources) decideBrought(ctx context.Context) error {
	for _, m := range s.a.materials {
		if len(m.Evidence) > 0 {
			continue
		}
		for _, topic := range s.ownPapers() {
			if err := s.add(ctx, topic, s.a.subject); err != nil {
				return err
			}
		}
		return nil
	}
	return nil
}

// brought takes what was submitted for this very case as a material for which no
// evidence is named; the one submitted last.
func (r *Reuse) brought(s *sources, m *material) error {
	if len(m.Evidence) > 0 {
		return nil
	}
	for _, topic := range s.ownPapers() {
		source := s.get(topic.Name, s.a.subject)
		if source == nil || !source.allowed.Decision.Allow {
			continue
		}
		for _, h := range source.held {
			if h.Present.Status != exchangev1.Status_STATUS_ACTIVE || h.Present.ValidUntil < r.today() || h.Row.Body == nil {
				continue
			}
			opening, err := r.open(source, h)
			if err != nil {
				return err
			}
			paper := &recordsv1.SubmittedMaterial{}
			if err := proto.Unmarshal(opening.Payload, paper); err != nil {
				return fmt.Errorf("entry %d: %w", h.Row.Index, err)
			}
			of := &source.allowed.Request
			if paper.MaterialCode != m.Code || paper.ItemCode != of.Purpose || paper.CaseNumber != of.Case ||
				m.found != nil && h.Row.Index < m.found[0].held.Row.Index {
				continue
			}
			at, err := journal.LeafTime(h.Row.Leaf)
			if err != nil {
				return fmt.Errorf("entry %d: %w", h.Row.Index, err)
			}
			m.take(isHeld, source, "", "", "collect it")
			m.source, m.found = source, []found{{source: source, held: h, at: at, grade: gradeSubmitted(paper)}}
		}
	}
	return nil
}
