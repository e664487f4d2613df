package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/huitong-bus/huitong/exchange/fault"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	"github.com/huitong-bus/huitong/services/departments"
	"github.com/huitong-bus/huitong/services/departments/sample"
)

// suspend suspends a grant while the hall receives by it: nothing is released
// behind the entry that says so, until the grant is resumed.
func suspend(ctx context.Context, s *story) error {
	grant, err := s.grantOf(ctx, departments.Certificates)
	if err != nil {
		return err
	}
	publisher := s.publishers[sample.DisabledPersons.Code]
	last, again := s.city.Certificates(), make(chan error, 1)
	last = last[len(last)-40:]
	go func() {
		for _, c := range last {
			if _, err := publisher.Publish(ctx, departments.Certificates, c); err != nil {
				again <- err
				return
			}
		}
		again <- nil
	}()
	suspended, err := s.exchange.Access.SuspendGrant(ctx, &accessv1.SuspendGrantRequest{Id: grant.Id, Reason: "用途核查"})
	if err != nil {
		return fault.FromStatus(err)
	}
	if err := <-again; err != nil {
		return err
	}
	at := suspended.Receipt.Index
	released, err := s.releasedAfter(ctx, at)
	if err != nil {
		return err
	}
	if released != 0 {
		return fmt.Errorf("%d releases stand behind entry %d, which suspended their grant", released, at)
	}
	s.tell("%s suspends grant %s with entry %s while %d records are on their way", sample.DataAuthority.Name, grant.Id, count(at), len(last))
	s.tell("behind that entry the ledger has no release to the hall; its place in the topic is kept")
	began := time.Now()
	if _, err := s.exchange.Access.ResumeGrant(ctx, &accessv1.ResumeGrantRequest{Id: grant.Id}); err != nil {
		return fault.FromStatus(err)
	}
	newest := last[len(last)-1].Identifier
	if err := s.hall.Await(ctx, func() bool { return s.hall.Standing(departments.Certificates, newest).Came.After(began) }); err != nil {
		return fmt.Errorf("the hall received nothing after the grant was resumed: %w", err)
	}
	s.tell("resumed: the hall had the rest %s later, in order, none lost", short(time.Since(began)))
	return nil
}

// grantOf finds the hall's grant on a topic.
func (s *story) grantOf(ctx context.Context, topic string) (*accessv1.Grant, error) {
	answer, err := s.exchange.Access.ListGrants(ctx, &accessv1.ListGrantsRequest{Topic: topic, Consumer: sample.ServiceHall.Code})
	if err != nil {
		return nil, fault.FromStatus(err)
	}
	if len(answer.Grants) == 0 {
		return nil, errors.New("the hall has no grant on " + topic)
	}
	return answer.Grants[0], nil
}

// releasedAfter counts the releases of certificates to the hall behind an entry.
func (s *story) releasedAfter(ctx context.Context, index uint64) (int, error) {
	answer, err := ledgerv1.NewLedgerServiceClient(s.systems.auditor.Conn()).ListEntries(ctx, &ledgerv1.ListEntriesRequest{
		Filter: &ledgerv1.EntryFilter{Kinds: []string{"released"}, Topic: departments.Certificates, FromIndex: index + 1},
	})
	return len(answer.GetEntries()), fault.FromStatus(err)
}
