package hearing

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"time"

	"github.com/huitong-bus/huitong/exchange/calendar"
	"github.com/huitong-bus/huitong/exchange/inspect"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/store"
	"github.com/huitong-bus/huitong/exchange/store/crashpoint"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

// A record whose last day passes makes no entry, so nothing leads to it in the
// ledger: it is found by the index over the last days. Whoever relied on it for a
// case that is open, or was not long ago, is told once. Each process looks; the
// key of a notice makes it single. A version whose last day is a day gone by already
// is behind the place that was reached, and moves that place back (Over).

const (
	// lookEvery is how often it is looked whether a day ended.
	lookEvery = 500 * time.Millisecond
	// expiredAtOnce bounds the records that are read at once.
	expiredAtOnce = 100
)

// place is a record's place in the order of the last days.
type place struct {
	until, topic int64
	token        []byte
}

// expired is a record whose validity is over.
type expired struct {
	place
	index, payload uint64
}

func (h *Hearing) runExpiry(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var done calendar.Day
	var last *place
	for {
		today := calendar.DayOf(h.Clock())
		at, err := h.place(ctx)
		if err == nil && (today != done || last == nil || !last.is(at)) {
			if last, err = h.sweep(ctx, at, today); err == nil {
				done = today
			}
		}
		if err != nil && ctx.Err() == nil {
			h.Log.Error("those who relied on an expired record cannot be told; trying again", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// beginExpiry makes the sweep start with today's last days, where it never ran:
// of what expired before, nobody is told now. Its token is none and not empty, which
// would be read back as NULL and equal nothing.
func beginExpiry(ctx context.Context, tx store.Tx, today calendar.Day) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO expiry_sweep (id, until, topic, key_token) VALUES (1, $1, $2, $3) ON CONFLICT (id) DO NOTHING",
		int64(today)-1, int64(math.MaxInt64), []byte{0})
	return err
}

// place reads the place that was reached.
func (h *Hearing) place(ctx context.Context) (*place, error) {
	at := &place{}
	return at, h.DB.Reader().QueryRowContext(ctx, "SELECT until, topic, key_token FROM expiry_sweep WHERE id = 1").Scan(&at.until, &at.topic, &at.token)
}

func (p *place) is(other *place) bool {
	return p.until == other.until && p.topic == other.topic && bytes.Equal(p.token, other.token)
}

// Over moves the place back to the last day of a record that was in force before, and
// whose new version is over already at its entry's time.
func Over(ctx context.Context, tx store.Tx, r *journal.Record, at int64) error {
	today := int64(calendar.DayOf(time.UnixMicro(at)))
	if r.ValidUntil >= today {
		return nil
	}
	_, err := tx.ExecContext(ctx, `UPDATE expiry_sweep SET until = $1, topic = -1, key_token = $2 WHERE id = 1 AND until >= $1
		AND EXISTS (SELECT 1 FROM records WHERE topic = $3 AND key_token = $4 AND valid_until >= $5)`,
		r.ValidUntil, []byte{0}, journal.Number(r.Leaf.Topic), r.KeyToken, today)
	return err
}

// sweep tells of every record whose last day is before today and that comes after a
// place, and gives the place that it reached.
func (h *Hearing) sweep(ctx context.Context, at *place, today calendar.Day) (*place, error) {
	for {
		page, err := h.expired(ctx, at, today)
		if err != nil || len(page) == 0 {
			return at, err
		}
		if err := h.Index.Wait(ctx, h.Journal.Head().Size); err != nil {
			return nil, err
		}
		for _, r := range page {
			if err := h.tellExpired(ctx, &r); err != nil {
				return nil, err
			}
		}
		// A crash here tells the page again, under the same keys.
		crashpoint.Here("hearing.expired")
		next := &page[len(page)-1].place
		if err := h.reached(ctx, at, next); err != nil {
			return nil, err
		}
		at = next
	}
}

// reached moves the place, unless it was moved meanwhile.
func (h *Hearing) reached(ctx context.Context, from, to *place) error {
	return h.DB.Journal.Update(ctx, func(ctx context.Context, tx store.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE expiry_sweep SET until = $1, topic = $2, key_token = $3
			WHERE id = 1 AND until = $4 AND topic = $5 AND key_token = $6`, to.until, to.topic, to.token, from.until, from.topic, from.token)
		return err
	})
}

// selectExpired names the bound of the index as its migration does, else the index
// does not serve it.
var selectExpired = fmt.Sprintf(`SELECT valid_until, topic, key_token, idx, payload_idx FROM records
	WHERE valid_until < 1099511627776 AND valid_until >= $1 AND valid_until < $2 AND (valid_until, topic, key_token) > ($1, $3, $4) AND status IN (%d, %d)
	ORDER BY valid_until, topic, key_token LIMIT %d`,
	exchangev1.Status_STATUS_ACTIVE, exchangev1.Status_STATUS_SUSPENDED, expiredAtOnce)

// expired reads the records behind a place whose last day is over, page by page.
func (h *Hearing) expired(ctx context.Context, at *place, today calendar.Day) ([]expired, error) {
	rows, err := h.DB.Reader().QueryContext(ctx, selectExpired, at.until, int64(today), at.topic, at.token)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var page []expired
	for rows.Next() {
		var r expired
		if err := rows.Scan(&r.until, &r.topic, &r.token, &r.index, &r.payload); err != nil {
			return nil, err
		}
		page = append(page, r)
	}
	return page, rows.Err()
}

// tellExpired tells who relied on a record for a case that it still matters to.
func (h *Hearing) tellExpired(ctx context.Context, r *expired) error {
	versions, err := h.Index.Versions(ctx, r.index)
	if err != nil {
		return err
	}
	all, err := h.Index.ReliersOf(ctx, versions)
	if err != nil || len(all) == 0 {
		return err
	}
	entry, err := h.entry(ctx, r.payload)
	if err != nil {
		return err
	}
	topic, err := h.Topics.Topic(entry.GetPublished().GetTopic())
	if err != nil {
		return err
	}
	day := calendar.Day(r.until)
	c := &cause{
		index: r.payload, topic: topic.Name, provider: topic.Provider, word: "expired", record: r.token, date: day.String(), told: map[string]bool{},
	}
	for _, relier := range all {
		if relier.Cases, err = h.concerned(ctx, relier, day); err != nil {
			return err
		}
		if relier.Participant == c.provider || len(relier.Cases) == 0 {
			continue
		}
		c.key = h.expiryKey(r, relier.Participant)
		if err := h.publish(ctx, c, relier.Participant, relier); err != nil {
			return err
		}
	}
	return nil
}

// concerned gives those of a participant's cases that are open, or were closed
// not longer ago than the setting says, counted at the day's end.
func (h *Hearing) concerned(ctx context.Context, r *inspect.Relier, day calendar.Day) (numbers []string, err error) {
	since := day.End().AddDate(0, 0, -h.Settings.Settings().ExpiryNoticeDays).UnixMicro()
	for _, number := range r.Cases {
		one, err := h.Cases.Find(ctx, r.Participant, number)
		if err != nil {
			return nil, err
		}
		if one == nil {
			continue
		}
		if !one.Open {
			closed, err := h.entry(ctx, one.Closed)
			if err != nil {
				return nil, err
			}
			if closed.AtUs < since {
				continue
			}
		}
		numbers = append(numbers, number)
	}
	return numbers, nil
}

// expiryKey names the notice of a record's last day to a participant for good.
func (h *Hearing) expiryKey(r *expired, participant string) *[verify.KeySize]byte {
	b := append([]byte("huitong/notice/expired/v1"), h.Journal.Head().Origin...)
	b = binary.BigEndian.AppendUint64(b, r.payload)
	b = binary.BigEndian.AppendUint64(b, uint64(r.until))
	sum := sha256.Sum256(append(append(b, hex.EncodeToString(r.token)...), participant...))
	key := [verify.KeySize]byte(sum[:verify.KeySize])
	return &key
}
