package bench

import (
	"context"
	"errors"
	"fmt"

	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/authority"
)

const (
	// asked is how many materials the item asks for, each from a topic of its own,
	// and holding how many of them are held of everybody.
	asked   = 10
	holding = 5
	// fewRecords are in before the first preparations.
	fewRecords = 10_000
)

// subsidy is the item's implementation code.
var subsidy = sample.ServiceHall.Code + "4" + purpose

// reuse measures the once-only step, with few records in and with many.
func (s *settings) reuse(ctx context.Context) (*Report, error) {
	r, err := newReport("Reuse: a case of an item with ten materials, five of them held; a record here is a case", s.dir)
	if err != nil {
		return nil, err
	}
	in, err := install(ctx, s.dir)
	if err != nil {
		return nil, err
	}
	return r, errors.Join(s.reuseAll(ctx, r, in), in.close())
}

func (s *settings) reuseAll(ctx context.Context, r *Report, in *installation) error {
	if err := in.offerItem(ctx); err != nil {
		return err
	}
	source, err := in.connect(ctx, in.source, connections)
	if err != nil {
		return err
	}
	hall, err := in.connect(ctx, in.hall, connections)
	if err != nil {
		return err
	}
	few, people := min(fewRecords, s.records)/holding, s.records/holding
	if err := in.hold(ctx, source, 0, few); err != nil {
		return err
	}
	if err := openCases(ctx, hall, subsidy, people); err != nil {
		return err
	}
	before, err := s.prepare(ctx, r, in, hall, few)
	if err != nil {
		return err
	}
	after := before
	if people > few {
		if err := in.hold(ctx, source, few, people); err != nil {
			return err
		}
		if after, err = s.prepare(ctx, r, in, hall, people); err != nil {
			return err
		}
	}
	collected, err := load(ctx, "collect five, 64 callers", 64, 1, Limit{Time: s.duration, Records: people}, func(ctx context.Context, _, n int) error {
		c, err := hall.Collect(ctx, sdk.Collect{Acting: forSubsidy(n), Applicant: subject(n)})
		if err == nil && len(c.Copies) != holding {
			err = fmt.Errorf("%d copies of %d", len(c.Copies), holding)
		}
		return err
	})
	if err != nil {
		return err
	}
	collected.Note = fmt.Sprintf("%.0f entries/s", collected.Rate*(holding+1))
	r.add(collected)
	revoked, err := s.revoke(ctx, in, source, hall, people)
	if err != nil {
		return err
	}
	r.add(revoked)
	r.Ratios = append(r.Ratios, Ratio{"p50 of prepare with all records in", "p50 with the first", after.P50 / before.P50})
	bare, err := s.bareEcho(ctx, "gRPC echo over mutual TLS, 64 callers, 8 connections", Limit{Time: s.duration})
	if err == nil {
		r.compare(collected, r.reference(bare))
	}
	return err
}

// easyRate is preparations a second that leave room: what a caller waits where the
// processor is not what all wait for.
const easyRate = 400

// prepare measures preparations for people of whom records are in, by many callers
// without pause, by as many at an easy rate, and by one. It gives the row of one.
func (s *settings) prepare(ctx context.Context, r *Report, in *installation, hall *sdk.Client, people int) (one Row, err error) {
	if err := in.settled(ctx); err != nil {
		return one, err
	}
	for _, c := range []struct {
		callers, rate int
		pace          string
	}{{16, 0, ""}, {16, easyRate, fmt.Sprintf(" at %d/s", easyRate)}, {1, 0, ""}} {
		name := fmt.Sprintf("prepare, %d callers%s, %d records in", c.callers, c.pace, people*holding)
		one, err = load(ctx, name, c.callers, 1, Limit{Time: s.duration, Rate: c.rate}, func(ctx context.Context, _, n int) error {
			of := n * 7919 % people
			p, err := hall.Prepare(ctx, forSubsidy(of), subject(of))
			if err == nil && (p.Unknown || len(p.Held()) != holding) {
				err = fmt.Errorf("%d materials are held of %d", len(p.Held()), holding)
			}
			return err
		})
		if err != nil {
			return one, err
		}
		r.add(one)
	}
	return one, nil
}

func forSubsidy(n int) sdk.Acting {
	return sdk.Acting{Person: "clerk-017", Purpose: subsidy, Case: caseOf(n)}
}

func proofOf(n int) string { return fmt.Sprintf("proof-%d", n) }

// offerItem lists a topic for each material, and publishes the item.
func (in *installation) offerItem(ctx context.Context) error {
	operator, err := authority.Connect(ctx, in.dir, in.node.Address(), in.node.LedgerKey())
	if err != nil {
		return err
	}
	in.clients = append(in.clients, operator.Client)
	topic := func(name, contract string, provider sample.Department) error {
		return operator.CreateTopic(ctx, &cataloguev1.Topic{
			Name: name, Title: name, Provider: provider.Code, Contract: "huitong.records.v1." + contract,
			SharingClass:  cataloguev1.SharingClass_SHARING_CLASS_UNCONDITIONAL,
			DeliveryModes: []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_QUERY},
		})
	}
	item := sample.ServiceItem(subsidy, "困难残疾人生活补贴", sample.ServiceHall)
	for n := range asked {
		if err := topic(proofOf(n), "Certificate", issuer); err != nil {
			return err
		}
		item.Materials = append(item.Materials, sample.IssuedMaterial(proofOf(n), fmt.Sprintf("证明%d", n), issuer, &recordsv1.Evidence{Topic: proofOf(n)}))
	}
	if err := topic("items", "ServiceItem", sample.ServiceHall); err != nil {
		return err
	}
	hall, err := in.connect(ctx, in.hall, 1)
	if err != nil {
		return err
	}
	p := hall.Publisher(sdk.PublisherConfig{CallUnary: true})
	_, err = p.Publish(ctx, "items", item)
	return errors.Join(err, p.Close(ctx))
}

// hold publishes the records of some people: five of each.
func (in *installation) hold(ctx context.Context, source *sdk.Client, from, to int) error {
	p := source.Publisher(sdk.PublisherConfig{})
	_, err := load(ctx, "", 2, 1, Limit{Records: (to - from + 99) / 100}, func(ctx context.Context, _, n int) error {
		var batch []sdk.Publication
		for of := from + n*100; of < min(from+n*100+100, to); of++ {
			for k := range holding {
				m := certificate(of*holding + k)
				m.HolderNumber = holder(of)
				batch = append(batch, sdk.Publication{Topic: proofOf(k), Message: m})
			}
		}
		results, err := p.PublishBatch(ctx, batch)
		for i := range results {
			if err == nil {
				err = results[i].Err
			}
		}
		return err
	})
	return errors.Join(err, p.Close(ctx))
}
