package inspect

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"strings"

	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/store"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Keys opens what is sealed and makes tokens.
type Keys interface {
	journal.Sealer
	Token(kind byte, parts ...string) []byte
}

// batch is what the index gains by some entries.
type batch struct {
	tokens  struct{ token, topic, record, idx store.Ints }
	entries struct {
		idx, topic, record store.Ints
		tokens             store.Blobs
	}
	// reads are the versions that queries and checks looked at, causes the entries
	// of which those who have to do with a record are told.
	reads  struct{ version, idx store.Ints }
	causes store.Ints
	// counts are what entries on materials count.
	counts counts
	// of holds the numbers of this batch's publications, by index.
	of map[uint64][]int64
	// erased are the publications to be forgotten, forgotten those of them whose
	// readers were told of it.
	erased, forgotten []int64
}

var (
	insertTokens  = &store.Insert{Into: "INTO index_tokens (token, topic, record, idx)", Then: "ON CONFLICT DO NOTHING"}
	insertEntries = &store.Insert{Into: "INTO index_entries (idx, topic, record, tokens)", Then: "ON CONFLICT DO NOTHING"}
	insertReads   = &store.Insert{Into: "INTO index_reads (version, idx)", Then: "ON CONFLICT DO NOTHING"}
	insertCauses  = &store.Insert{Into: "INTO index_causes (idx)", Then: "ON CONFLICT DO NOTHING"}
	upsertBits    = &store.Insert{Into: "INTO index_bits (term, block, bits)", Then: "ON CONFLICT (term, block) DO UPDATE SET bits = excluded.bits"}
)

// source is where entries come from and what is needed to read them.
type source struct {
	db     *store.DB
	keys   Keys
	origin string
	log    *slog.Logger
}

