package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/identity"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/authority"
)

const (
	// mostGrants are in force while decisions are measured.
	mostGrants = 10_000
	// crowd is how many of them one consumer has on one topic.
	crowd = 50
	// decisions are timed together: one is shorter than the clock is exact.
	decisions = 1000
)

// decide measures decisions from memory.
func (s *settings) decide(ctx context.Context) (*Report, error) {
	r, err := newReport("Decide: may this caller read this topic, for this purpose and case", s.dir)
	if err != nil {
		return nil, err
	}
	in, err := install(ctx, s.dir)
	if err != nil {
		return nil, err
	}
	return r, errors.Join(s.decideAll(ctx, r, in), in.close())
}

func (s *settings) decideAll(ctx context.Context, r *Report, in *installation) error {
	grants := max(2*crowd, min(mostGrants, s.records/10)) / crowd * crowd
	began := time.Now()
	if err := in.grantAll(ctx, grants); err != nil {
		return err
	}
	note := fmt.Sprintf("%d grants in force, made and agreed at %.0f/s", grants+1, float64(grants)/time.Since(began).Seconds())
	hall, err := in.callerOf(in.hall)
	if err != nil {
		return err
	}
	for _, c := range []struct{ name, topic, item string }{
		{"1 grant on the topic", topic, purpose},
		{"50 grants on the topic, of which the last serves", crowded(0), itemOf(crowd - 1)},
	} {
		row, err := s.decideOne(ctx, in.node.Policy, c.name, forHall(hall, c.topic, c.item))
		if err != nil {
			return err
		}
		row.Note = fmt.Sprintf("%.2f µs a decision; %s", 1e6/row.Rate, note)
		r.add(row)
	}
	return nil
}

// forHall is a query that all but the grants is in order for.
func forHall(hall *identity.Caller, topic, item string) access.Request {
	return access.Request{
		Caller: hall, Action: access.Query, Topic: topic, Person: "clerk-017", Purpose: item, Case: "SF-2026-000001",
		Facts: access.Facts{
			Case:    access.CaseFacts{Known: true, Open: true, Names: true, Item: item},
			Consent: access.ConsentFacts{Standing: access.ConsentNotNeeded},
		},
	}
}

func (s *settings) decideOne(ctx context.Context, policy *access.Policy, name string, question access.Request) (Row, error) {
	return load(ctx, name, 1, decisions, Limit{Time: s.duration}, func(context.Context, int, int) error {
		for range decisions {
			if d := policy.Decide(question); !d.Allow {
				return d.Err()
			}
		}
		return nil
	})
}

func crowded(n int) string { return fmt.Sprintf("crowded-%d", n) }

func itemOf(n int) string { return fmt.Sprintf("%012d", n) }

// grantAll lists topics and grants each of them to the hall, once for each of
// many service items.
func (in *installation) grantAll(ctx context.Context, grants int) error {
	operator, err := authority.Connect(ctx, in.dir, in.node.Address(), in.node.LedgerKey())
	if err != nil {
		return err
	}
	in.clients = append(in.clients, operator.Client)
	modes := []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_QUERY}
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(64)
	for n := range grants / crowd {
		err := operator.CreateTopic(ctx, &cataloguev1.Topic{
			Name: crowded(n), Title: model.TypeName, Provider: issuer.Code, Contract: "huitong.records.v1.Certificate",
			SharingClass: cataloguev1.SharingClass_SHARING_CLASS_CONDITIONAL, Conditions: "社会救助家庭经济状况核对", DeliveryModes: modes,
		})
		if err != nil {
			return errors.Join(err, all.Wait())
		}
		for item := range crowd {
			all.Go(func() error {
				_, err := operator.CreateGrant(ctx, &accessv1.Grant{
					Topic: crowded(n), Consumer: sample.ServiceHall.Code, Basis: basis, Scenario: "困难残疾人生活补贴审核",
					Fields: []string{"identifier", "type_name"}, ServiceItems: []string{itemOf(item)},
					DeliveryModes: modes, Scope: accessv1.GrantScope_GRANT_SCOPE_ALL_SUBJECTS,
				})
				return err
			})
		}
	}
	return all.Wait()
}
