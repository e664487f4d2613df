package inspect

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sort"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/deadline"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/notice"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

// checkSettings compares settings and calendar with their entries.
func (c *checker) checkSettings(ctx context.Context) error {
	err := c.each(ctx, "settings", "SELECT id, version, changed, body FROM settings ORDER BY id", func(rows *sql.Rows) error {
		var id string
		var version, changed uint64
		var body []byte
		if err := rows.Scan(&id, &version, &changed, &body); err != nil {
			return err
		}
		c.report.Objects++
		if err := c.objects.held("settings", objectID{kind: "settings", id: id}, version, changed, body); err != nil {
			return err
		}
		return bodyOf("settings", id, body, func(m *accessv1.Settings) bool { return m.Version == version })
	})
	if err != nil {
		return err
	}
	return c.each(ctx, "calendar_years", "SELECT year, version, changed, body FROM calendar_years ORDER BY year", func(rows *sql.Rows) error {
		var year, version, changed uint64
		var body []byte
		if err := rows.Scan(&year, &version, &changed, &body); err != nil {
			return err
		}
		c.report.Objects++
		id := fmt.Sprint(year)
		if err := c.objects.held("calendar_years", objectID{kind: "calendar", id: id}, version, changed, body); err != nil {
			return err
		}
		return bodyOf("calendar_years", id, body, func(m *accessv1.CalendarYear) bool { return uint64(m.Year) == year })
	})
}

// checkDeadlines checks that clocks started and stopped with an entry, and that
// each is as the exchange told of it; and that what it told of is there.
func (c *checker) checkDeadlines(ctx context.Context) error {
	var all []*deadline.Deadline
	err := deadline.Each(ctx, c.db.Reader(), func(d *deadline.Deadline) error { all = append(all, d); return nil })
	if err != nil {
		return unreadable(ctx, c.db, err, "deadlines", nil)
	}
	for _, d := range all {
		if err := c.checkDeadline(ctx, d); err != nil {
			return err
		}
	}
	return c.checkTold(ctx)
}

func (c *checker) checkDeadline(ctx context.Context, d *deadline.Deadline) error {
	if err := d.Plausible(); err != nil {
		return wrong("deadlines", d.ID, "%v", err)
	}
	moments := []int64{d.StartedAt, d.StoppedAt}
	if d.Kind == deadline.NoticeAcknowledge {
		if err := c.checkNotice(ctx, d); err != nil {
			return err
		}
		moments = moments[:1] // an acknowledgement is covered by a later entry
	}
	for _, at := range moments {
		if there, err := c.entryAt(ctx, at); err != nil {
			return err
		} else if at != 0 && !there {
			return wrong("deadlines", d.ID, "it started or stopped when there was no entry")
		}
	}
	if d.Told() == 0 {
		return nil
	}
	v, err := c.version(ctx, int64(d.Told())-1)
	if err != nil {
		return err
	}
	if v == nil || v.published == nil || v.published.Topic != deadline.Topic ||
		string(v.keyToken) != string(c.keys.Token(identity.TokenRecord, deadline.Topic, d.ID)) {
		return wrong("deadlines", d.ID, "passed is no publication that tells of it")
	}
	m, err := c.told(v)
	if err == nil {
		err = d.Matches(m)
	}
	if err != nil {
		return wrong("deadlines", d.ID, "%v", err)
	}
	return nil
}

// takenNotice is a notice that somebody of its participant acknowledged, by its
// sequence.
type takenNotice struct {
	participant string
	sequence    uint64
}

// takeNotices notes which notices an acknowledgement is of.
func (c *checker) takeNotices(topic string, a *ledgerv1.Acknowledgement) {
	if topic != notice.Notices {
		return
	}
	for place, sequence := range a.Sequences {
		if !slices.Contains(a.Uncounted, uint32(place)) {
			c.taken[takenNotice{verify.ParticipantOf(a.Subscription), sequence}] = true
		}
	}
}

// checkNotice checks that a notice's clock is that of the notice, and runs until
// somebody of its participant acknowledged it.
func (c *checker) checkNotice(ctx context.Context, d *deadline.Deadline) error {
	index, err := deadline.NoticeOf(d.Object)
	if err != nil {
		return wrong("deadlines", d.ID, "object is no notice")
	}
	v, err := c.version(ctx, int64(index))
	if err != nil {
		return err
	}
	if v == nil || v.published == nil || v.published.Topic != notice.Notices || v.at != d.StartedAt {
		return wrong("deadlines", d.ID, "object is no notice that was published at the start")
	}
	opening, err := journal.OpenRecord(c.keys, c.origin, v.published.Topic, v.keyToken, v.body)
	m := &recordsv1.Notice{}
	if err == nil {
		err = proto.Unmarshal(opening.Payload, m)
	}
	switch {
	case err != nil:
		return wrong("deadlines", d.ID, "its notice does not open")
	case m.Recipient != d.Owner || m.Topic != d.Topic:
		return wrong("deadlines", d.ID, "owner or topic is not that of the notice")
	case d.StoppedAt != 0 != c.taken[takenNotice{d.Owner, v.published.Sequence}]:
		return wrong("deadlines", d.ID, "stopped_at does not say whether the notice was acknowledged")
	}
	return nil
}

// told opens what a publication told of a deadline.
func (c *checker) told(v *version) (*recordsv1.Deadline, error) {
	opening, err := journal.OpenRecord(c.keys, c.origin, v.published.Topic, v.keyToken, v.body)
	if err != nil {
		return nil, errors.New("what was told of it does not open")
	}
	m := &recordsv1.Deadline{}
	return m, proto.Unmarshal(opening.Payload, m)
}

// entryAt says whether an entry was committed at a time; the ledger's times grow
// with its indexes.
func (c *checker) entryAt(ctx context.Context, at int64) (found bool, err error) {
	sort.Search(int(c.head.Size), func(i int) bool {
		var leaf []byte
		if err == nil {
			err = c.db.Reader().QueryRowContext(ctx, "SELECT leaf FROM ledger WHERE idx = $1", int64(i)).Scan(&leaf)
		}
		entry, broken := decode(leaf)
		if err != nil || broken != nil {
			return true
		}
		found = found || entry.AtUs == at
		return entry.AtUs >= at
	})
	if err != nil {
		err = unreadable(ctx, c.db, err, "ledger", nil)
	}
	return found, err
}

// checkTold checks that every deadline is there of which the exchange told.
func (c *checker) checkTold(ctx context.Context) error {
	var at []int64
	if err := c.each(ctx, "records", "SELECT idx FROM records WHERE topic = $1 ORDER BY idx", func(rows *sql.Rows) error {
		var idx int64
		err := rows.Scan(&idx)
		at = append(at, idx)
		return err
	}, journal.Number(deadline.Topic)); err != nil {
		return err
	}
	for _, idx := range at {
		v, err := c.version(ctx, idx)
		if err != nil {
			return err
		}
		m, err := c.told(v)
		if err != nil {
			return wrong("sealed", idx, "%v", err)
		}
		there, err := deadline.Has(ctx, c.db.Reader(), m.DeadlineId)
		switch {
		case err != nil:
			return unreadable(ctx, c.db, err, "deadlines", nil)
		case !there:
			return wrong("deadlines", m.DeadlineId, "the row is missing of which entry %d tells", idx)
		}
	}
	return nil
}
