package reuse

import (
	"context"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/query"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

// found is the one record that stands in for a material about one person.
type found struct {
	source *source
	held   journal.Held
	at     int64 // when its version was published, µs UTC
	grade  recordsv1.TrustGrade
}

// choose finds the record of a source that evidence accepts. Of several about one
// person the latest is taken: whose validity begins last, and of these the one
// published last. If they may be of several persons nothing is guessed.
func (r *Reuse) choose(ctx context.Context, m *material, from *source, e *recordsv1.Evidence) (found, error) {
	var good []found
	if from.said != nil && !m.answered(from) {
		return found{}, nil
	}
	if from.tooMany {
		m.take(isAmbiguous, from, "material.ambiguous", "the subject has more records than are looked at", "query the topic, and choose")
		return found{}, nil
	}
	for _, h := range from.held {
		f, verdict, err := r.accepts(ctx, m, from, h, e)
		if err != nil {
			return found{}, err
		}
		if verdict == "" {
			good = append(good, f)
			continue
		}
		v := verdicts[verdict]
		if verdict == notActive {
			v.reason = "a record on " + from.topic.Name + " is " + endings[h.Present.Status]
			m.ended = v.reason
		}
		m.take(v.state, from, verdict, v.reason, instead(m.ItemMaterial, verdict))
	}
	if len(good) == 0 {
		m.take(mustSubmit, from, "", "the exchange holds no such record about the subject", submitTo(m.ItemMaterial))
		return found{}, nil
	}
	if len(good) > 1 {
		if doubt, err := r.doubt(good); err != nil || doubt != "" {
			m.ambiguous(from, doubt)
			return found{}, err
		}
		slices.SortFunc(good, latest)
	}
	m.state = neverAssessed
	m.take(isHeld, from, "", "", "")
	if marks := r.Queries.Marks; marks != nil {
		if disputed, _ := marks.Disputed(from.topic.Name, good[0].held.Present.KeyToken); disputed {
			m.state = isDisputed
		}
	}
	return good[0], nil
}

// instead is what to do where a record does not stand in for a material.
func instead(m *recordsv1.ItemMaterial, verdict string) string {
	if verdict == otherUse {
		return "record the subject's consent to its reuse, then prepare again; or " + submitTo(m)
	}
	return submitTo(m)
}

// What keeps a record from standing in for a material.
const (
	notActive   = "material.not_in_force"
	expired     = "material.expired"
	tooOld      = "material.too_old"
	tooWeak     = "material.grade"
	otherUse    = "material.purpose"
	otherPaper  = "material.other"
	unmet       = "material.condition"
	unasked     = "evidence.condition"
	withheld    = "grant.fields"
	wasErased   = "material.erased"
	notYetValid = "material.not_yet_valid"
)

var verdicts = map[string]struct {
	state  state
	reason string
}{
	notActive:   {mustSubmit, ""}, // see endings
	expired:     {hasExpired, "the record has expired"},
	notYetValid: {mustSubmit, "the record is not valid yet"},
	tooOld:      {hasExpired, "the record is older than the item accepts"},
	tooWeak:     {mustSubmit, "the record's grade of trust is lower than the item asks for"},
	otherUse:    {needsConsent, "the applicant submitted it for another service item, and has not agreed to its reuse"},
	otherPaper:  {mustSubmit, "what the applicant submitted is another material"},
	unmet:       {mustSubmit, "the record does not meet the item's condition"},
	unasked:     {mustSubmit, "the item's condition cannot be computed over the record; tell the department of the item"},
	withheld:    {needsGrant, "the item's condition looks at fields that the grant does not cover; have them agreed"},
	wasErased:   {mustSubmit, "the record was erased"},
}

const day = int64(24 * 60 * 60 * 1e6) // µs

// endings say how a record stands that is not active.
var endings = map[exchangev1.Status]string{
	exchangev1.Status_STATUS_SUSPENDED:  "suspended",
	exchangev1.Status_STATUS_REVOKED:    "revoked",
	exchangev1.Status_STATUS_CANCELLED:  "cancelled",
	exchangev1.Status_STATUS_SUPERSEDED: "replaced by another",
	exchangev1.Status_STATUS_REMOVED:    "no longer held",
	exchangev1.Status_STATUS_ERASED:     "erased",
}

// accepts says whether a material's evidence accepts a record, or the rule by which
// it does not.
func (r *Reuse) accepts(ctx context.Context, of *material, from *source, h journal.Held, e *recordsv1.Evidence) (found, string, error) {
	f, today := found{source: from, held: h}, r.today()
	switch {
	case h.Present.Status != exchangev1.Status_STATUS_ACTIVE:
		return f, notActive, nil
	case h.Present.ValidUntil < today:
		return f, expired, nil
	case h.Present.ValidFrom > today:
		return f, notYetValid, nil
	case h.Row.Body == nil:
		return f, wasErased, nil
	}
	var err error
	if f.at, err = journal.LeafTime(h.Row.Leaf); err != nil {
		return f, "", fmt.Errorf("entry %d: %w", h.Row.Index, err)
	}
	// More than so many days; divided, since the product may not fit.
	if e.MaxAgeDays > 0 && (r.Clock().UnixMicro()-f.at-1)/day >= int64(e.MaxAgeDays) {
		return f, tooOld, nil
	}
	f.grade = recordsv1.TrustGrade_TRUST_GRADE_A // issued by the authority itself
	submitted := from.topic.ContractName == query.Submitted
	if e.Condition == "" && !submitted {
		return f, "", nil
	}
	opening, err := r.open(from, h)
	if err != nil {
		return f, "", err
	}
	if submitted {
		m := &recordsv1.SubmittedMaterial{}
		if err := proto.Unmarshal(opening.Payload, m); err != nil {
			return f, "", fmt.Errorf("entry %d: %w", h.Row.Index, err)
		}
		f.grade = gradeSubmitted(m)
		if !standsFor(m, of.Code, from.allowed.Request.Purpose, e) {
			return f, otherPaper, nil
		}
		if usable, err := query.UsableFor(from.topic, opening.Payload, &from.allowed.Request); err != nil || !usable {
			return f, otherUse, err
		}
	}
	if e.MinGrade != 0 && f.grade > e.MinGrade {
		return f, tooWeak, nil
	}
	if e.Condition == "" {
		return f, "", nil
	}
	return r.meets(ctx, f, opening.Payload, e.Condition)
}

// gradeSubmitted is the grade of what an applicant submitted: whatever its record
// says, no authority issued it.
func gradeSubmitted(m *recordsv1.SubmittedMaterial) recordsv1.TrustGrade {
	return max(m.TrustGrade, recordsv1.TrustGrade_TRUST_GRADE_B)
}

// standsFor says whether what was submitted may be what an item asks for under a
// code. Within the item that it was submitted for its own code says what it is;
// elsewhere only a condition can.
func standsFor(m *recordsv1.SubmittedMaterial, code, item string, e *recordsv1.Evidence) bool {
	if m.MaterialCode == code {
		return true
	}
	return e.Condition != "" && (m.ItemCode != item || m.MaterialCode == "")
}

// meets says whether a record meets a condition. One that looks at fields which the
// caller may not see is not asked: its answer would tell of them.
func (r *Reuse) meets(ctx context.Context, f found, payload []byte, text string) (found, string, error) {
	k, err := f.source.topic.Contract(uint32(f.source.topic.Versions()))
	if err != nil {
		return f, "", err
	}
	condition, err := r.Conditions.Get(text, k)
	if err != nil {
		return f, unasked, nil // the contract has moved on since the item was published
	}
	granted := f.source.allowed.Decision.Fields
	for _, n := range f.source.topic.Mask(condition.Fields()) {
		if granted != nil && !slices.Contains(granted, n) {
			return f, withheld, nil
		}
	}
	holds, err := condition.Holds(ctx, payload, access.Today(r.Clock()))
	switch {
	case fault.KindOf(err) == fault.Denied:
		return f, unasked, nil
	case err == nil && !holds:
		return f, unmet, nil
	}
	return f, "", err
}

func (r *Reuse) open(from *source, h journal.Held) (*ledgerv1.RecordOpening, error) {
	if opening := from.openings[h.Row.Index]; opening != nil {
		return opening, nil
	}
	q := r.Queries
	opening, err := journal.OpenRecord(q.Keyring, q.Journal.Head().Origin, from.topic.Name, h.Row.KeyToken, h.Row.Body)
	if err != nil {
		return nil, fmt.Errorf("entry %d: %w", h.Row.Index, err)
	}
	from.openings[h.Row.Index] = opening
	return opening, nil
}
