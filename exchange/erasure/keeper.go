package erasure

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/inspect"
	"github.com/huitong-bus/huitong/exchange/intake"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/store"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Config is what keeping erasures needs.
type Config struct {
	DB      *store.DB
	Journal *journal.Journal
	Index   *inspect.Index
	Topics  interface {
		Topic(name string) (*catalog.Topic, error)
	}
	Keys intake.Keys
	// Forget takes, where an erasure is made good, what is kept in rows beside the
	// record; entryPlusOne is of the erasure, 0 if the record is not held. It is
	// asked again where it may not be done. Nothing is kept if nil.
	Forget func(ctx context.Context, tx store.Tx, topic string, token []byte, entryPlusOne uint64) error
	// Dir is the data directory; Also is a list that was kept elsewhere, empty if
	// there is none.
	Dir, Also string
	Log       *slog.Logger
}

// Keeper keeps the list of erasures.
type Keeper struct {
	Config
	list *file
	stop context.CancelFunc
	done sync.WaitGroup
}

const (
	retry  = time.Second
	atOnce = 100
)

// Open erases again what the list has and the database does not show, and then
// follows the ledger until Close. Nobody may be served before it returns.
func Open(ctx context.Context, c Config) (*Keeper, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Forget == nil {
		c.Forget = func(context.Context, store.Tx, string, []byte, uint64) error { return nil }
	}
	k := &Keeper{Config: c}
	var err error
	if k.list, err = open(c.Dir); err != nil {
		return nil, err
	}
	if c.Also != "" {
		var also []Line
		if also, err = Read(c.Also); err == nil {
			err = k.list.add(also...)
		}
	}
	if err == nil {
		err = k.again(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, k.list.f.Close())
	}
	running, stop := context.WithCancel(context.Background())
	k.stop = stop
	k.done.Go(func() { k.run(running) })
	return k, nil
}

// Close ends following.
func (k *Keeper) Close() error {
	k.stop()
	k.done.Wait()
	return k.list.f.Close()
}

// again makes good every erasure that the database does not show. Of several of
// one record the last one counts: what came before it is gone with it.
func (k *Keeper) again(ctx context.Context) error {
	type record struct{ topic, token string }
	last := map[record]Line{}
	for _, l := range k.list.lines {
		if l.Origin == k.Journal.Head().Origin {
			last[record{l.Topic, l.Record}] = l
		}
	}
	for _, l := range last {
		token, err := hex.DecodeString(l.Record)
		if err != nil {
			return fmt.Errorf("the list of erasures: %w", err)
		}
		known, err := k.known(ctx, l, token)
		if err != nil {
			return err
		}
		if known {
			continue
		}
		if err := k.erase(ctx, l, token); err != nil {
			return fmt.Errorf("erase again what entry %d erased: %w", l.Entry, err)
		}
		// A crash here leaves the record erased and the row missing: then nothing is
		// held any more, and the row is written.
		if err := k.DB.Journal.Update(ctx, func(ctx context.Context, tx store.Tx) error {
			_, err := tx.ExecContext(ctx, "INSERT INTO erasures_restored (topic, key_token, entry) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", l.Topic, token, int64(l.Entry))
			return errors.Join(err, k.Forget(ctx, tx, l.Topic, token, 0))
		}); err != nil {
			return err
		}
	}
	return nil
}

// known says whether the database shows an erasure: by its entry, or because it
// was made good before.
func (k *Keeper) known(ctx context.Context, l Line, token []byte) (bool, error) {
	var n int64
	err := k.DB.Reader().QueryRowContext(ctx, `SELECT (SELECT count(*) FROM sealed WHERE idx = $1 AND topic = $2 AND key_token = $3 AND body IS NULL)
		+ (SELECT count(*) FROM erasures_restored WHERE topic = $4 AND key_token = $3 AND entry = $1)`,
		int64(l.Entry), journal.Number(l.Topic), token, l.Topic).Scan(&n)
	return n > 0, err
}

