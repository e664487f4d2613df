package sdk

import (
	"context"

	"github.com/huitong-bus/huitong/exchange/fault"
)

// PublishBatch publishes in as few calls as the publications fit in, and waits
// for all answers. It is not atomic: each is accepted or refused alone, and its
// Result stands at the same place. The options apply to every publication, but a
// source position to the last alone: it stands for the whole batch.
//
// The error is that of the context, if it ended first; publications that have no
// Result then were not handed over.
func (p *Publisher) PublishBatch(ctx context.Context, pubs []Publication, opts ...PublishOption) ([]Result, error) {
	results, items := make([]Result, len(pubs)), make([]*item, 0, len(pubs))
	places := make([]int, 0, len(pubs))
	var whole Publication
	for i := range pubs {
		pub := pubs[i]
		for _, o := range opts {
			o(&pub)
		}
		if len(opts) > 0 {
			whole = pub
			pub.Source, pub.Position = pubs[i].Source, pubs[i].Position
		}
		it, err := p.prepare(ctx, &pub)
		if err != nil {
			results[i].Err = err
			continue
		}
		items, places = append(items, it), append(places, i)
	}
	if whole.Source != "" && len(items) > 0 {
		items[len(items)-1].source = position(&whole)
	}
	if err := p.admit(ctx, items); err != nil {
		return results, err
	}
	for n, it := range items {
		results[places[n]].Receipt, results[places[n]].Err = it.Wait(ctx)
	}
	return results, ctx.Err()
}

// Validate checks publications as PublishBatch would, at most a call's worth, and
// writes nothing. A Result without error has an empty Receipt, with the warnings.
func (p *Publisher) Validate(ctx context.Context, pubs []Publication) ([]Result, error) {
	results, places, c := make([]Result, len(pubs)), make([]int, 0, len(pubs)), &call{}
	for i := range pubs {
		pub := pubs[i]
		it, err := p.prepare(ctx, &pub)
		if err != nil {
			results[i].Err = err
			continue
		}
		c.items, places = append(c.items, it), append(places, i)
	}
	if len(c.items) == 0 {
		return results, nil
	}
	if err := p.seal(c); err != nil {
		return results, err
	}
	c.request.ValidateOnly = true
	resp, err := p.client.exchange().Publish(ctx, c.request)
	if err != nil {
		return results, fault.FromStatus(err)
	}
	if len(resp.GetResults()) != len(places) {
		return results, unproven("%d answers to %d publications", len(resp.GetResults()), len(places))
	}
	for n, r := range resp.GetResults() {
		if r.GetProblem() != nil {
			results[places[n]].Err = problemFault(r.GetProblem())
			continue
		}
		results[places[n]].Receipt = &Receipt{Warnings: violations(r.GetWarnings())}
	}
	return results, nil
}
