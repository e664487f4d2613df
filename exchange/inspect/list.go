package inspect

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"strconv"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Sizes of a page of entries.
const (
	DefaultPage = 100
	MaxPage     = 1000
)

// Page says which page of a list is asked for.
type Page struct {
	// Size is DefaultPage if 0.
	Size int
	// Token is that of the page before; empty for the first.
	Token      string
	Descending bool
}

// List gives a page of the entries that a filter finds and the caller may see,
// and the token of the next page; empty after the last. The first page enters
// the search in the ledger and fixes where it ends.
func (l *Ledger) List(ctx context.Context, caller *identity.Caller, f *ledgerv1.EntryFilter, p Page) ([]*ledgerv1.Entry, string, error) {
	if p.Size < 0 || p.Size > MaxPage {
		return nil, "", fault.Field("page_size", "page_size", "is at most %d", MaxPage)
	}
	if p.Size == 0 {
		p.Size = DefaultPage
	}
	if err := checkFilter(f); err != nil {
		return nil, "", err
	}
	d, s, err := l.begin(ctx, caller, f, p)
	if err != nil {
		return nil, "", err
	}
	q, err := l.query(ctx, caller, d.All, f)
	if err != nil {
		return nil, "", err
	}
	if err := l.Index.Wait(ctx, s.high); err != nil {
		return nil, "", err
	}
	var entries []*ledgerv1.Entry
	rest, err := l.walk(ctx, q, s, p.Size, func(e *ledgerv1.Entry) error {
		entries = append(entries, e)
		return nil
	})
	if err != nil || rest.empty() {
		return entries, "", err
	}
	return entries, l.pageToken(caller, f, rest), nil
}

// begin gives the span that a page walks.
func (l *Ledger) begin(ctx context.Context, caller *identity.Caller, f *ledgerv1.EntryFilter, p Page) (access.Decision, span, error) {
	if p.Token != "" {
		s, err := l.parseToken(caller, f, p)
		if err != nil {
			return access.Decision{}, s, err
		}
		d, err := l.decide(ctx, caller, access.ReadLedger)
		return d, s, err
	}
	// What was committed before the search is what it finds, not its own entry.
	d, commit, err := l.enter(ctx, caller, access.ReadLedger, "list", filterText(f))
	if err != nil {
		return d, span{}, err
	}
	s := span{descending: p.Descending}
	s.low, s.high, err = l.bounds(ctx, f, commit.Index)
	return d, s, err
}

// walk gives the entries of a span that a query finds, at most limit of them,
// and what is left of the span.
func (l *Ledger) walk(ctx context.Context, q *query, s span, limit int, each func(*ledgerv1.Entry) error) (span, error) {
	for !s.empty() {
		found, rest, err := l.Index.search(ctx, q, s)
		if err != nil {
			return s, err
		}
		for _, index := range found {
			if limit == 0 {
				return s, nil
			}
			s = s.after(index)
			leaf, err := l.leaf(ctx, index)
			if err != nil {
				return s, err
			}
			e, err := decode(leaf)
			if err != nil {
				return s, err
			}
			if !q.matches(e) {
				continue
			}
			limit--
			if err := each(&ledgerv1.Entry{Leaf: leaf, Entry: e}); err != nil {
				return s, err
			}
		}
		s = rest
	}
	return s, nil
}

// A page token is what is left of the span, and a token over that, the caller,
// the order and the filter: it continues the search that was entered and no
// other.
const spanSize = 16

func (l *Ledger) pageToken(caller *identity.Caller, f *ledgerv1.EntryFilter, s span) string {
	raw := binary.BigEndian.AppendUint64(nil, s.low)
	raw = binary.BigEndian.AppendUint64(raw, s.high)
	raw = append(raw, l.Keys.Token(identity.TokenPage, caller.System, filterText(f), strconv.FormatBool(s.descending), string(raw))...)
	return base64.RawURLEncoding.EncodeToString(raw)
}

func (l *Ledger) parseToken(caller *identity.Caller, f *ledgerv1.EntryFilter, p Page) (span, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(p.Token)
	if err == nil && len(raw) == spanSize+identity.TokenSize {
		s := span{binary.BigEndian.Uint64(raw), binary.BigEndian.Uint64(raw[8:]), p.Descending}
		if l.pageToken(caller, f, s) == p.Token {
			return s, nil
		}
	}
	return span{}, fault.Field("page_token", "page_token", "is not one that the exchange gave this caller for this filter and order")
}
