package inspect

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// maxFilterText bounds each text of a filter, in bytes.
const maxFilterText = 256

// checkFilter refuses what no entry could match for a mistake of the caller's.
func checkFilter(f *ledgerv1.EntryFilter) error {
	for _, text := range []struct{ field, value string }{
		{"participant", f.GetParticipant()}, {"system", f.GetSystem()}, {"topic", f.GetTopic()},
		{"case_number", f.GetCaseNumber()}, {"subject.number", f.GetSubject().GetNumber()},
	} {
		if len(text.value) > maxFilterText {
			return fault.Field("filter."+text.field, "filter.size", "has more than %d bytes", maxFilterText)
		}
	}
	for _, k := range f.GetKinds() {
		if !slices.Contains(Kinds, k) {
			return fault.Field("filter.kinds", "filter.kind", "names an unknown kind; the kinds are %s", strings.Join(Kinds, ", "))
		}
	}
	for field, t := range map[string]*timestamppb.Timestamp{"from": f.GetFrom(), "until": f.GetUntil()} {
		if t != nil && t.CheckValid() != nil {
			return fault.Field("filter."+field, "filter.time", "is not a time")
		}
	}
	if s := f.GetSubject(); s != nil && (s.Number == "" || !slices.Contains(contract.SubjectTypes(), s.Type)) {
		return fault.Field("filter.subject", "filter.subject", "needs a number and a type, one of %s", strings.Join(contract.SubjectTypes(), ", "))
	}
	if f.GetFromIndex() > 1<<62 {
		return fault.Field("filter.from_index", "filter.from_index", "is too large")
	}
	return nil
}

// filterText says what a filter narrows to, in one spelling: it is what the
// entry of a search commits to.
func filterText(f *ledgerv1.EntryFilter) string {
	var b strings.Builder
	add := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s=%q ", name, value)
		}
	}
	add("participant", f.GetParticipant())
	add("system", f.GetSystem())
	add("topic", f.GetTopic())
	for _, k := range f.GetKinds() {
		add("kind", k)
	}
	add("from", timeText(f.GetFrom()))
	add("until", timeText(f.GetUntil()))
	if s := f.GetSubject(); s != nil {
		add("subject", s.GetType()+" "+s.GetNumber()+" "+s.GetRole())
	}
	add("case_number", f.GetCaseNumber())
	if f.GetFromIndex() > 0 {
		add("from_index", strconv.FormatUint(f.GetFromIndex(), 10))
	}
	return strings.TrimSpace(b.String())
}

func indexText(index uint64) string { return "index=" + strconv.Quote(strconv.FormatUint(index, 10)) }

func timeText(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return t.AsTime().UTC().Format(time.RFC3339Nano)
}

// query is a filter as the index answers it.
type query struct {
	// groups must all hold; of each group one term.
	groups [][]int64
	// tokens lists what must all hold too; of each list one token number.
	tokens [][]int64
	// matches compares an entry itself.
	matches func(e *ledgerv1.LedgerEntry) bool
}

// query turns a filter into a query of what the caller may see.
func (l *Ledger) query(ctx context.Context, caller *identity.Caller, all bool, f *ledgerv1.EntryFilter) (*query, error) {
	q := &query{}
	if !all {
		q.groups = append(q.groups, []int64{participantTerm(caller.Participant)})
	}
	if p := f.GetParticipant(); p != "" {
		q.groups = append(q.groups, []int64{participantTerm(p)})
	}
	if s := f.GetSystem(); s != "" {
		q.groups = append(q.groups, []int64{systemTerm(s)})
	}
	if t := f.GetTopic(); t != "" {
		q.groups = append(q.groups, []int64{topicTerm(t)})
	}
	if len(f.GetKinds()) > 0 {
		var kinds []int64
		for _, k := range f.GetKinds() {
			kinds = append(kinds, kindTerm(k))
		}
		q.groups = append(q.groups, kinds)
	}
	if s := f.GetSubject(); s != nil {
		number := s.Number
		if normal, err := contract.Normalise(s.Type, number); err == nil {
			number = normal
		}
		q.tokens = append(q.tokens, []int64{tokenNumber(l.Keys.Token(identity.TokenSubject, s.Type, number))})
	}
	if f.GetCaseNumber() != "" {
		cases, err := l.caseTokens(ctx, caller, all, f.GetCaseNumber())
		if err != nil {
			return nil, err
		}
		q.tokens = append(q.tokens, cases)
	}
	q.matches = func(e *ledgerv1.LedgerEntry) bool {
		facts := factsOf(e)
		return (all || partyTo(&facts, caller.Participant)) && matches(f, e, &facts)
	}
	return q, nil
}

// matches compares what an entry says in the clear; its subject and case are
// found by the index only.
func matches(f *ledgerv1.EntryFilter, e *ledgerv1.LedgerEntry, facts *facts) bool {
	switch {
	case f.GetParticipant() != "" && !partyTo(facts, f.GetParticipant()):
		return false
	case f.GetSystem() != "" && !slices.Contains(facts.systems, f.GetSystem()):
		return false
	case f.GetTopic() != "" && facts.topic != f.GetTopic():
		return false
	case len(f.GetKinds()) > 0 && !slices.Contains(f.GetKinds(), facts.kind):
		return false
	case f.GetFrom() != nil && e.AtUs < f.GetFrom().AsTime().UnixMicro():
		return false
	case f.GetUntil() != nil && e.AtUs >= f.GetUntil().AsTime().UnixMicro():
		return false
	}
	return true
}

// caseTokens gives the tokens of a case number. It belongs to the department
// that has the case: an auditor asks for that of any, everybody else for its
// own, lest a provider try out the case numbers of its consumers.
func (l *Ledger) caseTokens(ctx context.Context, caller *identity.Caller, all bool, number string) ([]int64, error) {
	codes := []string{caller.Participant}
	if all {
		var err error
		if codes, err = l.participants(ctx); err != nil {
			return nil, err
		}
	}
	tokens := make([]int64, len(codes))
	for i, code := range codes {
		tokens[i] = tokenNumber(l.Keys.Token(identity.TokenCase, code, number))
	}
	return tokens, nil
}

func (l *Ledger) participants(ctx context.Context) ([]string, error) {
	rows, err := l.DB.Reader().QueryContext(ctx, "SELECT code FROM participants")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var codes []string
	for rows.Next() {
		var code string
		if err := rows.Scan(&code); err != nil {
			return nil, err
		}
		codes = append(codes, code)
	}
	return codes, rows.Err()
}

// bounds narrows a range of entries to the filter's index and times.
func (l *Ledger) bounds(ctx context.Context, f *ledgerv1.EntryFilter, size uint64) (low, high uint64, err error) {
	low, high = f.GetFromIndex(), size
	if f.GetFrom() != nil {
		at, err := journal.IndexAt(ctx, l.DB.Reader(), size, f.GetFrom().AsTime().UnixMicro())
		if err != nil {
			return 0, 0, err
		}
		low = max(low, at)
	}
	if f.GetUntil() != nil {
		high, err = journal.IndexAt(ctx, l.DB.Reader(), size, f.GetUntil().AsTime().UnixMicro())
	}
	return min(low, high), high, err
}
