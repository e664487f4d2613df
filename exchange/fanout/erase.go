package fanout

import (
	"context"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/intake"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/notice"
	"github.com/huitong-bus/huitong/exchange/store"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

func errErased() error {
	return fault.New(fault.NotFound, "fan_out.erased", "the fan-out was erased; ask again under a new key, for a case that is open")
}

// Erase erases what was asked and answered in a fan-out, for the department that
// asked once its case is closed, and for an operator. What is erased already stays
// so.
func (f *FanOuts) Erase(ctx context.Context, caller *identity.Caller, r *exchangev1.EraseFanOutRequest) (*exchangev1.EraseFanOutResponse, error) {
	if err := intake.CheckReason(r.Reason); err != nil {
		return nil, err
	}
	for range attempts {
		n, err := f.find(ctx, r.Id)
		if err != nil {
			return nil, err
		}
		if err := f.mayErase(ctx, caller, n); err != nil {
			return nil, err
		}
		if n.erased {
			return &exchangev1.EraseFanOutResponse{EntryPlusOne: n.entryPlusOne}, nil
		}
		if n.entryPlusOne == 0 {
			// So there is a record whose erasure outlasts the row in any backup.
			if _, _, err := f.report(ctx, n.id); err != nil {
				return nil, err
			}
			continue
		}
		sources, err := f.sources(ctx, n.id)
		if err != nil {
			return nil, err
		}
		if _, err := f.Board.Erase(ctx, caller.System, r.Reason, f.erasures(n, sources)); err != nil && fault.KindOf(err) != fault.Stale {
			return nil, err
		}
		f.wake()
	}
	return nil, fault.New(fault.Unavailable, "fan_out.moving", "the sources keep changing; erase again")
}

// mayErase decides who may erase a fan-out, nil if there is none, and when.
func (f *FanOuts) mayErase(ctx context.Context, caller *identity.Caller, n *fanOut) error {
	if n == nil {
		return errUnknown()
	}
	if caller.Roles.Has(identity.Operator) {
		return nil
	}
	if caller.Participant != n.participant || !caller.Roles.Has(identity.Department) {
		return errUnknown()
	}
	if n.erased {
		return nil
	}
	of, err := f.Cases.Find(ctx, n.participant, n.request.Acting.GetCaseNumber())
	if err != nil || of == nil || !of.Open {
		return err
	}
	return fault.New(fault.Conflict, "fan_out.case_open", "its case is open, and may yet rest on it; close the case first")
}

// erasures are those of all records of a fan-out as it was read. The report is the
// first: where anything changed since, all of them are refused as Stale.
func (f *FanOuts) erasures(n *fanOut, sources []*source) []intake.OwnErasure {
	one := func(topic, key string, with journal.With) intake.OwnErasure {
		return intake.OwnErasure{Topic: topic, Key: key, Idempotency: f.derived("erase", topic, key), With: with}
	}
	all := []intake.OwnErasure{one(notice.FanOutReports, n.id, forgetAsRead(n, sources))}
	for _, s := range sources {
		id := requestID(s.fanOut, s.place)
		if s.requestPlusOne != 0 {
			all = append(all, one(notice.FanOutRequests, id, onlyForgotten(n.id)))
		}
		if s.answerPlusOne != 0 {
			all = append(all, one(notice.FanOutAnswers, id, onlyForgotten(n.id)))
		}
	}
	return all
}

// forgetAsRead forgets a fan-out with the erasure of its report, if it and its
// sources are as they were read: else there is more to erase.
func forgetAsRead(n *fanOut, sources []*source) journal.With {
	return func(ctx context.Context, tx store.Tx, index uint64, _ int64) error {
		for _, s := range sources {
			done, err := tx.ExecContext(ctx, "DELETE FROM fan_out_sources WHERE fan_out = $1 AND place = $2 AND request = $3 AND answer = $4",
				s.fanOut, int64(s.place), int64(s.requestPlusOne), int64(s.answerPlusOne))
			if err := onlyIfChanged(done, err); err != nil {
				return err
			}
		}
		return forget(ctx, tx, n.id, index+1)
	}
}

// onlyForgotten refuses as Stale what was to be erased with a report that was not.
func onlyForgotten(id string) journal.With {
	return func(ctx context.Context, tx store.Tx, _ uint64, _ int64) error {
		return onlyIfChanged(tx.ExecContext(ctx, "UPDATE fan_outs SET version = 0 WHERE id = $1 AND length(request) = 0", id))
	}
}

// forget takes of a fan-out's rows all but which system asked. It is Stale where
// that was done already.
func forget(ctx context.Context, tx store.Tx, id string, entryPlusOne uint64) error {
	done, err := tx.ExecContext(ctx, `UPDATE fan_outs SET request = $2, asked_at = 0, version = 0, state = $2, entry = $3, case_token = NULL
		WHERE id = $1 AND length(request) > 0`, id, []byte{}, int64(entryPlusOne))
	if err := onlyIfChanged(done, err); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "DELETE FROM fan_out_sources WHERE fan_out = $1", id)
	return err
}

// Forget gives what forgets the rows of a fan-out where a restored backup brought
// it back, by the token of its report; entryPlusOne is of the report's erasure, 0
// if the backup has no report of it. Of other records, and of what is forgotten
// already, there is nothing to forget.
func Forget(keyring *identity.Keyring) func(ctx context.Context, tx store.Tx, topic string, token []byte, entryPlusOne uint64) error {
	var ids map[string]string // by the tokens of their reports
	return func(ctx context.Context, tx store.Tx, topic string, token []byte, entryPlusOne uint64) (err error) {
		if topic != notice.FanOutReports {
			return nil
		}
		if ids == nil {
			if ids, err = reportTokens(ctx, tx, keyring); err != nil {
				return err
			}
		}
		id, known := ids[string(token)]
		if !known {
			return nil
		}
		if err = forget(ctx, tx, id, entryPlusOne); fault.KindOf(err) == fault.Stale {
			return nil
		}
		return err
	}
}

func reportTokens(ctx context.Context, tx store.Tx, keyring *identity.Keyring) (map[string]string, error) {
	rows, err := tx.QueryContext(ctx, "SELECT id FROM fan_outs WHERE length(request) > 0")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	ids := map[string]string{}
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids[string(keyring.Token(identity.TokenRecord, notice.FanOutReports, id))] = id
	}
	return ids, rows.Err()
}
