package reuse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/release"
	"github.com/huitong-bus/huitong/exchange/store"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Collect releases the materials that are held, but for those that the applicant
// declined.
func (r *Reuse) Collect(ctx context.Context, caller *identity.Caller, req *exchangev1.CollectRequest) (*exchangev1.CollectResponse, error) {
	var answer *exchangev1.CollectResponse
	err := r.Queries.Settled(ctx, func() error {
		a, err := r.assess(ctx, caller, access.Collect, req.Acting, req.Subject)
		if err != nil {
			return err
		}
		if err := a.declines(req.Declined); err != nil {
			return err
		}
		answer, err = r.collect(ctx, a, req)
		if errors.Is(err, errChosen) {
			// Another call for the same case was faster; its choices stand.
			answer, err = r.collect(ctx, a, req)
		}
		return err
	})
	return answer, err
}

// errChosen refuses choices that another call made meanwhile.
var errChosen = errors.New("the choices were made meanwhile")

// declines marks what the applicant declined.
func (a *assessment) declines(codes []string) error {
	for _, code := range codes {
		i := slices.IndexFunc(a.materials, func(m *material) bool { return m.Code == code })
		if i < 0 {
			return fault.Field("declined", "material.unknown", "the service item has no material of a code that is declined; name codes of the item")
		}
		a.materials[i].decline()
	}
	return nil
}

func (m *material) decline() {
	m.state, m.source, m.found = wasDeclined, nil, nil
	m.rule, m.reason, m.next = "", "the applicant does not want it to be used", submitTo(m.ItemMaterial)
}

// collect releases what has no choice yet, and gives once more what was released
// before.
func (r *Reuse) collect(ctx context.Context, a *assessment, req *exchangev1.CollectRequest) (*exchangev1.CollectResponse, error) {
	chosen, err := r.choices(ctx, r.Queries.DB.Brief(), a)
	if err != nil {
		return nil, err
	}
	if err := r.sameChoices(ctx, a, chosen); err != nil {
		return nil, err
	}
	answer := &exchangev1.CollectResponse{Item: a.item.version()}
	b := &binding{r: r, a: a, json: req.Json, until: r.usableUntil()}
	for _, m := range a.materials {
		if _, before := chosen[m.Code]; before || !m.usable() {
			continue
		}
		if err := b.add(m); err != nil {
			return nil, err
		}
	}
	if len(b.copies) > 0 || a.newlyDeclined(chosen) {
		if err := b.commit(ctx, chosen, answer); err != nil {
			return nil, err
		}
	} else if err := r.stillHolds(ctx, a); err != nil {
		return nil, err
	} else {
		answer.Repeat = true
	}
	if err := r.again(ctx, a, chosen, req.Json, answer); err != nil {
		return nil, err
	}
	a.arrange(r, answer)
	return answer, nil
}

// stillHolds has a call decided anew whose case was closed or whose permission ended
// since, by whichever process: what makes no entry has no commit that would.
func (r *Reuse) stillHolds(ctx context.Context, a *assessment) error {
	if err := r.Policy.Refresh(ctx, 0); err != nil {
		return err
	}
	now, err := r.Queries.CaseNow(ctx, a.allowed.Request)
	if err == nil && (now == nil || !now.Open || !r.Policy.Decide(a.allowed.Request).Allow) {
		return journal.ErrPolicyMoved
	}
	return err
}

// usableUntil is the end of a copy's last day.
func (r *Reuse) usableUntil() time.Time {
	last := r.today() + CopyDays
	return time.Unix((last+1)*24*60*60-8*60*60, 0).UTC() // midnight in Asia/Shanghai
}

func (a *assessment) newlyDeclined(chosen map[string]choice) bool {
	return slices.ContainsFunc(a.materials, func(m *material) bool {
		_, before := chosen[m.Code]
		return m.state == wasDeclined && !before
	})
}

// binding makes the copies of one collection, or what a preview shows of them.
type binding struct {
	r       *Reuse
	a       *assessment
	json    bool
	preview bool
	until   time.Time
	copies  []*exchangev1.CollectedMaterial
	entries []journal.Entry
	allowed []access.Allowed
	seen    []journal.Seen
	of      []*material // at the places of copies
}

