package reuse

import (
	"context"
	"errors"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/store"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

// Preview prepares, and shows the applicant what the copies would say. It is decided
// as a collection is, and what the applicant declined is not shown.
func (r *Reuse) Preview(ctx context.Context, caller *identity.Caller, req *exchangev1.PreviewRequest) (*exchangev1.PreviewResponse, error) {
	var answer *exchangev1.PreviewResponse
	err := r.Queries.Settled(ctx, func() error {
		a, err := r.assess(ctx, caller, access.Preview, req.Acting, req.Subject)
		if err != nil {
			return err
		}
		answer, err = r.preview(ctx, a, req.Json)
		if errors.Is(err, errChosen) {
			// The applicant declined something meanwhile.
			answer, err = r.preview(ctx, a, req.Json)
		}
		return err
	})
	return answer, err
}

func (r *Reuse) preview(ctx context.Context, a *assessment, json bool) (*exchangev1.PreviewResponse, error) {
	chosen, err := r.choices(ctx, r.Queries.DB.Brief(), a)
	if err != nil {
		return nil, err
	}
	shown := &binding{r: r, a: a, json: json, preview: true}
	for _, m := range a.materials {
		if chosen[m.Code].declined() {
			m.decline()
		}
		if !m.usable() {
			continue
		}
		if err := shown.add(m); err != nil {
			return nil, err
		}
	}
	commit, err := r.enterPrepared(ctx, shown)
	if err != nil {
		return nil, err
	}
	answer := &exchangev1.PreviewResponse{
		Item: a.item.version(), Materials: r.showAll(a), Proof: commit.Proof, Receipt: receipt(commit, len(shown.copies)),
	}
	for i, c := range shown.copies {
		answer.Previews = append(answer.Previews, &exchangev1.PreviewedMaterial{
			Code: c.Code, Name: c.Name, Record: c.Record, Grade: c.Grade, Receipt: receipt(commit, i),
		})
	}
	return answer, nil
}

// notDeclined refuses to show what the applicant declined meanwhile.
func (b *binding) notDeclined(ctx context.Context, tx store.Tx) error {
	if len(b.of) == 0 {
		return nil
	}
	chosen, err := b.r.choices(ctx, tx, b.a)
	if err != nil {
		return err
	}
	for _, m := range b.of {
		if chosen[m.Code].declined() {
			return errChosen
		}
	}
	return nil
}
