package subscription

import (
	"fmt"
	"slices"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/release"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

const (
	// batchRecords is the most records of one release.
	batchRecords = 256
	// batchBytes is how many bytes of records end a batch.
	batchBytes = 1 << 20
)

// batch is a release being put together, ahead of its commit.
type batch struct {
	release.Batch
	decision access.Decision
	// audience says whom records may be about; nil where it is everybody.
	audience *audience
	items    []*item
	bytes    uint64
}

func (b *batch) full() bool {
	return b != nil && (len(b.items) >= batchRecords || b.bytes >= batchBytes)
}

// take deals what was read to the lanes held here.
func (s *session) take(rows []journal.Row) {
	s.active, s.announced = s.m.now(), false
	n := s.standing.spec.Lanes
	for i := range rows {
		r := &rows[i]
		l := s.lane(r.KeyToken, n)
		if l == nil || r.Sequence <= l.seen || l.full || l.leaving != 0 || s.items[r.Sequence] != nil {
			continue
		}
		if l.count >= maxUnsettled {
			// The lane stands still here, and goes on from here.
			l.full, l.seen = true, r.Sequence-1
			continue
		}
		s.add(&item{sequence: r.Sequence, key: keyOf(r.KeyToken, r.Sequence), index: r.Index, lane: l, row: r})
	}
	if len(rows) == 0 {
		return
	}
	s.read = rows[len(rows)-1].Sequence
	for _, l := range s.lanes {
		if !l.full && l.leaving == 0 {
			l.seen = max(l.seen, s.read)
		}
	}
}

// keyOf names a row's record. A version whose record was erased is of none: its
// token went with it.
func keyOf(token []byte, sequence uint64) string {
	if len(token) == 0 {
		return fmt.Sprintf("erased %d", sequence)
	}
	return string(token)
}

// follow reads the topic from where the least advanced lane stands, unless that
// is being read already.
func (s *session) follow() {
	from := uint64(1 << 62)
	for _, l := range s.lanes {
		if l.full && l.count < maxUnsettled/2 {
			l.full = false
		}
		if !l.full && l.leaving == 0 {
			from = min(from, l.seen)
		}
	}
	if from == 1<<62 || s.feed != nil && from >= s.read {
		return
	}
	if s.feed != nil {
		s.feed.cancel()
	}
	s.read, s.announced = from, false
	s.feed = s.m.feed(s, from)
}

// reachedEnd says whether everything on the topic was looked at.
func (s *session) reachedEnd() (bool, error) {
	if len(s.ready) > 0 || s.owed || s.behind() {
		return false, nil
	}
	for _, l := range s.lanes {
		if l.full {
			return false, nil
		}
	}
	if s.feed != nil && len(s.feed.rows) > 0 {
		return false, nil
	}
	last, err := journal.SequenceBefore(s.ctx, s.m.DB.Reader(), journal.Number(s.standing.topic), 1<<62)
	return last <= s.read || len(s.lanes) == 0, err
}

// prepare puts what is ready into the next release, under a decision made now.
func (s *session) prepare() error {
	if len(s.ready) == 0 || s.next.full() || s.inFlight >= s.maxInFlight {
		return nil
	}
	if s.next == nil {
		d := s.m.Policy.Decide(s.request())
		if !d.Allow {
			return s.lapse(d)
		}
		a, err := s.m.audience(s.ctx, s.m.DB.Reader(), s.standing, &d)
		if err != nil {
			return err
		}
		s.next = &batch{decision: d, audience: a}
	}
	chosen := s.choose(s.next)
	if err := s.fill(s.next, chosen); err != nil {
		s.putBack(chosen)
		return err
	}
	if len(s.next.items) == 0 {
		s.next = nil
		// Nothing of it was for this member: there may be more at once.
		s.skipped = s.skipped || slices.ContainsFunc(chosen, func(it *item) bool { return it.state == gone })
	}
	return nil
}

// fill cuts what was chosen into the batch.
func (s *session) fill(b *batch, chosen []*item) error {
	if len(chosen) == 0 {
		return nil
	}
	if err := s.fetch(chosen); err != nil {
		return err
	}
	present, err := s.presence(chosen)
	if err != nil {
		return err
	}
	interests, err := s.interests(b, chosen)
	if err != nil {
		return err
	}
	if b.audience != nil && b.audience.own == nil {
		if chosen, interests, err = s.yield(chosen, interests); err != nil {
			return err
		}
	}
	for i, it := range chosen {
		s.cut(b, it, present[it.key], interests[i])
	}
	return nil
}

// interests says what the items are to the subscriber.
func (s *session) interests(b *batch, items []*item) ([]interest, error) {
	if b.audience == nil {
		return everybody[:len(items)], nil
	}
	versions := make([]asked, len(items))
	for i, it := range items {
		versions[i] = asked{it.row, it.late || it.owed}
	}
	return b.audience.interests(s.ctx, s.m.DB.Reader(), versions)
}

// everybody are the interests where everything is for the subscriber.
var everybody = func() (all [batchRecords]interest) {
	for i := range all {
		all[i] = concerned
	}
	return all
}()

// choose takes from the ready what the batch and the member's credit have room
// for.
func (s *session) choose(b *batch) []*item {
	var chosen []*item
	bytes := b.bytes
	i := 0
	for ; i < len(s.ready); i++ {
		it := s.ready[i]
		if it.state != ready || it.lane.leaving != 0 {
			continue
		}
		size := it.size
		if it.row != nil {
			size = uint64(len(it.row.Body))
		}
		if s.json {
			size *= 3
		}
		under := s.inFlight + len(chosen)
		if under >= s.maxInFlight || len(b.items)+len(chosen) >= batchRecords ||
			under > 0 && s.bytes+bytes-b.bytes+size > s.maxBytes || bytes > 0 && bytes+size > batchBytes {
			break
		}
		bytes += size
		chosen = append(chosen, it)
	}
	s.ready = append(s.ready[:0], s.ready[i:]...)
	return chosen
}

// putBack puts items in front of what is ready, or to their places where they go
// in order.
func (s *session) putBack(items []*item) {
	if s.inOrder {
		for _, it := range items {
			s.goOn(it)
		}
		return
	}
	if len(items) == 0 {
		return
	}
	s.ready = append(append(make([]*item, 0, len(items)+len(s.ready)), items...), s.ready...)
}

// fetch reads from the journal what is not in memory.
func (s *session) fetch(items []*item) error {
	missing := map[uint64]*item{}
	var sequences []uint64
	for _, it := range items {
		if it.row == nil {
			missing[it.sequence] = it
			sequences = append(sequences, it.sequence)
		}
	}
	if len(sequences) == 0 {
		return nil
	}
	rows, err := journal.BySequences(s.ctx, s.m.DB.Reader(), journal.Number(s.standing.topic), sequences)
	for i := range rows {
		missing[rows[i].Sequence].row = &rows[i]
	}
	return err
}

// presence reads the present versions of the items' records.
func (s *session) presence(items []*item) (map[string]journal.Present, error) {
	tokens := make([][]byte, 0, len(items))
	for _, it := range items {
		if it.row != nil && len(it.row.KeyToken) > 0 {
			tokens = append(tokens, it.row.KeyToken)
		}
	}
	return journal.PresentOf(s.ctx, s.m.DB.Journal, s.m.DB.Reader(), journal.Number(s.standing.topic), tokens)
}

func presenceOf(p journal.Present) release.Presence {
	return release.Presence{
		Held: len(p.KeyToken) > 0, Index: p.Index, PayloadIndex: p.PayloadIndex, Version: p.Version, Status: p.Status, ValidUntil: p.ValidUntil,
	}
}

// cut cuts one delivery to what may be seen and adds it to the batch. What is
// not part of the present state that the subscription starts from, or is about
// nobody that it is told of, is settled unseen; what cannot be read is a dead
// letter, and does not stop the others.
func (s *session) cut(b *batch, it *item, p journal.Present, to interest) {
	if it.row == nil {
		s.bury(it, "the record is no longer in the journal")
		return
	}
	if !it.late {
		it.lane.high = max(it.lane.high, it.sequence)
	}
	present := presenceOf(p)
	snapshot := s.isSnapshot(it)
	if to == unconcerned || snapshot && (it.owed || !it.late) && !startsWith(it.row, present) {
		s.pass(it)
		return
	}
	v := &release.Version{Index: it.row.Index, Sequence: it.sequence, KeyToken: it.row.KeyToken, Leaf: it.row.Leaf, Sealed: it.row.Body}
	view := release.View{Fields: b.decision.Fields, JSON: s.json, Attempt: it.attempts + 1, Current: snapshot, AboutOthers: to == formerly}
	if err := s.m.cutter.Add(&b.Batch, s.topic, v, present, view); err != nil {
		s.m.Log.Error("a record cannot be delivered", "subscription", s.id, "index", it.row.Index, "error", err)
		s.bury(it, "the exchange cannot read the record")
		return
	}
	i := len(b.items)
	it.before, it.detail = it.detail, b.DetailHash(i)
	it.size = uint64(len(b.Records[i].Payload) + len(b.Records[i].Json))
	it.state = prepared
	it.attempts++
	it.lane.dirty = true
	it.lane.flying++
	b.items = append(b.items, it)
	b.bytes += uint64(len(it.row.Body))
	s.inFlight++
	s.bytes += it.size
}

// pass settles a delivery unseen.
func (s *session) pass(it *item) {
	s.discharge(it)
	s.queues.settle(it)
}

// isSnapshot says whether a delivery is part of a present state that was asked
// for as a whole.
func (s *session) isSnapshot(it *item) bool { return it.owed || it.sequence <= s.standing.snapshot }

// startsWith says whether a version is part of the present state: it holds its
// record's present payload, and the record is still held.
func startsWith(row *journal.Row, p release.Presence) bool {
	return p.Held && p.PayloadIndex == row.Index && p.Status != exchangev1.Status_STATUS_REMOVED
}

// unprepare takes a batch apart whose entry was not committed.
func (s *session) unprepare(b *batch) {
	if b == nil {
		return
	}
	var back []*item
	for _, it := range b.items {
		s.inFlight--
		s.bytes -= it.size
		if it.state == gone {
			continue
		}
		it.state = ready
		it.attempts--
		it.detail = it.before
		it.lane.flying--
		back = append(back, it)
	}
	s.putBack(back)
}

// entry makes the batch's ledger entry.
func (s *session) entry(b *batch) journal.Entry {
	d := &b.decision
	body := &ledgerv1.BatchReleased{
		Subscription: s.id, Topic: d.Topic, Provider: d.Provider, Consumer: s.caller.System,
		Policy: d.Policy, Records: uint32(len(b.Records)), DetailsRoot: b.Root(),
	}
	if g := d.Grant; g != nil {
		body.Grant, body.GrantVersion, body.Purpose, body.LegalBasis = g.ID, g.Version, g.StandingPurpose, g.StandingLegalBasis
	}
	return journal.Entry{
		Leaf: &ledgerv1.LedgerEntry{
			Actor: s.caller.System, ActorCertificate: s.caller.Fingerprint[:], Body: &ledgerv1.LedgerEntry_Released{Released: body},
		},
		Opening: &ledgerv1.ReadOpening{Details: b.Details},
	}
}

// message makes what is sent once the entry is committed.
func (s *session) message(b *batch, c *journal.Commit) *exchangev1.SubscribeResponse {
	deliveries := make([]*exchangev1.Delivery, len(b.items))
	for i, it := range b.items {
		deliveries[i] = &exchangev1.Delivery{
			Sequence: it.sequence, Record: b.Records[i], Attempt: it.attempts, Late: it.late && !it.owed, Snapshot: s.isSnapshot(it),
		}
	}
	return &exchangev1.SubscribeResponse{Message: &exchangev1.SubscribeResponse_Batch{Batch: &exchangev1.DeliveryBatch{
		Deliveries: deliveries, Release: Receipt(c), Proof: c.Proof,
	}}}
}
