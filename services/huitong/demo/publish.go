package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments"
	"github.com/huitong-bus/huitong/services/departments/sample"
)

// publish has every department publish its register, and verifies the last
// receipt of each offline; the SDK has verified the others as they came.
func publish(ctx context.Context, s *story) error {
	began, total := time.Now(), 0
	for _, source := range departments.Sources() {
		client, started := s.systems.sources[source.Department.Code], time.Now()
		done, err := source.Publish(ctx, s.publishers[source.Department.Code], s.city)
		if err != nil {
			return err
		}
		if err := done.Last.Verify(client.LedgerKey()); err != nil {
			return err
		}
		if done.Warnings > 0 {
			return fmt.Errorf("%s: %d warnings", source.Department.Name, done.Warnings)
		}
		for topic, n := range done.Topics {
			s.published[topic] = n
		}
		total += done.Records
		s.tell("%s %6s records %8s", column(source.Department.Name, 32), count(done.Records), short(time.Since(started)))
	}
	took := time.Since(began)
	s.tell("%s records in %s: checked by their contracts, signed by their publishers, sealed, in the ledger", count(total), short(took))
	s.tell("%s a second, every receipt with a proof that the SDK checked", count(int(float64(total)/took.Seconds())))
	return nil
}

// mistype has civil affairs send three registrations, one of which names a
// spouse by a number with a wrong check digit.
func mistype(ctx context.Context, s *story) error {
	var batch []*recordsv1.Marriage
	for i, m := range last(s.city.Marriages(), 3) {
		m = proto.CloneOf(m)
		m.CertificateNumber = fmt.Sprintf("J%s-2026-%06d", sample.Region, i+1)
		batch = append(batch, m)
	}
	number := []byte(batch[1].PartyBNumber)
	number[16] = '0' + (number[16]-'0'+1)%10
	batch[1].PartyBNumber = string(number)
	p := sdk.For[*recordsv1.Marriage](s.publishers[sample.CivilAffairs.Code], departments.Marriages)
	results, err := p.PublishBatch(ctx, batch)
	if err != nil {
		return err
	}
	if results[0].Err != nil || results[2].Err != nil {
		return errors.Join(errors.New("a good record was refused beside a bad one"), results[0].Err, results[2].Err)
	}
	s.published[departments.Marriages] += 2
	var f *fault.Error
	if !errors.As(results[1].Err, &f) || f.Kind != fault.Invalid || len(f.Violations) != 1 {
		return fmt.Errorf("a wrong check digit was answered by %w", results[1].Err)
	}
	v := f.Violations[0]
	if v.Field != "party_b_number" {
		return fmt.Errorf("the wrong check digit is in party_b_number, not in %s", v.Field)
	}
	s.tell("of three marriages that %s sends, two are taken", sample.CivilAffairs.Name)
	s.tell("refused: field %s, rule %s (%s)", v.Field, v.Rule, v.Message)
	return nil
}

func last[T any](all []T, n int) []T { return all[len(all)-n:] }
