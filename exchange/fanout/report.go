package fanout

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"strconv"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/notice"
	"github.com/huitong-bus/huitong/exchange/store"
	"github.com/huitong-bus/huitong/exchange/store/crashpoint"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

// report gives the report as it is now, and its entry. It is published where it
// says something new.
func (f *FanOuts) report(ctx context.Context, id string) (*recordsv1.FanOutReport, uint64, error) {
	for range attempts {
		n, err := f.find(ctx, id)
		if err != nil {
			return nil, 0, err
		}
		if n.erased {
			return nil, 0, errErased()
		}
		sources, err := f.sources(ctx, id)
		if err != nil {
			return nil, 0, err
		}
		report, entry, err := f.publish(ctx, n, sources)
		if fault.KindOf(err) != fault.Stale {
			return report, entry, err
		}
	}
	return nil, 0, fault.New(fault.Unavailable, "fan_out.moving", "the sources keep changing; ask again")
}

// publish publishes the report of what was read, if the newest version does not
// say so already. It is Stale if others did so meanwhile.
func (f *FanOuts) publish(ctx context.Context, n *fanOut, sources []*source) (*recordsv1.FanOutReport, uint64, error) {
	state := stateOf(sources)
	if n.entryPlusOne > 0 && bytes.Equal(state, n.state) {
		return reportOf(n, sources), n.entryPlusOne - 1, nil
	}
	before := n.version
	n.version++
	report := reportOf(n, sources)
	key := f.derived("report", n.id, strconv.FormatUint(n.version, 10), string(state))
	index, err := f.Board.PutVersion(ctx, notice.FanOutReports, key, n.version, report, func(ctx context.Context, tx store.Tx, index uint64, _ int64) error {
		return onlyIfChanged(tx.ExecContext(ctx, "UPDATE fan_outs SET version = $3, state = $4, entry = $5 WHERE id = $1 AND version = $2",
			n.id, int64(before), int64(n.version), state, int64(index)+1))
	})
	crashpoint.Here("fanout.report")
	return report, index, err
}

// stateOf is a hash of what a report says beside what was asked: nothing about
// persons is in it.
func stateOf(sources []*source) []byte {
	h := sha256.New()
	for _, s := range sources {
		fmt.Fprintf(h, "%d %d %s %t %d %d %d\n", s.place, s.state, s.rule, s.late, s.deadline, s.answeredAt, s.entryPlusOne)
	}
	return h.Sum(nil)
}

func reportOf(n *fanOut, sources []*source) *recordsv1.FanOutReport {
	report := &recordsv1.FanOutReport{
		FanOutId: n.id, Consumer: n.participant, System: n.system, Purpose: n.request.Acting.GetPurpose(),
		CaseNumber: n.request.Acting.GetCaseNumber(), Version: n.version, AskedAtUs: n.askedAt,
	}
	for _, s := range sources {
		report.Results = append(report.Results, result(n.request.Sources[s.place], s))
	}
	return report
}

// result says how a source stands. What a supplier said and nobody read yet is
// not told.
func result(asked *exchangev1.Source, s *source) *recordsv1.FanOutResult {
	r := &recordsv1.FanOutResult{
		Topic: s.topic, Provider: s.provider, IdType: asked.Subject.Type, IdNumber: asked.Subject.Number,
		Check: asked.Check, Threshold: asked.Threshold, State: s.state, Rule: s.rule, Live: s.live, Late: s.late,
		DeadlineUs: s.deadline, EntryPlusOne: s.entryPlusOne,
	}
	if s.state != waiting {
		r.AnsweredAtUs = s.answeredAt
	}
	return r
}