// erase erases a record in the name of the exchange, if it is held.
func (k *Keeper) erase(ctx context.Context, l Line, token []byte) error {
	present, err := journal.PresentOf(ctx, k.DB.Journal, k.DB.Reader(), journal.Number(l.Topic), [][]byte{token})
	if err != nil {
		return err
	}
	held, ok := present[string(token)]
	if !ok {
		return nil
	}
	t, err := k.Topics.Topic(l.Topic)
	if err != nil {
		return err
	}
	rows, err := journal.PayloadsOf(ctx, k.DB.Journal, k.DB.Reader(), []journal.Present{held})
	if err != nil {
		return err
	}
	origin := k.Journal.Head().Origin
	opening, err := journal.OpenRecord(k.Keys, origin, l.Topic, token, rows[string(token)].Body)
	if err != nil {
		return err
	}
	key := intake.EraseAgainKey(origin, l.Entry, token)
	record, err := intake.Own(k.Keys, origin, &ledgerv1.RecordPublished{
		Topic: l.Topic, Operation: ledgerv1.Operation_OPERATION_ERASE, Partition: t.Partition, IdempotencyKey: key[:],
	}, opening.Key, fmt.Sprintf("erased before, by entry %d; a restored backup brought it back", l.Entry))
	if err != nil {
		return err
	}
	record.With = func(ctx context.Context, tx store.Tx, index uint64, _ int64) error {
		return k.Forget(ctx, tx, l.Topic, token, index+1)
	}
	commit, err := k.Journal.Submit(ctx, &journal.Call{Publish: &journal.Publish{Provider: t.Provider, Statements: 1, Records: []*journal.Record{record}}})
	if err != nil {
		return err
	}
	if err := commit.Records[0].Err; err != nil {
		return err
	}
	k.Log.Warn("a record that a restored backup brought back is erased again", "topic", l.Topic, "entry", commit.Records[0].Index, "before", l.Entry)
	return nil
}

func (k *Keeper) run(ctx context.Context) {
	for ctx.Err() == nil {
		changed := k.Index.Changed()
		if err := k.follow(ctx); err != nil && ctx.Err() == nil {
			k.Log.Error("an erasure cannot be written down; trying again", "error", err)
			select {
			case <-time.After(retry):
			case <-ctx.Done():
			}
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// follow writes down what was erased since it was last here.
func (k *Keeper) follow(ctx context.Context) error {
	for {
		var next uint64
		err := k.DB.Reader().QueryRowContext(ctx, "SELECT next FROM erasure_lists WHERE list = $1", k.list.name).Scan(&next)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		causes, err := k.Index.CausesFrom(ctx, next, atOnce)
		if err != nil || len(causes) == 0 {
			return err
		}
		var lines []Line
		for _, index := range causes {
			l, err := k.line(ctx, index)
			if err != nil {
				return err
			}
			if l != nil {
				lines = append(lines, *l)
			}
		}
		if err := k.list.add(lines...); err != nil {
			return err
		}
		// A crash here writes the same lines once more, which are there already.
		if err := k.DB.Journal.Update(ctx, func(ctx context.Context, tx store.Tx) error {
			_, err := tx.ExecContext(ctx, "INSERT INTO erasure_lists (list, next) VALUES ($1, $2) ON CONFLICT (list) DO UPDATE SET next = excluded.next",
				k.list.name, int64(causes[len(causes)-1])+1)
			return err
		}); err != nil {
			return err
		}
	}
}

// line makes the line of an entry; nil if it erases nothing.
func (k *Keeper) line(ctx context.Context, index uint64) (*Line, error) {
	var leaf, token []byte
	err := k.DB.Reader().QueryRowContext(ctx, "SELECT l.leaf, s.key_token FROM ledger l JOIN sealed s ON s.idx = l.idx WHERE l.idx = $1", int64(index)).Scan(&leaf, &token)
	if err != nil {
		return nil, fmt.Errorf("entry %d: %w", index, err)
	}
	e := &ledgerv1.LedgerEntry{}
	if err := proto.Unmarshal(leaf, e); err != nil {
		return nil, fmt.Errorf("entry %d: %w", index, err)
	}
	p := e.GetPublished()
	if p.GetOperation() != ledgerv1.Operation_OPERATION_ERASE {
		return nil, nil
	}
	return &Line{
		Origin: k.Journal.Head().Origin, Topic: p.Topic, Record: hex.EncodeToString(token), Entry: index, At: time.UnixMicro(e.AtUs).UTC(),
	}, nil
}
