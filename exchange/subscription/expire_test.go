package subscription_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/subscription"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

var shanghai = time.FixedZone("Asia/Shanghai", 8*3600)

// at lets policy and subscriptions live by another clock.
func (w *world) at(clock func() time.Time) {
	w.T.Helper()
	w.close(w.manager)
	var err error
	w.policy, err = access.Open(w.T.Context(), access.Config{DB: w.DB, Journal: w.Journal, Catalogue: w.Catalogue, Clock: clock})
	must(w.T, err)
	w.T.Cleanup(w.policy.Close)
	w.config.Policy, w.config.Clock = w.policy, clock
	w.manager = subscription.Open(w.config)
	manager := w.manager
	w.T.Cleanup(func() { w.close(manager) })
}

// over checks that a stream ended because the permission is over.
func (m *member) over(rule string) {
	m.t.Helper()
	if err := m.end(); !errors.Is(err, fault.New(fault.Lapsed, rule, "")) {
		m.t.Errorf("ended with %v", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := len(m.lapsed); n != 1 || m.lapsed[0].Waiting || m.lapsed[0].Problem.Rule != rule {
		m.t.Errorf("told %v", m.lapsed)
	}
}

// The day's end ends the stream of an idle member at once, and keeps its
// position; a new grant lets it go on from there.
func TestExpiryEndsARunningSubscription(t *testing.T) {
	w := ungranted(t, "", t.TempDir())
	now := time.Now().In(shanghai)
	midnight := time.Date(now.Year(), now.Month(), now.Day()+1, 0, 0, 0, 0, shanghai)
	clock := &catalogtest.Clock{Ahead: midnight.Sub(now) - 1500*time.Millisecond}
	w.at(clock.Now)
	w.grantUntil(now.Format(time.DateOnly))
	w.create("s")
	w.publishMany(0, 3)
	m := w.open("s")
	m.ack(sequences(m.receives(3))[:2]...)
	m.over("grant.expired")
	if late := clock.Now().Sub(midnight); late < 0 || late > time.Second {
		t.Errorf("ended %v after the day", late)
	}
	s := w.get("s")
	if s.State != exchangev1.SubscriptionState_SUBSCRIPTION_STATE_LAPSED || s.Reason != "grant.expired" || s.LastSequence == s.Floor {
		t.Errorf("stands %v", s)
	}
	// Whoever opens it is told the same at once, and that is an entry too.
	w.publishMany(3, 4)
	again := w.receive(w.civil, &exchangev1.SubscribeOpen{Subscription: "s"})
	again.over("grant.expired")
	if n := len(again.all()); n != 0 {
		t.Errorf("%d came after the end", n)
	}
	w.grantUntil(now.AddDate(1, 0, 0).Format(time.DateOnly))
	w.open("s").receives(2)
	w.refusals.Stop(context.Background())
	refused := uint64(0)
	entries, _ := w.ledger()
	for _, e := range entries {
		if r := e.GetRefused(); r != nil && r.Rule == "grant.expired" && r.Action == "deliver" {
			refused += r.Count
		}
	}
	if refused != 2 {
		t.Errorf("%d refusals", refused)
	}
}

// A terminated grant ends the stream. One that is suspended waits, even beside
// another that has ended.
func TestTerminationEndsARunningSubscription(t *testing.T) {
	w := newWorld(t)
	first := w.grant
	w.create("s")
	m := w.open("s")
	w.grantUntil("")
	terminate := func(id string) {
		t.Helper()
		_, err := w.policy.Commit(t.Context(), w.ByOperator(), func(ctx context.Context, c *catalog.Write) error {
			g, err := access.InForce(ctx, c.Tx, id)
			if err != nil {
				return err
			}
			g.State = accessv1.GrantState_GRANT_STATE_TERMINATED
			_, err = access.Put(ctx, c, g, catalogtest.Civil)
			return err
		})
		must(t, err)
	}
	_, _, err := w.policy.Suspend(t.Context(), w.ByOperator(), first, "复核")
	must(t, err)
	w.publishMany(0, 1)
	m.receives(1)
	terminate(w.grant)
	m.within("told", func() bool { return len(m.lapsed) == 1 && m.lapsed[0].Waiting })
	_, _, err = w.policy.Resume(t.Context(), w.ByOperator(), first)
	must(t, err)
	w.publishMany(1, 2)
	m.receives(2)
	m.mu.Lock()
	m.lapsed = nil
	m.mu.Unlock()
	terminate(first)
	m.over("grant.inactive")
}

// However a permission is taken, every running subscription hears so within a
// second: one that is idle, and one that another process serves.
func TestEveryRunningSubscriptionHearsWithinASecond(t *testing.T) {
	for name, take := range map[string]struct {
		rule string
		take func(w *world) error
	}{
		"grant": {"grant.suspended", func(w *world) error {
			_, _, err := w.policy.Suspend(w.T.Context(), w.ByOperator(), w.grant, "复核")
			return err
		}},
		"system": {"system.suspended", func(w *world) error {
			_, _, err := w.Catalogue.SuspendSystem(w.T.Context(), w.ByOperator(), w.civil.Caller.System, "复核")
			return err
		}},
		"participant": {"participant.suspended", func(w *world) error {
			_, _, err := w.Catalogue.SuspendParticipant(w.T.Context(), w.ByOperator(), catalogtest.Civil, "复核")
			return err
		}},
		"topic": {"topic.withdrawn", func(w *world) error {
			_, _, err := w.Catalogue.WithdrawTopic(w.T.Context(), w.ByOperator(), topic, "停止共享")
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := worldOn(t, "a", t.TempDir())
			other := w.second()
			var all []*member
			for i, p := range []*process{w.process, other} {
				s := []string{"here", "there"}[i]
				w.create(s)
				m := p.receive(w.civil, &exchangev1.SubscribeOpen{Subscription: s})
				m.within("idle", func() bool { return len(m.beats) > 0 && m.beats[len(m.beats)-1].CaughtUp })
				all = append(all, m)
			}
			began := time.Now()
			must(t, take.take(w))
			for _, m := range all {
				hears := func() bool {
					select {
					case err := <-m.ended:
						m.ended <- err
						if rule := fault.RuleOf(err); rule != take.rule {
							t.Errorf("ended by %q: %v", rule, err)
						}
						return true
					default:
					}
					m.mu.Lock()
					defer m.mu.Unlock()
					return len(m.lapsed) > 0 && m.lapsed[0].Problem.Rule == take.rule && m.lapsed[0].Waiting
				}
				catalogtest.Within(t, catalogtest.Patience, "told", hears)
			}
			if took := time.Since(began); took > time.Second {
				t.Errorf("all had heard after %v", took)
			}
		})
	}
}
