package node_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/store"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/node/nodetest"
)

// live asks the supplier of the topic "live" for the case, under one key.
func (c *counter) live(t *testing.T, by *sdk.Client, key sdk.IdempotencyKey, wait time.Duration) *sdk.SourceResult {
	t.Helper()
	f, err := by.AskAll(t.Context(), sdk.FanOutQuestion{
		Acting: c.acting, Key: key, Sources: []sdk.Source{{Topic: "live", Subject: c.applicant, Wait: wait}},
	})
	ok(t, err)
	return &f.Results[0]
}

func (c *counter) wantLive(t *testing.T, want sdk.MaterialState, when string) *sdk.Material {
	t.Helper()
	m := c.states(t)["live"]
	if m.State != want {
		t.Errorf("%s it is %v, not %v: %s", when, m.State, want, m.Reason)
	}
	return m
}

// TestWhatWasAnsweredLiveForTheCaseIsHeld: and for no other case; before anybody
// asks it is not late, and it is collected like any other.
func TestWhatWasAnsweredLiveForTheCaseIsHeld(t *testing.T) {
	c := newCounter(t)
	if m := c.wantLive(t, sdk.MaterialToSubmit, "before anybody asked"); m.Rule != "topic.answered_live" {
		t.Errorf("before anybody asked it says %v", m)
	}
	supply(t, c.Join(t, sample.HumanResources, "payroll"), "live", nil)
	mine := c.live(t, c.hall, sdk.NewIdempotencyKey(), 20*time.Second)
	if m := c.wantLive(t, sdk.MaterialHeld, "answered"); m.Grade != "A" || len(m.Shows) == 0 {
		t.Errorf("answered, it says %v", m)
	}
	p, err := c.other.Prepare(t.Context(), c.acting, c.applicant)
	ok(t, err)
	for _, m := range p.Materials {
		if m.Code == "live" && m.State != sdk.MaterialToSubmit {
			t.Errorf("for another department's case it is %v", m)
		}
	}
	// What is answered to others is not taken, however new.
	c.live(t, c.other, sdk.NewIdempotencyKey(), 20*time.Second)
	ask := sdk.Collect{Acting: c.acting, Applicant: c.applicant}
	for range 2 {
		got, err := c.hall.Collect(t.Context(), ask)
		ok(t, err)
		if n := len(got.Copies); n != 3 || got.Copies[1].Material != "live" || got.Copies[1].Record.Index != mine.Answer.Records[0].Index {
			t.Fatalf("collected are %+v", got.Copies)
		}
	}
	fsck(t, c.Exchange)
}

// TestASupplierIsLateOnceItWasAsked, until it has answered and that was read.
func TestASupplierIsLateOnceItWasAsked(t *testing.T) {
	c := newCounter(t)
	key := sdk.NewIdempotencyKey()
	if r := c.live(t, c.hall, key, time.Millisecond); r.State != recordsv1.FanOutState_FAN_OUT_STATE_TIMED_OUT {
		t.Fatalf("with nobody to answer it is %v", r.State)
	}
	c.wantLive(t, sdk.MaterialSupplierLate, "unanswered")
	said := make(chan struct{})
	s, err := c.Join(t, sample.HumanResources, "payroll").Supply(t.Context(), "live", func(_ context.Context, a *sdk.Asked) (*sdk.Supplied, error) {
		defer close(said)
		return sdk.Found(income(a.Subject.Number, 1)), nil
	})
	ok(t, err)
	<-said
	patience, stop := context.WithTimeout(t.Context(), nodetest.Patience)
	defer stop()
	for c.states(t)["live"].Reason != "its supplier answered after the deadline, and nobody has read it" {
		if patience.Err() != nil {
			t.Fatal("the late answer is not seen")
		}
	}
	c.wantLive(t, sdk.MaterialSupplierLate, "answered late")
	_, named, _ := strings.Cut(c.states(t)["live"].NextStep, "look at fan-out ")
	id, _, _ := strings.Cut(named, ",")
	if f, err := c.hall.GetFanOut(t.Context(), id, c.acting.Person); err != nil || f.ID != id {
		t.Errorf("the next step names fan-out %q: %v", id, err)
	}
	c.wantLive(t, sdk.MaterialHeld, "answered late and looked at")
	s.Stop()
	<-s.Closed()
	c.live(t, c.hall, key, time.Millisecond)
	c.wantLive(t, sdk.MaterialHeld, "answered late and read")
}

// TestASupplierThatWasNotAskedIsNotLate: what a crash leaves between the deadline that
// was set and the request that was not sent says nothing of the supplier.
func TestASupplierThatWasNotAskedIsNotLate(t *testing.T) {
	c := newCounter(t)
	c.live(t, c.hall, sdk.NewIdempotencyKey(), time.Millisecond)
	c.wantLive(t, sdk.MaterialSupplierLate, "unanswered")
	ok(t, c.Node.DB.Journal.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE fan_out_sources SET request = 0, state = $1", int64(recordsv1.FanOutState_FAN_OUT_STATE_WAITING))
		return err
	}))
	if m := c.wantLive(t, sdk.MaterialToSubmit, "unasked"); m.Rule != "topic.answered_live" {
		t.Errorf("unasked, it says %v", m)
	}
}

// TestASupplierThatHasNothingOrRefuses leaves the material to the applicant.
func TestASupplierThatHasNothingOrRefuses(t *testing.T) {
	c := newCounter(t)
	answers := make(chan *sdk.Supplied, 2)
	answers <- sdk.NotFound()
	answers <- sdk.Refused("supplier.frozen")
	s, err := c.Join(t, sample.HumanResources, "payroll").Supply(t.Context(), "live", func(context.Context, *sdk.Asked) (*sdk.Supplied, error) {
		return <-answers, nil
	})
	ok(t, err)
	t.Cleanup(func() { s.Stop(); <-s.Closed() })
	for _, rule := range []string{"", "supplier.frozen"} {
		c.live(t, c.hall, sdk.NewIdempotencyKey(), 20*time.Second)
		if m := c.wantLive(t, sdk.MaterialToSubmit, "answered "+rule); m.Rule != rule {
			t.Errorf("it says %v", m)
		}
	}
	_, err = c.hall.Collect(t.Context(), sdk.Collect{Acting: c.acting, Applicant: person(spouse)})
	wantRule(t, err, fault.Denied, "case.subject")
}
