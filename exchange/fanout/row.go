package fanout

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/store"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

// fanOut is one call as its row has it.
type fanOut struct {
	id, system, participant string
	askedAt                 int64
	request                 *exchangev1.AskAllRequest
	version                 uint64
	state                   []byte
	entryPlusOne            uint64
	// erased: nothing is left but who asked, and entryPlusOne is of the erasure.
	erased bool
}

// source is one of its sources as its row has it.
type source struct {
	fanOut          string
	place           int
	topic, provider string
	live            bool
	state           recordsv1.FanOutState
	rule            string
	deadline        int64
	requestPlusOne  uint64
	outcome         recordsv1.SupplierOutcome
	records         []uint64
	said, saidBy    string
	late            bool
	answeredAt      int64
	answerPlusOne   uint64
	entryPlusOne    uint64
}

// id names the fan-out of a system and its key for good.
func (f *FanOuts) id(system string, key []byte) string {
	sum := f.derived("id", system, string(key))
	return hex.EncodeToString(sum[:])
}

// derived gives the key of what is done once: each part with its length before
// it.
func (f *FanOuts) derived(parts ...string) (key [verify.KeySize]byte) {
	b := []byte("huitong/fan-out/v1")
	for _, p := range append(parts, f.Keyring.Origin()) {
		b = append(strconv.AppendInt(append(b, 0), int64(len(p)), 10), 0)
		b = append(b, p...)
	}
	sum := sha256.Sum256(b)
	copy(key[:], sum[:])
	return key
}

func (f *FanOuts) sealedAs(id string) []byte {
	return []byte("fan-out\x00" + f.Keyring.Origin() + "\x00" + id)
}

