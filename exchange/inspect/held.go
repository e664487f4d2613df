package inspect

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strconv"

	"github.com/huitong-bus/huitong/exchange/journal"
)

// MaxHeld bounds the records of one subject that are looked at together.
const MaxHeld = 256

// HeldAbout gives the records of some topics whose present payload is about a
// subject, by the numbers of their topics, in two questions however many topics
// there are. Wait for the head's Published first. It gives MaxHeld of them at most;
// whole says that these are all.
func (x *Index) HeldAbout(ctx context.Context, topics []string, subjectToken []byte) (held map[int64][]journal.Held, whole bool, err error) {
	if len(topics) == 0 {
		return nil, true, nil
	}
	versions, err := x.newestAbout(ctx, topics, subjectToken)
	if err != nil || len(versions) == 0 {
		return nil, err == nil, err
	}
	whole = len(versions) <= MaxHeld
	versions = filledUp(versions[:min(len(versions), MaxHeld)])
	rows, err := x.DB.Brief().QueryContext(ctx, presentOf+places(1, len(versions))+")", versions...)
	if err != nil {
		return nil, false, err
	}
	defer rows.Close()
	held = map[int64][]journal.Held{}
	for rows.Next() {
		var h journal.Held
		var tokens []byte
		err := rows.Scan(&h.Row.Topic, &h.Present.KeyToken, &h.Present.Index, &h.Present.PayloadIndex, &h.Present.Version, &h.Present.Status,
			&h.Present.ValidFrom, &h.Present.ValidUntil, &h.Row.Sequence, &tokens, &h.Row.Body, &h.Row.Leaf)
		if err != nil {
			return nil, false, err
		}
		if !holdsToken(tokens, subjectToken) {
			continue // erased, or about others by now
		}
		h.Row.Index, h.Row.KeyToken = h.Present.PayloadIndex, h.Present.KeyToken
		held[h.Row.Topic] = append(held[h.Row.Topic], h)
	}
	for _, of := range held {
		slices.SortFunc(of, func(a, b journal.Held) int { return cmp.Compare(a.Row.Index, b.Row.Index) })
	}
	return held, whole, rows.Err()
}

// presentOf finds the present payload of each record that a version is of, which
// mostly is that version's own: the other is looked for only where it is not.
const presentOf = `SELECT s.topic, r.key_token, r.idx, r.payload_idx, r.version, r.status, r.valid_from, r.valid_until,
	CASE WHEN r.payload_idx = s.idx THEN s.pos ELSE p.pos END, CASE WHEN r.payload_idx = s.idx THEN s.tokens ELSE p.tokens END,
	CASE WHEN r.payload_idx = s.idx THEN s.body ELSE p.body END, l.leaf
	FROM sealed s
	JOIN records r ON r.topic = s.topic AND r.key_token = s.key_token
	JOIN ledger l ON l.idx = r.payload_idx
	LEFT JOIN sealed p ON p.idx = NULLIF(r.payload_idx, s.idx)
	WHERE s.idx IN (`

// newestAbout gives the newest version about a subject of each record of some
// topics, one more than MaxHeld at most.
func (x *Index) newestAbout(ctx context.Context, topics []string, subjectToken []byte) ([]any, error) {
	var numbers []any
	for _, t := range topics {
		numbers = append(numbers, journal.Number(t))
	}
	numbers = filledUp(numbers)
	args := append([]any{tokenNumber(subjectToken)}, numbers...)
	rows, err := x.DB.Index.Brief().QueryContext(ctx, "SELECT max(idx) FROM index_tokens WHERE token = $1 AND topic IN ("+
		places(2, len(numbers))+") AND record > 0 GROUP BY topic, record LIMIT "+strconv.Itoa(MaxHeld+1), args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []any
	for rows.Next() {
		var idx sql.NullInt64
		if err := rows.Scan(&idx); err != nil {
			return nil, err
		}
		found = append(found, idx.Int64)
	}
	return found, rows.Err()
}

// filledUp repeats the last argument of a list up to the next power of two: a list
// of each length would be a statement of its own, and those that are kept prepared
// are not many.
func filledUp(args []any) []any {
	for n := len(args); n > 0 && n&(n-1) != 0; n++ {
		args = append(args, args[len(args)-1])
	}
	return args
}

// places are the marks of n arguments from the first on.
func places(first, n int) string {
	marks := make([]byte, 0, 4*n)
	for i := range n {
		if i > 0 {
			marks = append(marks, ',')
		}
		marks = strconv.AppendInt(append(marks, '$'), int64(first+i), 10)
	}
	return string(marks)
}
