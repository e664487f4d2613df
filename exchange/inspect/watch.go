package inspect

import (
	"context"
	"time"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

const (
	// watchPage is how many entries a watch reads at once.
	watchPage = 256
	// watchEvery is how often a watch looks, at most: not at each of a thousand
	// commits a second.
	watchEvery = 20 * time.Millisecond
)

// Watch gives the entries that a filter finds as they are committed: from the
// filter's index or time on, or from now. It ends with ctx, with an error of
// send, when the caller may no longer read, or at the filter's until. send may
// block: nothing is read ahead of it.
func (l *Ledger) Watch(ctx context.Context, caller *identity.Caller, f *ledgerv1.EntryFilter, send func(*ledgerv1.Entry) error) error {
	if err := checkFilter(f); err != nil {
		return err
	}
	d, commit, err := l.enter(ctx, caller, access.ReadLedger, "watch", filterText(f))
	if err != nil {
		return err
	}
	low := commit.Index + 1
	if f.GetFromIndex() > 0 || f.GetFrom() != nil {
		if low, _, err = l.bounds(ctx, f, commit.Index+1); err != nil {
			return err
		}
		low = max(low, f.GetFromIndex())
	}
	var ended <-chan time.Time
	if f.GetUntil() != nil {
		timer := time.NewTimer(time.Until(f.GetUntil().AsTime()))
		defer timer.Stop()
		ended = timer.C
	}
	for {
		changed := l.Journal.Changed()
		head := l.Journal.Head()
		if head.Policy != d.Policy {
			if err := l.Policy.Refresh(ctx, head.Policy); err != nil {
				return err
			}
			if d, err = l.decide(ctx, caller, access.ReadLedger); err != nil {
				return err
			}
		}
		rested := time.After(watchEvery)
		over, err := l.catchUp(ctx, caller, d.All, f, &low, head.Size, send)
		if over || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ended:
			// What was committed before that time is known by now.
			_, err := l.catchUp(ctx, caller, d.All, f, &low, l.Journal.Head().Size, send)
			return err
		case <-ctx.Done():
			return errEnded(ctx)
		}
		select {
		case <-rested:
		case <-ctx.Done():
			return errEnded(ctx)
		}
	}
}

func errEnded(ctx context.Context) error {
	return fault.Wrap(fault.KindOfContext(ctx.Err()), "", context.Cause(ctx), "the watch was ended")
}

// catchUp sends what was committed from low up to size, and says whether the
// filter's until lies before that.
func (l *Ledger) catchUp(ctx context.Context, caller *identity.Caller, all bool, f *ledgerv1.EntryFilter, low *uint64, size uint64, send func(*ledgerv1.Entry) error) (over bool, err error) {
	if *low >= size {
		return false, nil
	}
	if err := l.Index.Wait(ctx, size); err != nil {
		return false, err
	}
	_, high, err := l.bounds(ctx, f, size)
	if err != nil {
		return false, err
	}
	q, err := l.query(ctx, caller, all, f)
	if err != nil {
		return false, err
	}
	for s := (span{low: *low, high: high}); !s.empty(); {
		if s, err = l.walk(ctx, q, s, watchPage, send); err != nil {
			return false, err
		}
	}
	*low = size
	return high < size, nil
}
