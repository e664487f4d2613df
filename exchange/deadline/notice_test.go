package deadline_test

import (
	"context"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/deadline"
	"github.com/huitong-bus/huitong/exchange/settings"
	"github.com/huitong-bus/huitong/exchange/store"
)

// tell starts the clock of a notice.
func (w *world) tell(index uint64, recipient string) {
	w.t.Helper()
	if err := w.tx(func(ctx context.Context, tx store.Tx) error {
		return deadline.Start(ctx, tx, w.now.UnixMicro(), deadline.OfNotice(index, recipient, operator.Participant, "people"))
	}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) acknowledge(participant string, notices ...uint64) {
	w.t.Helper()
	if err := w.tx(func(ctx context.Context, tx store.Tx) error {
		return deadline.Acknowledge(ctx, tx, w.now.UnixMicro(), participant, notices)
	}); err != nil {
		w.t.Fatal(err)
	}
}

// TestANoticeIsItsReceiversToAcknowledge: nobody else stops its clock.
func TestANoticeIsItsReceiversToAcknowledge(t *testing.T) {
	w := newWorld(t)
	w.tell(17, security)
	w.tell(18, security)
	w.tell(19, operator.Participant)
	if d := w.one("notice 17"); d.Due != "2026-09-29" || d.Owner != security || !slices.Equal(d.Parties, []string{operator.Participant}) {
		t.Errorf("%v", d)
	}
	if d := w.one("notice 19"); len(d.Parties) != 0 {
		t.Errorf("the operator's own: %v", d)
	}
	if d := w.one("notice 18"); d.Waiting != 2 || d.WaitingSince.AsTime().UnixMicro() != d.StartedAt.AsTime().UnixMicro() || len(d.Systems) != 0 {
		t.Errorf("what waits: %v", d)
	}
	w.acknowledge(civil, 17, 18, 19)
	w.at("2026-09-30 09:00")
	w.acknowledge(security, 3, 18) // of 3 there is no clock: it is of an earlier release
	running := func(participant string) (found []uint64) {
		found, err := deadline.Unacknowledged(t.Context(), w.db.Reader(), participant)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if found := running(security); !slices.Equal(found, []uint64{17}) {
		t.Errorf("%v run", found)
	}
	if found := running(civil); len(found) != 0 {
		t.Errorf("%v run", found)
	}
	if d := w.one("notice 18"); d.StoppedAt == nil || !d.Late || d.DaysLate != 1 {
		t.Errorf("%v", d)
	}
}

// TestAKindThatCameLater has its default where the operator had set the others
// before.
func TestAKindThatCameLater(t *testing.T) {
	w := newWorld(t)
	m := settings.Defaults()
	m.Deadlines = m.Deadlines[:2]
	m.Deadlines[0].Days = 3
	body, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.tx(func(ctx context.Context, tx store.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO settings (id, version, changed, body) VALUES ($1, 1, 1, $2)", settings.Key, body)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	w.tell(17, security)
	if d := w.one("notice 17"); d.Days != 1 {
		t.Errorf("%v", d)
	}
	if term, _ := w.Settings().Term(string(deadline.GrantAnswerUnconditional)); term.Days != 3 {
		t.Errorf("%v", term)
	}
}
