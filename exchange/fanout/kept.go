package fanout

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

// Kept is a fan-out as its rows have it, for who checks them against the ledger.
type Kept struct {
	ID      string
	Sources []*KeptSource
	// Reported is the entry + 1 of its report, or of the report's erasure; 0 if there
	// is none.
	Reported uint64
	// Erased: nothing is left but who asked.
	Erased bool
	row    *fanOut
	token  []byte
	// wanted are what the tokens and the id have to be.
	wantedID, wantedToken []byte
}

// KeptSource is one of its sources.
type KeptSource struct {
	// ID is that of its request, whether it was asked or not.
	ID string
	// Requested, Answered and Read are the entries + 1 of the request, of the
	// supplier's answer and of the reading that was told; 0 if there is none.
	Requested, Answered, Read uint64
	of                        *Kept
	row                       *source
	token, wantedToken        []byte
}

// Keep reads a fan-out as its rows have it. An error that the database does not
// give says what cannot be in a row.
func (f *FanOuts) Keep(ctx context.Context, id string) (*Kept, error) {
	n, err := f.find(ctx, id)
	if err != nil {
		return nil, err
	}
	k := &Kept{ID: id, Reported: n.entryPlusOne, Erased: n.erased, row: n}
	if !n.erased {
		k.wantedID = []byte(f.id(n.system, n.request.Key))
		k.wantedToken = f.caseToken(n.participant, n.request.Acting.GetCaseNumber())
	}
	if err := f.DB.Reader().QueryRowContext(ctx, "SELECT case_token FROM fan_outs WHERE id = $1", id).Scan(&k.token); err != nil {
		return nil, err
	}
	sources, err := f.sources(ctx, id)
	if err != nil {
		return nil, err
	}
	for i, s := range sources {
		one := &KeptSource{
			ID: requestID(id, s.place), Requested: s.requestPlusOne, Answered: s.answerPlusOne, Read: s.entryPlusOne, of: k, row: s,
		}
		if i < len(n.request.Sources) {
			one.wantedToken = f.subjectToken(n.request.Sources[i].Subject)
		}
		err := f.DB.Reader().QueryRowContext(ctx, "SELECT subject_token FROM fan_out_sources WHERE fan_out = $1 AND place = $2", id, int64(s.place)).Scan(&one.token)
		if err != nil {
			return nil, err
		}
		k.Sources = append(k.Sources, one)
	}
	return k, nil
}

// Plausible refuses a row that nothing here writes.
func (k *Kept) Plausible() error {
	n := k.row
	switch {
	case n.participant != verify.ParticipantOf(n.system):
		return errors.New("participant is not that of the system")
	case n.erased && (k.token != nil || n.askedAt != 0 || n.version != 0 || len(n.state) != 0):
		return errors.New("it is erased, and tells of more than who asked")
	case n.erased:
		return nil
	case n.id != string(k.wantedID):
		return errors.New("id is not that of the system and its key")
	case k.token != nil && !bytes.Equal(k.token, k.wantedToken):
		return errors.New("case_token is not that of the case")
	case (n.version == 0) != (n.entryPlusOne == 0), (n.version == 0) != (len(n.state) == 0):
		return errors.New("version, state and entry do not say alike whether there is a report")
	}
	return nil
}

// Complete refuses sources that are more or fewer than were asked.
func (k *Kept) Complete() error {
	if len(k.Sources) != len(k.row.request.Sources) {
		return errors.New("there are not the sources that were asked")
	}
	return nil
}

// Matches compares a fan-out with its newest report.
func (k *Kept) Matches(m *recordsv1.FanOutReport) error {
	n := k.row
	want := reportOf(n, nil)
	want.Results, want.Version = m.Results, m.Version
	switch {
	case m.FanOutId != want.FanOutId || m.Consumer != want.Consumer || m.System != want.System || m.Purpose != want.Purpose ||
		m.CaseNumber != want.CaseNumber || m.AskedAtUs != want.AskedAtUs || len(m.Results) != len(k.Sources):
		return errors.New("the row is not that of its report")
	case m.Version != n.version:
		return errors.New("version is not that of its report")
	}
	var told []*source
	for i, r := range m.Results {
		if r.State == waiting && k.Sources[i].row.outcome != 0 {
			return nil // what is told of it leaves out when it was answered
		}
		told = append(told, &source{
			place: i, state: r.State, rule: r.Rule, late: r.Late, deadline: r.DeadlineUs, answeredAt: r.AnsweredAtUs, entryPlusOne: r.EntryPlusOne,
		})
	}
	if !bytes.Equal(n.state, stateOf(told)) {
		return errors.New("state is not the hash of its report")
	}
	return nil
}

// asked is the question that was put to a source.
func (s *KeptSource) asked() *exchangev1.Source { return s.of.row.request.Sources[s.row.place] }