// insert writes a new fan-out. If it is there already nothing is written.
func (f *FanOuts) insert(ctx context.Context, n *fanOut, sources []*source) error {
	plain, err := proto.Marshal(n.request)
	if err != nil {
		return err
	}
	sealed, err := f.Keyring.Seal(plain, f.sealedAs(n.id))
	if err != nil {
		return err
	}
	return f.DB.Journal.Update(ctx, func(ctx context.Context, tx store.Tx) error {
		var id string
		err := tx.QueryRowContext(ctx, `INSERT INTO fan_outs (id, system, participant, asked_at, request, version, state, entry, case_token)
			VALUES ($1, $2, $3, $4, $5, 0, $6, 0, $7) ON CONFLICT (id) DO NOTHING RETURNING id`,
			n.id, n.system, n.participant, n.askedAt, sealed, []byte{}, f.caseToken(n.participant, n.request.Acting.GetCaseNumber())).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, s := range sources {
			_, err := tx.ExecContext(ctx, `INSERT INTO fan_out_sources (fan_out, place, topic, provider, live, state, rule, deadline,
				request, outcome, records, said, said_by, late, answered_at, answer, entry, subject_token)
				VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, 0, '', '', '', 0, 0, 0, 0, $9)`,
				n.id, int64(s.place), s.topic, s.provider, number(s.live), int64(s.state), s.rule, s.deadline, f.subjectToken(n.request.Sources[s.place].Subject))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func number(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// find reads a fan-out; nil if there is none.
func (f *FanOuts) find(ctx context.Context, id string) (*fanOut, error) {
	n := &fanOut{request: &exchangev1.AskAllRequest{}}
	var sealed []byte
	err := f.DB.Reader().QueryRowContext(ctx, `SELECT id, system, participant, asked_at, request, version, state, entry
		FROM fan_outs WHERE id = $1`, id).Scan(&n.id, &n.system, &n.participant, &n.askedAt, &sealed, &n.version, &n.state, &n.entryPlusOne)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if n.erased = len(sealed) == 0; n.erased {
		return n, nil
	}
	plain, err := f.Keyring.Open(sealed, f.sealedAs(n.id))
	if err != nil {
		return nil, err
	}
	return n, proto.Unmarshal(plain, n.request)
}

const sourceColumns = `SELECT fan_out, place, topic, provider, live, state, rule, deadline, request, outcome, records, said, said_by,
	late, answered_at, answer, entry FROM fan_out_sources `

func scanSource(row interface{ Scan(into ...any) error }) (*source, error) {
	s := &source{}
	var live, late int64
	var records string
	err := row.Scan(&s.fanOut, &s.place, &s.topic, &s.provider, &live, &s.state, &s.rule, &s.deadline, &s.requestPlusOne, &s.outcome,
		&records, &s.said, &s.saidBy, &late, &s.answeredAt, &s.answerPlusOne, &s.entryPlusOne)
	if err != nil {
		return nil, err
	}
	s.live, s.late = live != 0, late != 0
	for _, text := range strings.Fields(records) {
		index, err := strconv.ParseUint(text, 10, 63)
		if err != nil {
			return nil, err
		}
		s.records = append(s.records, index)
	}
	return s, nil
}

func packRecords(records []uint64) string {
	var texts []string
	for _, index := range records {
		texts = append(texts, strconv.FormatUint(index, 10))
	}
	return strings.Join(texts, " ")
}

// source reads one source; nil if there is none.
func (f *FanOuts) source(ctx context.Context, id string, place int) (*source, error) {
	s, err := scanSource(f.DB.Reader().QueryRowContext(ctx, sourceColumns+"WHERE fan_out = $1 AND place = $2", id, int64(place)))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return s, err
}

// again reads a source once more; with an error if its fan-out was erased.
func (f *FanOuts) again(ctx context.Context, s *source) (*source, error) {
	now, err := f.source(ctx, s.fanOut, s.place)
	if err == nil && now == nil {
		err = errErased()
	}
	return now, err
}

// sources reads all sources of a fan-out, in their order.
func (f *FanOuts) sources(ctx context.Context, id string) ([]*source, error) {
	rows, err := f.DB.Reader().QueryContext(ctx, sourceColumns+"WHERE fan_out = $1 ORDER BY place", id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []*source
	for rows.Next() {
		s, err := scanSource(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, rows.Err()
}

// unsettled holds of a source that may yet be found, not found or refused.
var unsettled = fmt.Sprintf("state IN (%d, %d, %d)", waiting, timedOut, answeredLate)

// with changes a source in the transaction of a record, whose entry + 1 is $5.
// Where the source is not as it was read, the record is refused as Stale.
func (f *FanOuts) with(s *source, set string, args ...any) journal.With {
	return func(ctx context.Context, tx store.Tx, index uint64, _ int64) error {
		done, err := tx.ExecContext(ctx, "UPDATE fan_out_sources SET "+set+" WHERE fan_out = $1 AND place = $2 AND answer = $3 AND state = $4",
			append([]any{s.fanOut, int64(s.place), int64(s.answerPlusOne), int64(s.state), int64(index) + 1}, args...)...)
		return onlyIfChanged(done, err)
	}
}

// onlyIfChanged is Stale where a row was to be changed and is not as it was.
func onlyIfChanged(done sql.Result, err error) error {
	if err != nil {
		return err
	}
	if changed, err := done.RowsAffected(); err != nil || changed == 1 {
		return err
	}
	return fault.New(fault.Stale, "fan_out.moved", "it was changed meanwhile; look again")
}

// change writes columns of a source where a condition holds, and reads it as it
// is then.
func (f *FanOuts) change(ctx context.Context, s *source, set, where string, args ...any) (*source, error) {
	if where != "" {
		where = " AND " + where
	}
	err := f.DB.Journal.Update(ctx, func(ctx context.Context, tx store.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE fan_out_sources SET "+set+" WHERE fan_out = $1 AND place = $2"+where,
			append([]any{s.fanOut, int64(s.place)}, args...)...)
		return err
	})
	if err != nil {
		return nil, err
	}
	return f.again(ctx, s)
}
