package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/huitong-bus/huitong/sdk"
)

// mostRelying is how many cases rely on a record that is revoked: as many as one
// notice names.
const mostRelying = 1000

// relyingCase is the n-th case that relies on that person's records.
func relyingCase(n int) string { return fmt.Sprintf("SF-2025-%06d", n) }

// revoke has many cases collect the records of a person of whom nothing is in yet,
// revokes these one after the other, and measures from each commit until the notice
// that names all of those cases is with the department that relied on them.
func (s *settings) revoke(ctx context.Context, in *installation, source, hall *sdk.Client, person int) (row Row, err error) {
	if err := in.hold(ctx, source, person, person+1); err != nil {
		return row, err
	}
	relying := min(mostRelying, s.records/10)
	_, err = load(ctx, "", 16, 1, Limit{Records: relying}, func(ctx context.Context, _, n int) error { return rely(ctx, hall, n, person) })
	if err != nil {
		return row, err
	}
	told := make(chan *sdk.Notice, holding)
	subscription, err := hall.SubscribeNotices(ctx, func(_ context.Context, n *sdk.Notice) error {
		told <- n
		return nil
	})
	if err != nil {
		return row, err
	}
	defer func() { err = errors.Join(err, drained(ctx, subscription)) }()
	p := source.Publisher(sdk.PublisherConfig{CallUnary: true})
	defer func() { err = errors.Join(err, p.Close(ctx)) }()
	m := newMeter()
	for k := range holding {
		receipt, err := p.Revoke(ctx, proofOf(k), identifier(person*holding+k), "登记有误")
		if err != nil {
			return row, err
		}
		if err := awaitNotice(ctx, told, proofOf(k), relying); err != nil {
			return row, err
		}
		m.add(1, time.Since(receipt.At))
	}
	row = m.row(fmt.Sprintf("a revocation that %d cases relied on, until the notice is handled", relying))
	row.Rate = 0 // they come one after the other
	return row, nil
}

// rely opens the n-th case and collects what is held for it.
func rely(ctx context.Context, hall *sdk.Client, n, person int) error {
	acting := sdk.Acting{Person: "clerk-017", Purpose: subsidy, Case: relyingCase(n)}
	_, err := hall.OpenCase(ctx, sdk.NewCase{Number: acting.Case, Item: acting.Purpose, Person: acting.Person, Subjects: []sdk.Subject{subject(person)}})
	if err != nil {
		return err
	}
	c, err := hall.Collect(ctx, sdk.Collect{Acting: acting, Applicant: subject(person)})
	if err == nil && len(c.Copies) != holding {
		err = fmt.Errorf("%d copies of %d", len(c.Copies), holding)
	}
	return err
}

// awaitNotice waits for the notice on a topic's record, which names the cases.
func awaitNotice(ctx context.Context, told <-chan *sdk.Notice, topic string, relying int) error {
	patience := time.After(arriveWithin)
	for {
		select {
		case n := <-told:
			if n.Topic != topic || n.Cause != "revoked" {
				continue
			}
			if len(n.CaseNumbers) != relying {
				return fmt.Errorf("the notice names %d cases of %d", len(n.CaseNumbers), relying)
			}
			return nil
		case <-patience:
			return errors.New("nobody hears of the revocation")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
