package snapshot

import (
	"context"

	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/store"
	"github.com/huitong-bus/huitong/exchange/store/crashpoint"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Begin begins a full load of a topic.
func (l *Loads) Begin(ctx context.Context, caller *identity.Caller, r *exchangev1.BeginSnapshotRequest) (*exchangev1.BeginSnapshotResponse, error) {
	response := &exchangev1.BeginSnapshotResponse{}
	err := l.decided(ctx, caller, r.Topic, func(t *catalog.Topic, policy uint64) error {
		if err := l.finish(ctx, r.Topic); err != nil {
			return err
		}
		commit, err := l.Journal.Submit(ctx, &journal.Call{
			From: caller.System, DecidedAt: policy, ValidateOnly: r.ValidateOnly, Build: begin(caller, t),
		})
		if err != nil || r.ValidateOnly {
			return err
		}
		// A crash here leaves a load under way that its caller does not know of:
		// beginning again names it.
		begun := &row{topic: t.Name, system: caller.System, begun: commit.Index}
		response.Receipt, response.Proof = receipt(commit), commit.Proof
		response.Snapshot, err = l.message(ctx, begun)
		return err
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}

func begin(caller *identity.Caller, t *catalog.Topic) func(context.Context, store.Tx, journal.Slot) ([]journal.Entry, error) {
	return func(ctx context.Context, tx store.Tx, slot journal.Slot) ([]journal.Entry, error) {
		old, err := readRow(ctx, tx, t.Name)
		if err != nil {
			return nil, err
		}
		switch {
		case old != nil && old.ended == 0:
			return nil, fault.New(fault.Conflict, "snapshot.under_way", "a full load of the topic is under way since entry %d; end or abandon it first", old.begun)
		case old != nil && !old.done:
			return nil, fault.New(fault.Unavailable, "snapshot.ending", "the removals of the full load before are still being made; try again")
		}
		body := &ledgerv1.LedgerEntry_SnapshotBegun{SnapshotBegun: &ledgerv1.SnapshotBegun{Topic: t.Name, Provider: t.Provider}}
		fresh := &row{topic: t.Name, system: caller.System, begun: slot.Index}
		return []journal.Entry{{Leaf: &ledgerv1.LedgerEntry{
			Actor: caller.System, ActorCertificate: caller.Fingerprint[:], Body: body,
		}}}, fresh.write(ctx, tx)
	}
}

// End ends a full load and makes its removals, or abandons it.
func (l *Loads) End(ctx context.Context, caller *identity.Caller, r *exchangev1.EndSnapshotRequest) (*exchangev1.EndSnapshotResponse, error) {
	response := &exchangev1.EndSnapshotResponse{}
	err := l.decided(ctx, caller, r.Topic, func(t *catalog.Topic, policy uint64) error {
		e := &end{loads: l, caller: caller, topic: t, request: r}
		if repeat, err := e.check(ctx); err != nil || repeat || r.ValidateOnly {
			return l.endAnswer(ctx, response, r, err)
		}
		commit, err := l.Journal.Submit(ctx, &journal.Call{From: caller.System, DecidedAt: policy, Build: e.build})
		if err != nil {
			return err
		}
		// A crash here leaves the end without its removals: this process, when it
		// is started again, or another makes them.
		crashpoint.Here("snapshot.after-end")
		response.Receipt, response.Proof = receipt(commit), commit.Proof
		return l.endAnswer(ctx, response, r, nil)
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}

// endAnswer finishes an end that is committed and tells what it did.
func (l *Loads) endAnswer(ctx context.Context, response *exchangev1.EndSnapshotResponse, r *exchangev1.EndSnapshotRequest, err error) error {
	if err == nil && !r.ValidateOnly {
		err = l.finish(ctx, r.Topic)
	}
	if err != nil {
		return err
	}
	row, err := readRow(ctx, l.DB.Reader(), r.Topic)
	if err != nil {
		return err
	}
	if response.Snapshot, err = l.message(ctx, row); err != nil || response.Receipt != nil || row.ended == 0 {
		return err
	}
	entry, leaf, err := l.entry(ctx, row.ended-1)
	if err == nil {
		response.Receipt = &exchangev1.Receipt{Index: entry.Index, At: timeOf(entry.AtUs), Leaf: leaf, Repeat: true}
	}
	return err
}

// end is one call that ends a full load.
type end struct {
	loads   *Loads
	caller  *identity.Caller
	topic   *catalog.Topic
	request *exchangev1.EndSnapshotRequest
}

// check refuses what can be refused before the journal is asked, so that nobody
// holds it up with counting; repeat says that the load has ended already.
func (e *end) check(ctx context.Context) (repeat bool, err error) {
	r := e.request
	if !r.ValidateOnly {
		if err := e.signed(); err != nil {
			return false, err
		}
	}
	load, err := readRow(ctx, e.loads.DB.Reader(), r.Topic)
	if err != nil {
		return false, err
	}
	if load != nil && load.begun == r.Begun && load.ended != 0 {
		return true, e.sameEnd(ctx, load)
	}
	_, _, err = e.decide(ctx, e.loads.DB.Reader())
	return false, err
}

// sameEnd refuses to answer an abandoned load's end with success, and the other
// way round.
func (e *end) sameEnd(ctx context.Context, load *row) error {
	entry, _, err := e.loads.entry(ctx, load.ended-1)
	if err == nil && entry.GetSnapshotEnded().GetAbandoned() != e.request.Abandon {
		err = fault.New(fault.Conflict, "snapshot.ended", "the full load of entry %d has ended otherwise, by entry %d", load.begun, load.ended-1)
	}
	return err
}

func (e *end) signed() error {
	r := e.request
	if len(r.Signature) == 0 {
		if e.topic.SignatureRequired {
			return fault.New(fault.Denied, "signature.required", "the topic takes signed publications only; sign the end of the full load")
		}
		return nil
	}
	statement := verify.SnapshotStatement(e.loads.Journal.Head().Origin, e.caller.System, r.Topic, r.Begun, r.Abandon)
	if err := verify.CheckSignature(e.caller.PublicKey, statement, r.Signature); err != nil {
		return fault.Field("signature", "signature.wrong", "%v", err)
	}
	return nil
}

// decide counts, and refuses what removes more than it may.
func (e *end) decide(ctx context.Context, tx store.Tx) (load *row, entry *ledgerv1.SnapshotEnded, err error) {
	r := e.request
	if load, err = readRow(ctx, tx, r.Topic); err != nil {
		return nil, nil, err
	}
	if load == nil || load.ended != 0 || load.begun != r.Begun {
		return nil, nil, fault.Field("begun", "snapshot.unknown", "no full load of the topic is under way since entry %d", r.Begun)
	}
	entry = &ledgerv1.SnapshotEnded{Topic: e.topic.Name, Provider: e.topic.Provider, Begun: r.Begun, Abandoned: r.Abandon, Signature: r.Signature}
	var unmentioned uint64
	if entry.Held, unmentioned, err = count(ctx, tx, r.Topic, r.Begun); err != nil || r.Abandon {
		return load, entry, err
	}
	entry.Removed, entry.Confirmed = unmentioned, r.ConfirmRemoved != nil
	share := uint64(e.loads.Share())
	switch {
	case r.ConfirmRemoved != nil && *r.ConfirmRemoved != unmentioned:
		return nil, nil, fault.New(fault.Conflict, "snapshot.confirmed", "%d of %d records held were not mentioned, not %d", unmentioned, entry.Held, *r.ConfirmRemoved)
	case r.ConfirmRemoved == nil && !r.ValidateOnly && unmentioned*100 > entry.Held*share:
		return nil, nil, fault.New(fault.Conflict, "snapshot.share",
			"%d of %d records held were not mentioned, more than %d %%; publish what is missing, abandon the load, or confirm the exact number", unmentioned, entry.Held, share)
	}
	return load, entry, nil
}

func (e *end) build(ctx context.Context, tx store.Tx, slot journal.Slot) ([]journal.Entry, error) {
	load, entry, err := e.decide(ctx, tx)
	if err != nil {
		return nil, err
	}
	load.ended, load.done = slot.Index+1, entry.Removed == 0
	return []journal.Entry{{Leaf: &ledgerv1.LedgerEntry{
		Actor: e.caller.System, ActorCertificate: e.caller.Fingerprint[:], Body: &ledgerv1.LedgerEntry_SnapshotEnded{SnapshotEnded: entry},
	}}}, load.write(ctx, tx)
}

// Get gives the full load of a topic that was begun last, to its provider.
func (l *Loads) Get(ctx context.Context, caller *identity.Caller, topic string) (*exchangev1.Snapshot, error) {
	var found *exchangev1.Snapshot
	err := l.decided(ctx, caller, topic, func(*catalog.Topic, uint64) error {
		load, err := readRow(ctx, l.DB.Reader(), topic)
		if err == nil && load != nil {
			found, err = l.message(ctx, load)
		}
		return err
	})
	return found, err
}

func receipt(c *journal.Commit) *exchangev1.Receipt {
	return &exchangev1.Receipt{Index: c.Index, At: timeOf(c.At), Leaf: c.Leaves[0]}
}
