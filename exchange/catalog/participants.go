package catalog

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/journal"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// At gives the time of the change's first entry.
func (w *Write) At() *timestamppb.Timestamp {
	return timestamppb.New(time.UnixMicro(w.Slot.At).UTC())
}

// RegisterParticipant registers a participant, or changes name and region of one
// that is registered. An operator may.
func (c *Catalogue) RegisterParticipant(ctx context.Context, ch Change, p *cataloguev1.Participant) (*cataloguev1.Participant, *journal.Commit, error) {
	if err := checkParticipant(p); err != nil {
		return nil, nil, err
	}
	var result *cataloguev1.Participant
	commit, err := c.Commit(ctx, ch, func(ctx context.Context, w *Write) (err error) {
		result, err = w.registerParticipant(ctx, p)
		return err
	})
	return result, commit, err
}

func checkParticipant(p *cataloguev1.Participant) error {
	if err := contract.CheckCreditCode(p.GetCode()); err != nil {
		return fault.Field("participant.code", "identifier.credit_code", "%v", err)
	}
	if p.Region != "" {
		if err := contract.CheckRegion(p.Region); err != nil {
			return fault.Field("participant.region", "identifier.region", "%v", err)
		}
	}
	return Name("participant.name", p.Name)
}

func (w *Write) registerParticipant(ctx context.Context, p *cataloguev1.Participant) (*cataloguev1.Participant, error) {
	if err := w.RequireOperator(); err != nil {
		return nil, err
	}
	old, err := w.Participant(ctx, p.Code)
	if err != nil {
		return nil, err
	}
	if old == nil {
		n := &cataloguev1.Participant{
			Code: p.Code, Name: p.Name, Region: p.Region,
			State: cataloguev1.State_STATE_ACTIVE, RegisteredAt: w.At(),
		}
		return n, w.putParticipant(ctx, n, "register", "")
	}
	n := proto.CloneOf(old)
	n.Name, n.Region = p.Name, p.Region
	if proto.Equal(n, old) {
		return old, errUnchanged
	}
	return n, w.putParticipant(ctx, n, "update", "")
}

// SuspendParticipant suspends a participant with all its systems. An operator
// may, but not for its own participant.
func (c *Catalogue) SuspendParticipant(ctx context.Context, ch Change, code, reason string) (*cataloguev1.Participant, *journal.Commit, error) {
	if err := Reason(reason); err != nil {
		return nil, nil, err
	}
	return c.moveParticipant(ctx, ch, code, cataloguev1.State_STATE_SUSPENDED, "suspend", reason)
}

// ResumeParticipant ends a suspension. An operator may.
func (c *Catalogue) ResumeParticipant(ctx context.Context, ch Change, code string) (*cataloguev1.Participant, *journal.Commit, error) {
	return c.moveParticipant(ctx, ch, code, cataloguev1.State_STATE_ACTIVE, "resume", "")
}

func (c *Catalogue) moveParticipant(ctx context.Context, ch Change, code string, to cataloguev1.State, change, reason string) (*cataloguev1.Participant, *journal.Commit, error) {
	var result *cataloguev1.Participant
	commit, err := c.Commit(ctx, ch, func(ctx context.Context, w *Write) error {
		if err := w.RequireOperator(); err != nil {
			return err
		}
		if w.actor != nil && w.actor.Participant == code && to != cataloguev1.State_STATE_ACTIVE {
			return errSelf()
		}
		p, err := w.Participant(ctx, code)
		if err != nil {
			return err
		}
		if p == nil {
			return fault.New(fault.NotFound, "participant.unknown", "the catalogue has no such participant")
		}
		result = p
		if p.State == to {
			return errUnchanged
		}
		p.State = to
		return w.putParticipant(ctx, p, change, reason)
	})
	return result, commit, err
}

// errSelf keeps an operator from locking everybody out.
func errSelf() error {
	return fault.New(fault.Denied, "operator.self", "an operator does not shut out itself; let another operator do it")
}

// Participant reads a participant; nil if there is none.
func (w *Write) Participant(ctx context.Context, code string) (*cataloguev1.Participant, error) {
	return row[cataloguev1.Participant](ctx, w.Tx, "SELECT body FROM participants WHERE code = $1", code)
}

func (w *Write) putParticipant(ctx context.Context, p *cataloguev1.Participant, change, reason string) error {
	body, err := Encode(p)
	if err != nil {
		return err
	}
	var version int64
	err = w.Tx.QueryRowContext(ctx, `INSERT INTO participants (code, version, changed, body) VALUES ($1, 1, $2, $3)
		ON CONFLICT (code) DO UPDATE SET version = participants.version + 1, changed = excluded.changed, body = excluded.body
		RETURNING version`, p.Code, int64(w.Slot.Policy), body).Scan(&version)
	if err != nil {
		return err
	}
	w.Changed(&ledgerv1.ObjectChanged{
		Object: "participant", Id: p.Code, Change: change, Version: uint64(version), Parties: []string{p.Code}, Reason: reason,
	}, body)
	return nil
}