// Plausible refuses a row that nothing here writes.
func (s *KeptSource) Plausible() error {
	r := s.row
	if r.place < 0 || r.place >= len(s.of.Sources) || s.of.Sources[r.place] != s || s.asked().Topic != r.topic {
		return errors.New("place and topic are not those that were asked")
	}
	read := r.state == found || r.state == notFound
	late := r.late && r.outcome == 0 || r.state == answeredLate && !r.late
	switch {
	case (s.token == nil) != (s.of.token == nil) || s.token != nil && !bytes.Equal(s.token, s.wantedToken):
		return errors.New("subject_token is not that of whom was asked about")
	case r.state < waiting || r.state > answeredLate || (r.rule != "") != (r.state == refused):
		return errors.New("state is none, or rule does not go with it")
	case read != (r.entryPlusOne != 0):
		return errors.New("entry and state do not say alike whether it was read")
	case (r.outcome == 0) != (r.answerPlusOne == 0), late, r.outcome == 0 && (len(r.records) > 0 || r.said != "" || r.saidBy != ""):
		return errors.New("answer, and what was said in it, do not go together")
	case !r.live:
		return s.held()
	case r.requestPlusOne != 0 && r.deadline == 0, (r.outcome != 0) != (r.answeredAt != 0), read && r.outcome == 0:
		return errors.New("it is answered and was not, or asked without a deadline")
	case r.outcome == saysRefused && r.state == refused && r.rule != r.said, r.outcome != 0 && r.state == found != (r.outcome == saysFound) && read:
		return errors.New("state or rule is not what was said")
	}
	return nil
}

// held refuses the row of a source that the exchange itself answers, if nothing
// here writes it.
func (s *KeptSource) held() error {
	r := s.row
	switch {
	case r.requestPlusOne != 0 || r.outcome != 0 || r.state == answeredLate:
		return errors.New("a supplier is asked, and it is not answered live")
	case r.deadline != s.of.row.askedAt+waitOf(s.asked()).Microseconds():
		return errors.New("deadline is not that of the question")
	case (r.answeredAt != 0) != (r.entryPlusOne != 0):
		return errors.New("answered_at and entry do not say alike whether it was read")
	}
	return nil
}

// MatchesRequest compares a source with the request to its supplier.
func (s *KeptSource) MatchesRequest(m *recordsv1.SupplierRequest) error {
	n, asked := s.of.row, s.asked()
	if !s.row.live || m.RequestId != s.ID || m.Supplier != s.row.provider || m.Topic != s.row.topic || m.Consumer != n.participant ||
		m.CaseNumber != n.request.Acting.GetCaseNumber() || m.Purpose != n.request.Acting.GetPurpose() ||
		m.IdType != asked.Subject.Type || m.IdNumber != asked.Subject.Number || m.DeadlineUs != s.row.deadline {
		return errors.New("the row is not what its supplier was asked")
	}
	return nil
}

// MatchesAnswer compares a source with its supplier's answer.
func (s *KeptSource) MatchesAnswer(m *recordsv1.SupplierAnswer) error {
	r := s.row
	if m.RequestId != s.ID || m.Supplier != r.provider || m.System != r.saidBy || m.Topic != r.topic || m.Outcome != r.outcome ||
		m.Rule != r.said || m.Late != r.late || !slices.Equal(m.Records, r.records) {
		return errors.New("the row is not what its supplier answered")
	}
	return nil
}

// MatchesResult compares a source with what the newest report says of it, which
// may be of before the source moved on.
func (s *KeptSource) MatchesResult(m *recordsv1.FanOutResult) error {
	r, now := s.row, result(s.asked(), s.row)
	settled := m.State == found || m.State == notFound || m.State == refused
	answered := m.AnsweredAtUs != 0
	switch {
	case m.Topic != now.Topic || m.Provider != now.Provider || m.IdType != now.IdType || m.IdNumber != now.IdNumber ||
		m.Check != now.Check || m.Threshold != now.Threshold || m.Live != now.Live:
		return errors.New("the row is not of what its report tells")
	case m.DeadlineUs != 0 && m.DeadlineUs != r.deadline:
		return errors.New("deadline is not what its report tells")
	case answered && (m.AnsweredAtUs != r.answeredAt || m.Late != r.late), !answered && m.State != waiting && r.outcome == 0 && r.entryPlusOne == 0 && r.answeredAt != 0:
		return errors.New("answered_at or late is not what its report tells")
	case settled && (m.State != r.state || m.Rule != r.rule || m.EntryPlusOne != r.entryPlusOne), r.state == waiting && m.State != waiting:
		return errors.New("state, rule or entry is not what its report tells")
	}
	return nil
}

// IsReading says whether a source may have been answered by the reading of a topic
// by a participant, for a case and about a subject, that found something or not.
func (s *KeptSource) IsReading(topic, participant, caseNumber, id string, something bool) bool {
	n := s.of.row
	return topic == s.row.topic && participant == n.participant && caseNumber == n.request.Acting.GetCaseNumber() &&
		id == s.asked().Subject.Type+":"+s.asked().Subject.Number && (s.row.live || something == (s.row.state == found))
}
