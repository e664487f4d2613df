package journal

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/store"
	"github.com/huitong-bus/huitong/exchange/store/crashpoint"
)

// askAgain bounds how long the journal asks whether a lost COMMIT took effect.
const askAgain = 10 * time.Second

// commitGroup commits a group and answers its callers.
func (j *Journal) commitGroup(ctx context.Context, group []*waiting) {
	if err := j.refuseAll(); err != nil {
		for _, w := range group {
			w.finish(nil, err)
		}
		return
	}
	b, err := j.attempt(ctx, group)
	if errors.Is(err, store.ErrAmbiguous) && b != nil {
		err = j.ask(ctx, b, err)
	}
	switch {
	case err == nil:
		j.tail.add(b)
		j.publishHead(&b.head)
		for i, w := range group {
			a := &b.answers[i]
			if errors.Is(a.err, ErrPolicyMoved) {
				j.queue.moved(w.call.From)
			} else {
				j.queue.passed(w.call.From)
			}
			w.finish(a.commit, a.err)
		}
	case errors.Is(err, store.ErrBroken):
		j.breakDown(err)
		j.finishAll(group, err)
	case len(group) > 1 && ctx.Err() == nil && !errors.Is(err, store.ErrAmbiguous) && j.DB.Journal.Refused(err):
		// One call may be what is refused: the halves find it, and it stands
		// alone.
		j.Log.Warn("a group could not be committed; its halves are tried alone", "calls", len(group), "error", err)
		j.commitGroup(ctx, group[:len(group)/2])
		j.commitGroup(ctx, group[len(group)/2:])
	default:
		j.Log.Error("a group could not be committed", "calls", len(group), "error", err)
		j.finishAll(group, err)
	}
}

func (j *Journal) finishAll(group []*waiting, cause error) {
	var own *fault.Error
	if len(group) == 1 && errors.As(cause, &own) {
		group[0].finish(nil, own)
		return
	}
	err := fault.Wrap(fault.Unavailable, "journal.commit", cause, "the exchange could not commit; try again with the same idempotency keys")
	for _, w := range group {
		w.finish(nil, err)
	}
}

// refuseAll says why nothing can be committed at all.
func (j *Journal) refuseAll() error {
	switch {
	case j.broken.Load():
		return fault.New(fault.Unavailable, "journal.broken", "the exchange cannot write to its disk")
	case j.skewed.Load():
		return fault.New(fault.Unavailable, "journal.clock", "the exchange's clock is more than %v from the database's", MaxSkew)
	}
	return nil
}

func (j *Journal) breakDown(err error) {
	if j.broken.Swap(true) {
		return
	}
	j.Log.Error("the database could not write to its disk; the process must stop", "error", err)
	if j.Broken != nil {
		go j.Broken(err)
	}
}

// errNothing rolls a transaction back that has nothing to write: no fsync is
// spent on it.
var errNothing = errors.New("nothing to write")

// attempt runs the group's transaction. The batch it returns is that of the try
// that reached COMMIT.
func (j *Journal) attempt(ctx context.Context, group []*waiting) (*batch, error) {
	var b *batch
	err := j.DB.Journal.Update(ctx, func(ctx context.Context, tx store.Tx) error {
		b = nil
		head, err := readHead(ctx, tx, j.DB.Journal.LockRow())
		if err != nil {
			return err
		}
		next, err := j.newBatch(head)
		if err != nil {
			return err
		}
		if err := next.fill(ctx, tx, group); err != nil {
			return err
		}
		b = next
		if !next.writes {
			return errNothing
		}
		// A crash here leaves nothing of the group: no caller was answered, and
		// each retries with its idempotency keys.
		next.pass("journal.before-commit")
		return nil
	})
	if errors.Is(err, errNothing) {
		return b, nil
	}
	if err == nil {
		// A crash here leaves the whole group, though no caller was answered: a
		// retry meets its own idempotency key and gets the first receipt; the
		// relay finds the records by position.
		b.pass("journal.after-commit")
	}
	return b, err
}

// pass passes a crash point with a group that has entries: one without, such as a
// lease that is renewed, is not what a test waits for.
func (b *batch) pass(point string) {
	if len(b.ledgerRows.idx) > 0 {
		crashpoint.Here(point)
	}
}

func (b *batch) fill(ctx context.Context, tx store.Tx, group []*waiting) error {
	if err := b.load(ctx, tx, group); err != nil {
		return err
	}
	for _, w := range group {
		a, err := b.call(ctx, tx, w.call)
		if err != nil {
			return err
		}
		b.answers = append(b.answers, a)
	}
	if !b.writes {
		return nil
	}
	if err := b.write(ctx, tx); err != nil {
		return err
	}
	return b.settle()
}

// ask finds out whether a COMMIT whose answer was lost took effect: the group's
// first leaf, or its random id on the head, stands in the database or does not.
func (j *Journal) ask(ctx context.Context, b *batch, cause error) error {
	ctx, cancel := context.WithTimeout(ctx, askAgain)
	defer cancel()
	for {
		took, err := j.tookEffect(ctx, b)
		switch {
		case err == nil && took:
			return nil
		case err == nil:
			return errors.Join(errors.New("the commit did not take effect"), cause)
		case ctx.Err() != nil:
			return cause
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

func (j *Journal) tookEffect(ctx context.Context, b *batch) (bool, error) {
	head, err := readHead(ctx, j.DB.Reader(), "")
	if err != nil {
		return false, err
	}
	if bytes.Equal(head.Group, b.head.Group) {
		return true, nil
	}
	if len(b.ledgerRows.idx) == 0 || head.Size <= b.start {
		return false, nil
	}
	var leaf []byte
	err = j.DB.Reader().QueryRowContext(ctx, "SELECT leaf FROM ledger WHERE idx = $1", int64(b.start)).Scan(&leaf)
	return bytes.Equal(leaf, b.ledgerRows.leaf[0]), err
}