// add makes the annotated copies of a material: one for each person that it is
// about.
func (b *binding) add(m *material) error {
	for _, f := range m.found {
		batch := &release.Batch{}
		d := &f.source.allowed.Decision
		if err := b.r.cut(batch, f, release.View{Fields: d.Fields, JSON: b.json, Current: true}); err != nil {
			return err
		}
		until := b.until
		if last := f.held.Present.ValidUntil; last <= maxDay {
			until = earlier(until, time.Unix((last+1)*24*60*60-8*60*60, 0).UTC())
		}
		entry, err := b.entry(m, f, batch, until)
		if err != nil {
			return err
		}
		b.copies = append(b.copies, &exchangev1.CollectedMaterial{
			Code: m.Code, Name: m.Name, Record: batch.Records[0], Grade: gradeOf(f.grade),
			Annotation: b.r.annotation(b.a, f.source, b.r.Clock(), until),
		})
		b.entries, b.allowed, b.of = append(b.entries, entry), append(b.allowed, f.source.allowed), append(b.of, m)
		b.seen = append(b.seen, journal.SeenOf(f.held.Row.Topic, &f.held.Present))
	}
	return nil
}

// goodUntil takes a copy's end for that of all, if it is the first.
func goodUntil(answer *exchangev1.CollectResponse, until time.Time) {
	if answer.UsableUntil != nil {
		until = earlier(answer.UsableUntil.AsTime(), until)
	}
	answer.UsableUntil = timestamppb.New(until)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func (r *Reuse) cut(batch *release.Batch, f found, view release.View) error {
	p := f.held.Present
	v := &release.Version{Index: f.held.Row.Index, KeyToken: p.KeyToken, Leaf: f.held.Row.Leaf, Sealed: f.held.Row.Body}
	return r.Queries.Cutter().Add(batch, f.source.topic, v, release.Presence{
		Held: true, Index: p.Index, PayloadIndex: p.PayloadIndex, Version: p.Version, Status: p.Status, ValidUntil: p.ValidUntil,
	}, view)
}

// entry is the ledger's line for one copy: a query, for one material.
func (b *binding) entry(m *material, f found, batch *release.Batch, until time.Time) (journal.Entry, error) {
	who, err := b.a.commitments()
	if err != nil {
		return journal.Entry{}, err
	}
	request, d := f.source.allowed.Request, &f.source.allowed.Decision
	subject := verify.CommitSubject(verify.Question, 0, who.secret, f.source.about)
	q := &ledgerv1.RecordsQueried{
		Topic: d.Topic, Provider: d.Provider, Consumer: request.Caller.System, Purpose: request.Purpose, Policy: d.Policy,
		PersonCommitment: who.person, CaseCommitment: who.number, SubjectCommitment: subject[:],
		Records: 1, DetailsRoot: batch.Root(), Material: m.Code, Preview: b.preview,
	}
	if !b.preview {
		q.UsableUntilUs = until.UnixMicro()
	}
	if d.Grant != nil {
		q.Grant, q.GrantVersion = d.Grant.ID, d.Grant.Version
	}
	consents := request.Facts.Consent.Digests
	for i, digest := range consents {
		c := verify.Commit(verify.Consent, uint32(i), who.secret, digest)
		q.ConsentCommitments = append(q.ConsentCommitments, c[:])
	}
	entry := b.a.entry(&ledgerv1.LedgerEntry{Body: &ledgerv1.LedgerEntry_Queried{Queried: q}}, who)
	opening := entry.Opening
	opening.Subject, opening.Details, opening.Consents = f.source.about, batch.Details, consents
	return entry, nil
}

// annotation is what stands on a copy (加注).
func (r *Reuse) annotation(a *assessment, from *source, made, until time.Time) string {
	provider := from.topic.Provider
	if p, err := r.Topics.Participant(provider); err == nil {
		provider = p.Name
	}
	return fmt.Sprintf("仅供办理“%s”（办件编号 %s）使用；提供单位 %s，数据主题 %s；%s 制作，%s 前有效；不得用于其他用途。",
		a.item.Name, a.allowed.Request.Case, provider, from.topic.Message().Title,
		made.In(shanghai).Format("2006-01-02 15:04"), until.In(shanghai).Format("2006-01-02 15:04"))
}

var shanghai = time.FixedZone("Asia/Shanghai", 8*60*60)

// commit enters the copies and the collection, with the choices, and fills in the
// answer.
func (b *binding) commit(ctx context.Context, chosen map[string]choice, answer *exchangev1.CollectResponse) error {
	who, err := b.a.commitments()
	if err != nil {
		return err
	}
	var outcomes []*ledgerv1.MaterialOutcome
	for i, o := range b.a.outcomes() {
		m := b.a.materials[i]
		if _, before := chosen[m.Code]; before || !m.usable() && m.state != wasDeclined {
			continue
		}
		if m.usable() {
			o.State = wasCollected
		}
		outcomes = append(outcomes, o)
	}
	collected := &ledgerv1.MaterialsCollected{
		Consumer: b.a.allowed.Request.Caller.System, Item: b.a.item.ImplementationCode, ItemIndex: b.a.item.index, Materials: outcomes,
		PersonCommitment: who.person, CaseCommitment: who.number, SubjectCommitment: who.subject,
		Copies: uint32(len(b.copies)), UsableUntilUs: b.until.UnixMicro(),
	}
	entries := append(slices.Clone(b.entries), b.a.entry(&ledgerv1.LedgerEntry{Body: &ledgerv1.LedgerEntry_Collected{Collected: collected}}, who))
	all := append([]access.Allowed{b.a.allowed}, b.allowed...)
	call := b.r.Policy.Call(all, entries, func(ctx context.Context, tx store.Tx, slot journal.Slot) error {
		return b.choose(ctx, tx, slot, chosen)
	})
	call.Seen = b.seen
	// A crash before this is committed leaves no choice and no copy. A crash behind
	// it leaves both: the repeat gives the same copies under the same entries.
	commit, err := b.r.Queries.Journal.Submit(ctx, call)
	if err != nil {
		if errors.Is(err, errChosen) {
			return errChosen
		}
		return b.r.Queries.Denied(ctx, b.a.allowed.Request, b.a.allowed.Decision, err)
	}
	for i, c := range b.copies {
		c.Receipt = receipt(commit, i)
	}
	answer.Copies, answer.Proof, answer.Receipt = b.copies, commit.Proof, receipt(commit, len(b.copies))
	for _, e := range b.entries {
		goodUntil(answer, time.UnixMicro(e.Leaf.GetQueried().GetUsableUntilUs()))
	}
	return nil
}

var insertChoices = &store.Insert{
	Into: "INTO choices (case_token, subject_token, material, idx, copies, first)", Then: "ON CONFLICT DO NOTHING",
}

// choose writes the choices that are new, unless one of them was made meanwhile.
func (b *binding) choose(ctx context.Context, tx store.Tx, slot journal.Slot, chosen map[string]choice) error {
	var cases, subjects store.Blobs
	var materials store.Texts
	var last, copies, first store.Ints
	subject := b.r.Queries.Cases.SubjectToken(b.a.subject)
	for _, m := range b.a.materials {
		if _, before := chosen[m.Code]; before || !m.usable() && m.state != wasDeclined {
			continue
		}
		cases, subjects, materials = append(cases, b.a.of.Token), append(subjects, subject), append(materials, m.Code)
		last = append(last, int64(slot.Index)+int64(len(b.copies)))
		if m.usable() {
			copies, first = append(copies, int64(len(m.found))), append(first, int64(slot.Index)+int64(slices.Index(b.of, m)))
		} else {
			copies, first = append(copies, 0), append(first, 0)
		}
	}
	fresh, err := insertChoices.RunNew(ctx, b.r.Queries.DB.Journal, tx, cases, subjects, materials, last, copies, first)
	if err == nil && !fresh {
		return errChosen
	}
	return err
}