// take reads entries into a batch and tells mark the terms of each.
func (s *source) take(ctx context.Context, lines []line, mark func(index uint64, terms []int64)) (*batch, error) {
	b := &batch{of: map[uint64][]int64{}}
	cache := terms{}
	for i := range lines {
		l := &lines[i]
		if l.publication {
			found, err := s.publication(ctx, b, l, cache)
			if err != nil {
				return nil, err
			}
			mark(l.index, found)
			continue
		}
		entry, err := decode(l.leaf)
		if err != nil {
			// fsck names it; the entries after it are still to be found.
			s.log.Error("an entry of the ledger does not decode", "index", l.index)
			continue
		}
		f := factsOf(entry)
		mark(l.index, f.terms())
		if err := s.other(ctx, b, l, entry); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// terms remembers the terms of actors.
type terms map[string][]int64

func (t terms) publication(actor string) []int64 {
	known, ok := t[actor]
	if !ok {
		known = []int64{kindTerm("published")}
		if actor != "" { // else it is the exchange itself, on a topic of its own
			known = append(known, participantTerm(verify.ParticipantOf(actor)), systemTerm(actor))
		}
		t[actor] = known
	}
	return known
}

func (s *source) publication(ctx context.Context, b *batch, l *line, cache terms) ([]int64, error) {
	actor, p, err := glance(l.leaf)
	if err != nil {
		s.log.Error("an entry of the ledger does not decode", "index", l.index)
		return nil, nil
	}
	known := cache.publication(actor)
	found := append(known[:len(known):len(known)], l.topic)
	if p.tells() && l.prev > 0 {
		b.causes = append(b.causes, int64(l.index))
	}
	if l.keyToken == nil || p.op == ledgerv1.Operation_OPERATION_ERASE {
		return found, nil
	}
	var numbers []int64
	if p.op == ledgerv1.Operation_OPERATION_PUT {
		for _, token := range splitTokens(l.tokens) {
			numbers = append(numbers, tokenNumber(token))
		}
	} else if l.prev > 0 {
		if numbers, err = s.inherited(ctx, b, uint64(l.prev-1)); err != nil {
			return nil, err
		}
	}
	if len(numbers) > 0 {
		b.publication(l, numbers)
	}
	return found, nil
}

// inherited gives the subjects of the version before: an operation without
// payload is about them too.
func (s *source) inherited(ctx context.Context, b *batch, before uint64) ([]int64, error) {
	if numbers, ok := b.of[before]; ok {
		return numbers, nil
	}
	var packed []byte
	err := s.db.Index.Read().QueryRowContext(ctx, "SELECT tokens FROM index_entries WHERE idx = $1", int64(before)).Scan(&packed)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return unpackNumbers(packed), err
}

func (b *batch) publication(l *line, numbers []int64) {
	record := recordNumber(l.keyToken)
	b.of[l.index] = numbers
	e := &b.entries
	e.idx, e.topic, e.record = append(e.idx, int64(l.index)), append(e.topic, l.topic), append(e.record, record)
	e.tokens = append(e.tokens, packNumbers(numbers))
	for _, n := range numbers {
		b.token(n, l.topic, record, l.index)
	}
}

func (b *batch) token(number, topic, record int64, index uint64) {
	t := &b.tokens
	t.token, t.topic = append(t.token, number), append(t.topic, topic)
	t.record, t.idx = append(t.record, record), append(t.idx, int64(index))
}

// other takes an entry that is no publication.
func (s *source) other(ctx context.Context, b *batch, l *line, entry *ledgerv1.LedgerEntry) error {
	if erased := entry.GetErased(); erased != nil {
		return s.erased(ctx, b, erased.RequestedBy)
	}
	if entry.GetDisputed() != nil || entry.GetDisputeAnswered() != nil {
		b.causes = append(b.causes, int64(l.index))
	}
	b.counts.take(entry)
	if l.body == nil || entry.GetReleased() != nil || entry.GetReceived() != nil {
		return nil // nothing in it names a subject or a case
	}
	opening, err := journal.OpenEntry(s.keys, s.origin, l.body)
	if err != nil {
		s.log.Error("the opening of an entry does not open", "index", l.index)
		return nil
	}
	s.opening(b, l.index, entry, opening)
	b.relied(l.index, entry, opening)
	return nil
}

// opening takes the subjects and cases that an opening names, each once.
func (s *source) opening(b *batch, index uint64, entry *ledgerv1.LedgerEntry, o *ledgerv1.ReadOpening) {
	of := factsOf(entry)
	topic := int64(0)
	if of.topic != "" && entry.GetRefused() == nil {
		topic = topicTerm(of.topic)
	}
	numbers := map[int64]bool{}
	for _, subject := range append([]*ledgerv1.Subject{o.Subject}, o.Subjects...) {
		if subject == nil {
			continue
		}
		number := tokenNumber(s.keys.Token(identity.TokenSubject, subject.Type, subject.Number))
		if !numbers[number] {
			b.token(number, topic, 0, index)
		}
		numbers[number] = true
	}
	for _, c := range append([]string{o.CaseNumber}, o.Cases...) {
		if c == "" {
			continue
		}
		number := tokenNumber(s.keys.Token(identity.TokenCase, verify.ParticipantOf(consumerOf(entry)), c))
		if !numbers[number] {
			b.token(number, 0, 0, index)
		}
		numbers[number] = true
	}
}

// consumerOf names whose cases an entry speaks of.
func consumerOf(e *ledgerv1.LedgerEntry) string {
	switch b := e.Body.(type) {
	case *ledgerv1.LedgerEntry_Enrolled:
		return b.Enrolled.Consumer
	case *ledgerv1.LedgerEntry_CaseClosed:
		return b.CaseClosed.Consumer
	}
	return e.Actor
}

// erased follows a record's versions back from its erasure. Rows of this batch
// were read after their erasure, or are taken back here.
func (s *source) erased(ctx context.Context, b *batch, requestedBy uint64) error {
	told, err := toldOf(ctx, s.db.Reader(), requestedBy)
	if err != nil {
		return err
	}
	at := int64(requestedBy)
	for {
		var prev int64
		err := s.db.Reader().QueryRowContext(ctx, "SELECT prev FROM sealed WHERE idx = $1", at).Scan(&prev)
		if errors.Is(err, sql.ErrNoRows) || err == nil && prev == 0 {
			return nil
		}
		if err != nil {
			return err
		}
		at = prev - 1
		b.erased = append(b.erased, at)
		if told {
			b.forgotten = append(b.forgotten, at)
		}
	}
}

// write writes the batch; in a transaction that holds the position's row.
func (b *batch) write(ctx context.Context, p *store.Part, tx store.Tx) error {
	t, e := &b.tokens, &b.entries
	if err := insertTokens.Run(ctx, p, tx, t.token, t.topic, t.record, t.idx); err != nil {
		return err
	}
	if err := insertEntries.Run(ctx, p, tx, e.idx, e.topic, e.record, e.tokens); err != nil {
		return err
	}
	if err := insertReads.Run(ctx, p, tx, b.reads.version, b.reads.idx); err != nil {
		return err
	}
	if err := insertCauses.Run(ctx, p, tx, b.causes); err != nil {
		return err
	}
	if err := b.counts.write(ctx, p, tx); err != nil {
		return err
	}
	for _, idx := range b.erased {
		if err := forget(ctx, tx, idx); err != nil {
			return err
		}
	}
	return forgetReads(ctx, tx, b.forgotten)
}

// forget deletes what the index has of an erased publication.
func forget(ctx context.Context, tx store.Tx, idx int64) error {
	var topic, record int64
	var packed []byte
	err := tx.QueryRowContext(ctx, "SELECT topic, record, tokens FROM index_entries WHERE idx = $1", idx).Scan(&topic, &record, &packed)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, number := range unpackNumbers(packed) {
		if _, err := tx.ExecContext(ctx, "DELETE FROM index_tokens WHERE token = $1 AND topic = $2 AND record = $3 AND idx = $4",
			number, topic, record, idx); err != nil {
			return err
		}
	}
	_, err = tx.ExecContext(ctx, "DELETE FROM index_entries WHERE idx = $1", idx)
	return err
}

// tables of the index, for wiping.
var tables = strings.Fields("index_bits index_tokens index_entries index_reads index_causes index_counts")
