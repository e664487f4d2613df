package demo

import (
	"context"
	"time"

	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments"
	"github.com/huitong-bus/huitong/services/departments/sample"
)

// open starts the exchange.
func open(ctx context.Context, s *story) (err error) {
	began := time.Now()
	if s.exchange, err = start(ctx, s.exchangeDir()); err != nil {
		return err
	}
	s.tell("one process with its database and JetStream inside, in a temporary directory")
	s.tell("made and serving on %s in %s; it answers only when a commit is on disk", s.exchange.node.Address(), short(time.Since(began)))
	s.tell("its ledger is %s", s.exchange.node.Identity.Keyring.Origin())
	return nil
}

// join brings the city's systems in.
func join(ctx context.Context, s *story) (err error) {
	began := time.Now()
	if s.systems, err = admit(ctx, s.exchange.Authority); err != nil {
		return err
	}
	for _, source := range departments.Sources() {
		code := source.Department.Code
		s.publishers[code] = s.systems.sources[code].Publisher(sdk.PublisherConfig{})
	}
	s.tell("%s enrols %d systems; each made its own key and sent a request only", sample.DataAuthority.Name, len(s.systems.sources)+3)
	s.tell("%d topics are in the catalogue, %d grants name what the service hall may see of them, and what for", len(topics()), len(topics()))
	s.tell("all connected over mutual TLS in %s", short(time.Since(began)))
	s.hall = departments.NewHall(s.systems.hall)
	if s.receiving, err = s.hall.Receive(ctx, subscribed()...); err != nil {
		return err
	}
	s.tell("%s subscribes to %d kinds of certificate before there is any", sample.ServiceHall.Name, len(subscribed()))
	return nil
}

// subscribed are the topics that the hall receives by subscription.
func subscribed() (names []string) {
	for _, t := range topics() {
		if t.subscribe {
			names = append(names, t.name)
		}
	}
	return names
}
