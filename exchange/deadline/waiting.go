package deadline

import (
	"context"
	"database/sql"

	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

// waiting is what one participant's notices wait for.
type waiting struct {
	notices uint32
	since   int64
	systems []string
}

// namedSystems bounds the systems that are named with a notice.
const namedSystems = 20

// addWaiting says with each notice that waits how many do for its owner, and which
// systems of the owner can acknowledge them. Whom a notice is about, and for which
// case, is its receiver's to know.
func (l *List) addWaiting(ctx context.Context, found []*accessv1.Deadline) error {
	of := map[string]*waiting{}
	for _, m := range found {
		if Kind(m.Kind) != NoticeAcknowledge || m.StoppedAt != nil {
			continue
		}
		w := of[m.Owner]
		if w == nil {
			var err error
			if w, err = l.waiting(ctx, m.Owner); err != nil {
				return err
			}
			of[m.Owner] = w
		}
		m.Waiting, m.Systems = w.notices, w.systems
		if w.notices > 0 {
			m.WaitingSince = stamp(w.since)
		}
	}
	return nil
}

func (l *List) waiting(ctx context.Context, owner string) (*waiting, error) {
	w, first := &waiting{}, sql.NullInt64{}
	err := l.DB.Reader().QueryRowContext(ctx, "SELECT count(*), min(started_at) FROM deadlines WHERE stopped_at = 0 AND kind = $1 AND owner = $2",
		string(NoticeAcknowledge), owner).Scan(&w.notices, &first)
	if err != nil {
		return nil, err
	}
	w.since = first.Int64
	rows, err := l.DB.Reader().QueryContext(ctx, `SELECT y.id FROM systems y JOIN subscriptions s ON s.id = y.id || '/notices'
		WHERE y.participant = $1 AND s.state = $2 ORDER BY y.id LIMIT $3`,
		owner, int64(exchangev1.SubscriptionState_SUBSCRIPTION_STATE_ACTIVE), namedSystems)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		w.systems = append(w.systems, id)
	}
	return w, rows.Err()
}
