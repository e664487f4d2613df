package deadline

import (
	"context"
	"strconv"
	"strings"

	"github.com/huitong-bus/huitong/exchange/settings"
	"github.com/huitong-bus/huitong/exchange/store"
)

// OfNotice is the clock of a notice, which is known by the index of its entry. Who
// it is for must acknowledge it; the operator's participant is told too when it
// does not. topic is that of the record that the notice is about.
func OfNotice(index uint64, recipient, operator, topic string) Clock {
	c := Clock{Kind: NoticeAcknowledge, Object: objectOf(index), Owner: recipient, Topic: topic}
	if operator != recipient {
		c.Parties = []string{operator}
	}
	return c
}

const noticeObject = "notice "

// objectOf names a notice by its entry.
func objectOf(index uint64) string { return noticeObject + strconv.FormatUint(index, 10) }

// NoticeOf gives the entry of the notice that a clock is of.
func NoticeOf(object string) (index uint64, err error) {
	return strconv.ParseUint(strings.TrimPrefix(object, noticeObject), 10, 63)
}

// Acknowledge stops the clocks of notices that a participant acknowledged at a
// time, µs UTC. Those of notices for others go on, whoever read them.
func Acknowledge(ctx context.Context, tx store.Tx, at int64, participant string, notices []uint64) error {
	var s *settings.Settings
	for _, index := range notices {
		d, err := open(ctx, tx, NoticeAcknowledge, objectOf(index))
		if err != nil {
			return err
		}
		if d == nil || d.Owner != participant {
			continue
		}
		if s == nil {
			if s, err = settings.Read(ctx, tx); err != nil {
				return err
			}
		}
		if _, err := d.stop(ctx, tx, at, s); err != nil {
			return err
		}
	}
	return nil
}

// Unacknowledged gives the notices for a participant whose clocks run, by the
// indexes of their entries.
func Unacknowledged(ctx context.Context, tx store.Tx, participant string) (notices []uint64, err error) {
	rows, err := tx.QueryContext(ctx, "SELECT object FROM deadlines WHERE stopped_at = 0 AND kind = $1 AND owner = $2",
		string(NoticeAcknowledge), participant)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var object string
		if err := rows.Scan(&object); err != nil {
			return nil, err
		}
		index, err := NoticeOf(object)
		if err != nil {
			return nil, err
		}
		notices = append(notices, index)
	}
	return notices, rows.Err()
}
