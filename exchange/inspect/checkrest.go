package inspect

import (
	"context"
	"database/sql"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/bus"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// checkRest looks at what is no evidence: whether it fits what the ledger knows.
func (c *checker) checkRest(ctx context.Context) error {
	for _, check := range []func(context.Context) error{
		c.checkPositions, c.checkStreamErasures, c.checkUse, c.checkLanes, c.checkDeadLetters, c.checkPending, c.checkFullLoads, c.checkHearing,
		c.checkDisputes, c.checkErasureLists,
		c.checkThresholds, c.checkDeadlines, c.checkCases, c.checkGuards, c.checkConsents, c.checkRepresentations, c.checkEnrolments, c.checkArrears,
		c.checkDocuments, c.checkReuse, c.checkFanOuts,
	} {
		if err := check(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) checkPositions(ctx context.Context) error {
	return c.each(ctx, "positions", "SELECT system, source, position, at FROM positions ORDER BY system, source", func(rows *sql.Rows) error {
		var system, source string
		var position []byte
		var at int64
		if err := rows.Scan(&system, &source, &position, &at); err != nil {
			return err
		}
		name := system + " " + source
		switch {
		case !c.objects.has("system", system):
			return wrong("positions", name, "there is no such system")
		case source == "" || at <= 0:
			return wrong("positions", name, "the row is not what the journal writes")
		}
		return nil
	})
}

// checkStreamErasures checks that what is to be overwritten in the stream was
// erased.
func (c *checker) checkStreamErasures(ctx context.Context) error {
	type place struct{ part, pos, idx, done int64 }
	var all []place
	if err := c.each(ctx, "stream_erasures", "SELECT part, pos, idx, done FROM stream_erasures ORDER BY part, pos", func(rows *sql.Rows) error {
		var p place
		err := rows.Scan(&p.part, &p.pos, &p.idx, &p.done)
		all = append(all, p)
		return err
	}); err != nil {
		return err
	}
	for _, p := range all {
		name := fmt.Sprintf("part %d, pos %d", p.part, p.pos)
		v, err := c.version(ctx, p.idx)
		if err != nil {
			return err
		}
		switch {
		case v == nil || v.published == nil || v.body != nil || v.keyToken != nil:
			return wrong("stream_erasures", name, "entry %d is no erased publication", p.idx)
		case int64(v.published.Partition) != p.part || int64(v.published.Sequence) != p.pos:
			return wrong("stream_erasures", name, "entry %d stands elsewhere in the stream", p.idx)
		case p.done != 0 && p.done != 1:
			return wrong("stream_erasures", name, "done is neither 0 nor 1")
		}
	}
	var versions uint64
	for _, e := range c.replay.erasures {
		versions += uint64(e.versions) - 1
	}
	if uint64(len(all)) != versions {
		return wrong("stream_erasures", nil, "there are %d rows, %d versions were erased", len(all), versions)
	}
	return nil
}

func (c *checker) checkUse(ctx context.Context) error {
	return c.each(ctx, "grant_use", "SELECT grant_id, day, used FROM grant_use ORDER BY grant_id", func(rows *sql.Rows) error {
		var id string
		var day, used int64
		if err := rows.Scan(&id, &day, &used); err != nil {
			return err
		}
		if !c.objects.hasGrant(id) || day <= 0 || used < 1 || uint64(used) > c.head.Size {
			return wrong("grant_use", id, "the row is not of a grant's use")
		}
		return nil
	})
}

func (c *checker) checkLanes(ctx context.Context) error {
	return c.each(ctx, "lanes", "SELECT subscription, lane, seen, epoch FROM lanes ORDER BY subscription, lane", func(rows *sql.Rows) error {
		var subscription string
		var lane, seen, epoch int64
		if err := rows.Scan(&subscription, &lane, &seen, &epoch); err != nil {
			return err
		}
		if !c.objects.has("subscription", subscription) || lane < 0 || seen < 0 || epoch < 0 || !c.reached(uint64(seen)) {
			return wrong("lanes", fmt.Sprintf("%s lane %d", subscription, lane), "the row is of no subscription, or ahead of the stream")
		}
		return nil
	})
}

// reached says whether some partition's stream has come to a sequence.
func (c *checker) reached(sequence uint64) bool {
	for _, s := range c.head.Sequences {
		if sequence <= s {
			return true
		}
	}
	return false
}

func (c *checker) checkDeadLetters(ctx context.Context) error {
	type letter struct {
		subscription        string
		sequence, lane, idx int64
	}
	var all []letter
	if err := c.each(ctx, "dead_letters", "SELECT subscription, sequence, lane, idx FROM dead_letters ORDER BY subscription, sequence", func(rows *sql.Rows) error {
		var l letter
		err := rows.Scan(&l.subscription, &l.sequence, &l.lane, &l.idx)
		all = append(all, l)
		return err
	}); err != nil {
		return err
	}
	for _, l := range all {
		name := fmt.Sprintf("%s sequence %d", l.subscription, l.sequence)
		v, err := c.version(ctx, l.idx)
		if err != nil {
			return err
		}
		s := c.subscribed[l.subscription]
		if s == nil || v == nil || v.published == nil || int64(v.published.Sequence) != l.sequence || v.published.Topic != s.Topic {
			return wrong("dead_letters", name, "idx is not the publication of that sequence, or there is no such subscription")
		}
		token, err := c.recordOf(ctx, v)
		if err != nil {
			return err
		}
		if l.lane != int64(bus.Lane(token, s.Lanes)) {
			return wrong("dead_letters", name, "lane is not that of the record")
		}
	}
	return nil
}

// checkPending checks acknowledgements that no entry covers yet.
func (c *checker) checkPending(ctx context.Context) error {
	return c.each(ctx, "acknowledgements", "SELECT subscription, n, body FROM acknowledgements ORDER BY subscription, n", func(rows *sql.Rows) error {
		var subscription string
		var n int64
		var body []byte
		if err := rows.Scan(&subscription, &n, &body); err != nil {
			return err
		}
		name := fmt.Sprintf("%s number %d", subscription, n)
		a := &ledgerv1.Acknowledgement{}
		if err := proto.Unmarshal(body, a); err != nil || a.Subscription != subscription {
			return wrong("acknowledgements", name, "body is no acknowledgement of the subscription")
		}
		if bad := c.verify.acknowledgement(a); bad != "" {
			return wrong("acknowledgements", name, "%s", bad)
		}
		c.takeNotices(c.subscribed[subscription].GetTopic(), a)
		return nil
	})
}

// checkIndex compares the index with what the ledger makes it.
func (c *checker) checkIndex(ctx context.Context) error {
	if !c.options.Index {
		return nil
	}
	p, err := readPosition(ctx, c.db.Index.Read(), "")
	if err != nil {
		return wrong("index_position", nil, "it cannot be read: %v", err)
	}
	if p == nil {
		return nil // not begun: it follows when it is next served
	}
	ok, err := c.fits(ctx, p)
	if err != nil {
		return err
	}
	if !ok {
		return wrong("index_position", nil, "the index is not of this ledger; it is made anew when it is next served")
	}
	x := &indexCheck{checker: c, want: map[string]int64{}}
	if err := c.db.Reader().QueryRowContext(ctx, "SELECT coalesce(max(next), 0) FROM hearing").Scan(&x.told); err != nil {
		return unreadable(ctx, c.db, err, "hearing", nil)
	}
	return x.run(ctx, p.next)
}

// indexCheck derives the index and looks up each row of it.
type indexCheck struct {
	*checker
	want map[string]int64 // rows of each table
	// told is up to where those who relied on records were told of erasures;
	// before that, erased versions have no readers. untold counts the rows of
	// those behind it, which go one after the other.
	told, untold uint64
}

func (x *indexCheck) run(ctx context.Context, size uint64) error {
	bits, block := map[int64]bitset{}, int64(0)
	flush := func() error {
		err := x.block(ctx, block, bits)
		bits = map[int64]bitset{}
		return err
	}
	for from := uint64(0); from < size; from += followBatch {
		lines, err := readLines(ctx, x.db.Reader(), from, min(size, from+followBatch))
		if err != nil {
			return err
		}
		var failed error
		b, err := x.take(ctx, lines, func(index uint64, terms []int64) {
			at, place := blockOf(index)
			if at != block && failed == nil {
				failed = flush()
			}
			block = at
			for _, t := range terms {
				bits[t] = bits[t].with(place)
			}
		})
		if err == nil {
			err = failed
		}
		if err == nil {
			err = x.batch(ctx, b)
		}
		if err != nil {
			return err
		}
	}
	if err := flush(); err != nil {
		return err
	}
	for _, table := range tables {
		var n int64
		if err := x.db.Index.Read().QueryRowContext(ctx, "SELECT count(*) FROM "+table).Scan(&n); err != nil {
			return wrong(table, nil, "it cannot be read: %v", err)
		}
		if table == "index_reads" && n >= x.want[table] && n <= x.want[table]+int64(x.untold) {
			continue
		}
		if n != x.want[table] {
			return wrong(table, nil, "there are %d rows, the ledger makes %d", n, x.want[table])
		}
	}
	return nil
}

// block compares the bits of a whole block.
func (x *indexCheck) block(ctx context.Context, block int64, bits map[int64]bitset) error {
	for term, want := range bits {
		x.want["index_bits"]++
		var have []byte
		err := x.db.Index.Read().QueryRowContext(ctx, "SELECT bits FROM index_bits WHERE term = $1 AND block = $2", term, block).Scan(&have)
		if err != nil || string(have) != string(want) {
			return wrong("index_bits", fmt.Sprintf("term %d, block %d", term, block), "the row is not what the ledger makes it; rebuild the index")
		}
	}
	return nil
}

// batch compares the rows that publications, queries and refusals make.
func (x *indexCheck) batch(ctx context.Context, b *batch) error {
	tx := x.db.Index.Read()
	for i, token := range b.tokens.token {
		x.want["index_tokens"]++
		var n int
		err := tx.QueryRowContext(ctx, "SELECT count(*) FROM index_tokens WHERE token = $1 AND topic = $2 AND record = $3 AND idx = $4",
			token, b.tokens.topic[i], b.tokens.record[i], b.tokens.idx[i]).Scan(&n)
		if err != nil || n != 1 {
			return wrong("index_tokens", b.tokens.idx[i], "a row of that entry is missing; rebuild the index")
		}
	}
	for i, idx := range b.entries.idx {
		x.want["index_entries"]++
		var topic, record int64
		var tokens []byte
		err := tx.QueryRowContext(ctx, "SELECT topic, record, tokens FROM index_entries WHERE idx = $1", idx).Scan(&topic, &record, &tokens)
		if err != nil || topic != b.entries.topic[i] || record != b.entries.record[i] || string(tokens) != string(b.entries.tokens[i]) {
			return wrong("index_entries", idx, "the row is not what the ledger makes it; rebuild the index")
		}
	}
	return x.relied(ctx, b)
}
