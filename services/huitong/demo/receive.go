package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments"
	"github.com/huitong-bus/huitong/services/departments/sample"
)

// receive waits until the hall knows of every certificate published.
func receive(ctx context.Context, s *story) error {
	began := time.Now()
	for _, topic := range subscribed() {
		if err := s.hall.Await(ctx, func() bool { return s.hall.Received(topic) >= s.published[topic] }); err != nil {
			return fmt.Errorf("%d of %d records of %s came: %w", s.hall.Received(topic), s.published[topic], topic, err)
		}
		if n := s.hall.Received(topic); n != s.published[topic] {
			return fmt.Errorf("%d records of %s came, of %d", n, topic, s.published[topic])
		}
		s.tell("%s %6s", column(topic, 32), count(s.hall.Received(topic)))
	}
	s.tell("%s after the last was published, all were there", short(time.Since(began)))
	s.tell("each came cut to the granted fields, and proved itself against its publisher's signature")
	return nil
}

// revoke has the federation withdraw the applicant's certificate, and waits for
// the hall to hear of it.
func revoke(ctx context.Context, s *story) error {
	const reason = "残疾等级重新评定"
	key, began := s.city.Certificates()[0].Identifier, time.Now()
	receipt, err := departments.RevokeCertificate(ctx, s.publishers[sample.DisabledPersons.Code], key, reason)
	if err != nil {
		return err
	}
	committed := time.Since(began)
	revoked := func() bool { return s.hall.Standing(departments.Certificates, key).Status == sdk.Revoked }
	if err := s.hall.Await(ctx, revoked); err != nil {
		return fmt.Errorf("the hall did not hear of the revocation: %w", err)
	}
	heard := s.hall.Standing(departments.Certificates, key)
	if heard.Index != receipt.Index || heard.Reason != reason {
		return fmt.Errorf("the hall heard of entry %d, not %d", heard.Index, receipt.Index)
	}
	s.tell("%s revokes 残疾人证 %s", sample.DisabledPersons.Name, key)
	s.tell("reason %s; committed as entry %s in %s", reason, count(receipt.Index), short(committed))
	s.tell("%s, which relied on it, knew %s after it was sent", sample.ServiceHall.Name, short(heard.Came.Sub(began)))
	return gone(ctx, s)
}

// gone checks that a query does not give the revoked certificate any more.
func gone(ctx context.Context, s *story) error {
	answer, err := s.hall.Ask(ctx, departments.Certificates, s.applicant().Number, clerk, caseNumber)
	if err != nil {
		return err
	}
	if n := len(answer.Records); n != 0 {
		return fmt.Errorf("%d certificates are in force, of which one is revoked", n)
	}
	s.tell("asked again for the applicant's certificate in force: none")
	return nil
}
