package bench

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/huitong-bus/huitong/sdk"
)

// query measures queries for a case, each answered with one record cut to its
// grant and entered in the ledger before it leaves.
func (s *settings) query(ctx context.Context) (*Report, error) {
	r, err := newReport("Query: one record, cut to its grant, entered in the ledger before it leaves", s.dir)
	if err != nil {
		return nil, err
	}
	in, err := install(ctx, s.dir)
	if err != nil {
		return nil, err
	}
	last, err := s.queryAll(ctx, r, &publisher{installation: in})
	if err := errors.Join(err, in.close()); err != nil {
		return nil, err
	}
	bare, err := s.bareEcho(ctx, "gRPC echo over mutual TLS, 64 callers, 8 connections", Limit{Time: s.duration})
	if err != nil {
		return nil, err
	}
	r.compare(last, r.reference(bare))
	return r, nil
}

// queryAll fills the exchange and queries it. It gives the last row.
func (s *settings) queryAll(ctx context.Context, r *Report, p *publisher) (row Row, err error) {
	if _, err := p.run(ctx, thousands, "", Limit{Records: s.records}); err != nil {
		return row, err
	}
	hall, err := p.connect(ctx, p.hall, connections)
	if err != nil {
		return row, err
	}
	if err := openCases(ctx, hall, purpose, s.records); err != nil {
		return row, err
	}
	var cases []contestant
	for _, kind := range []struct {
		name string
		ask  question
	}{{"query by key", byKey}, {"check", check}, {"query by subject", bySubject}} {
		do := func(ctx context.Context, _, n int) error { return kind.ask(ctx, hall, 1+n*7919%s.records) }
		cases = append(cases, contestant{kind.name + ", 1 caller", 1, do}, contestant{kind.name + ", 64 callers, 8 connections", 64, do})
	}
	rows, err := inTurns(ctx, s.duration, cases)
	if err != nil {
		return row, err
	}
	for _, row = range rows {
		r.add(row)
	}
	checks, queries := rows[3], rows[5]
	r.compare(checks, queries)
	return queries, nil
}

// question asks about the n-th holder, for a case that names it.
type question func(ctx context.Context, hall *sdk.Client, n int) error

func byKey(ctx context.Context, hall *sdk.Client, n int) error {
	return query(ctx, hall, sdk.ByKey(identifier(n)), caseOf(n))
}

func bySubject(ctx context.Context, hall *sdk.Client, n int) error {
	return query(ctx, hall, sdk.BySubject(subject(n)), caseOf(n))
}

func check(ctx context.Context, hall *sdk.Client, n int) error {
	a, err := hall.Check(ctx, sdk.Check{Topic: topic, Subject: subject(n), Name: holdsCertificate.Name, Acting: acting(caseOf(n))})
	if err == nil && a.Answer != sdk.CheckYes {
		err = fmt.Errorf("the check says %v of a holder", a.Answer)
	}
	return err
}

func subject(n int) sdk.Subject { return sdk.Subject{Type: model.HolderType, Number: holder(n)} }

func acting(number string) sdk.Acting {
	return sdk.Acting{Person: "clerk-017", Purpose: purpose, Case: number}
}

// perCase is how many holders a case names: as many as one may.
const perCase = 64

func caseOf(n int) string { return fmt.Sprintf("SF-2026-%06d", n/perCase) }

// openCases opens cases that name every holder.
func openCases(ctx context.Context, hall *sdk.Client, item string, holders int) error {
	const at = 64
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(at)
	for first := 0; first <= holders; first += perCase {
		all.Go(func() error {
			opened := sdk.NewCase{Number: caseOf(first), Item: item, Person: "clerk-017"}
			for n := first; n < first+perCase; n++ {
				opened.Subjects = append(opened.Subjects, subject(n))
			}
			_, err := hall.OpenCase(ctx, opened)
			return err
		})
	}
	return all.Wait()
}

func query(ctx context.Context, hall *sdk.Client, by sdk.QueryBy, number string) error {
	a, err := hall.Query(ctx, sdk.Query{Topic: topic, By: by, Acting: acting(number)})
	if err == nil && len(a.Records) != 1 {
		err = fmt.Errorf("%d records where one is held", len(a.Records))
	}
	return err
}
