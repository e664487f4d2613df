package inspect

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// checkPublication checks a publication and its sealed row.
func (c *checker) checkPublication(ctx context.Context, r *row, p *ledgerv1.RecordPublished) error {
	c.report.Publications++
	if bad := verify.CheckPublisher(r.entry, p); bad != nil {
		return wrong("ledger", r.index, "%v", bad)
	}
	if err := c.verify.publication(r.entry, p, c.report); err != nil {
		return err
	}
	if uint64(p.Partition) >= uint64(len(c.replay.sequences)) {
		return wrong("ledger", r.index, "there is no partition %d", p.Partition)
	}
	c.replay.sequences[p.Partition]++
	number := journal.Number(p.Topic)
	c.replay.topics[number] = p.Topic
	switch {
	case p.Sequence != c.replay.sequences[p.Partition]:
		return wrong("ledger", r.index, "sequence %d of partition %d does not follow the one before", p.Sequence, p.Partition)
	case !c.objects.has("topic", p.Topic):
		return wrong("ledger", r.index, "its topic was not in the catalogue")
	case !r.sealed:
		return wrong("sealed", r.index, "the publication has no sealed row")
	case r.topic != number:
		return wrong("sealed", r.index, "topic is not that of the publication")
	case r.pos != int64(p.Sequence):
		return wrong("sealed", r.index, "pos is not the publication's sequence")
	case r.prev < 0 || r.prev > int64(r.index):
		return wrong("sealed", r.index, "prev is no entry before it")
	}
	c.replay.sealed++
	c.replay.by(r.entry, p)
	if p.SnapshotPlusOne != 0 {
		if err := checkRemoved(r, c.verify.snapshots.Topics()[p.Topic]); err != nil {
			return err
		}
	}
	switch {
	case p.Operation == ledgerv1.Operation_OPERATION_ERASE:
		return c.checkEraser(r)
	case r.keyToken == nil:
		// Erased: the walk from its erasure has to come by here.
		if r.tokens != nil || r.body != nil {
			return wrong("sealed", r.index, "key_token is gone, but not what goes with it")
		}
		c.replay.gone.set(r.index)
		return nil
	}
	c.replay.live.set(r.index)
	return c.checkRecordOpening(ctx, r, p)
}

// checkEraser checks the row of an erase operation, whose key token is bound by
// a seal over nothing.
func (c *checker) checkEraser(r *row) error {
	c.replay.gone.set(r.index)
	if r.body != nil || r.keyToken == nil {
		return wrong("sealed", r.index, "the row of an erasure has a token and no opening")
	}
	if err := journal.OpenEraser(c.keys, c.origin, r.entry.GetPublished().Topic, r.keyToken, r.tokens); err != nil {
		return wrong("sealed", r.index, "key_token is not the one that was sealed")
	}
	return nil
}

// checkRecordOpening opens a publication and compares every commitment.
func (c *checker) checkRecordOpening(ctx context.Context, r *row, p *ledgerv1.RecordPublished) error {
	opening, err := journal.OpenRecord(c.keys, c.origin, p.Topic, r.keyToken, r.body)
	if err != nil {
		return wrong("sealed", r.index, "body and key_token do not open")
	}
	if !bytes.Equal(r.keyToken, c.keys.Token(identity.TokenRecord, p.Topic, opening.Key)) {
		return wrong("sealed", r.index, "key_token is not that of the record's key")
	}
	if bad := verify.CheckRecordOpening(p, opening); bad != nil {
		return wrong("sealed", r.index, "%v", bad)
	}
	c.documents.attach(r.index, opening.Documents)
	var tokens []byte
	for _, s := range opening.Subjects {
		tokens = append(tokens, c.keys.Token(identity.TokenSubject, s.Type, s.Number)...)
	}
	if !bytes.Equal(tokens, r.tokens) {
		return wrong("sealed", r.index, "tokens are not those of the subjects")
	}
	if len(p.PayloadCommitment) == 0 && len(opening.Payload) == 0 {
		return nil
	}
	l, err := c.layouts.find(ctx, c, contractID{p.Contract, p.ContractVersion})
	if err != nil {
		return err
	}
	commitment, err := l.verify.Commitment(opening.Secret, opening.Payload)
	if err != nil || !bytes.Equal(commitment[:], p.PayloadCommitment) {
		return wrong("sealed", r.index, "the payload is not what the entry commits to")
	}
	return nil
}

// checkOpening checks the sealed row of an entry that publishes nothing.
func (c *checker) checkOpening(ctx context.Context, r *row) error {
	needs := needsOpening(r.entry)
	if !r.sealed {
		if needs {
			return wrong("sealed", r.index, "the entry has no opening")
		}
		return nil
	}
	c.replay.sealed++
	switch {
	case !needs:
		return wrong("sealed", r.index, "the entry has nothing to open")
	case r.topic != 0 || r.pos != 0 || r.prev != 0 || r.keyToken != nil || r.tokens != nil:
		return wrong("sealed", r.index, "the row says that the entry is a publication")
	}
	if r.body == nil && c.documents.erased(r.entry) {
		return nil
	}
	opening, err := journal.OpenEntry(c.keys, c.origin, r.body)
	if err != nil {
		return wrong("sealed", r.index, "body does not open")
	}
	if err := c.commitments(r.entry, opening); err != nil {
		return wrong("sealed", r.index, "%v", err)
	}
	if err := c.cases.change(r.entry, opening); err != nil {
		return err
	}
	if err := errors.Join(c.agreement(r.entry, opening), c.enrolments.change(c.keys, r.entry, opening)); err != nil {
		return wrong("ledger", r.index, "%v", err)
	}
	if err := c.reuse.take(c.keys, r.entry, opening); err != nil {
		return wrong("ledger", r.index, "%v", err)
	}
	return c.checkAsked(ctx, r, opening)
}

func needsOpening(e *ledgerv1.LedgerEntry) bool {
	switch b := e.Body.(type) {
	case *ledgerv1.LedgerEntry_Released, *ledgerv1.LedgerEntry_Received, *ledgerv1.LedgerEntry_Queried, *ledgerv1.LedgerEntry_Read,
		*ledgerv1.LedgerEntry_CaseOpened, *ledgerv1.LedgerEntry_CaseClosed, *ledgerv1.LedgerEntry_ConsentGiven, *ledgerv1.LedgerEntry_ConsentRevoked,
		*ledgerv1.LedgerEntry_Representation, *ledgerv1.LedgerEntry_Checked, *ledgerv1.LedgerEntry_Enrolled,
		*ledgerv1.LedgerEntry_Disputed, *ledgerv1.LedgerEntry_DisputeAnswered,
		*ledgerv1.LedgerEntry_Prepared, *ledgerv1.LedgerEntry_Collected, *ledgerv1.LedgerEntry_Submitted, *ledgerv1.LedgerEntry_Papers,
		*ledgerv1.LedgerEntry_DocumentStored, *ledgerv1.LedgerEntry_DocumentReturned, *ledgerv1.LedgerEntry_StatusAsked:
		return true
	case *ledgerv1.LedgerEntry_Refused:
		return len(b.Refused.PersonCommitment)+len(b.Refused.CaseCommitment) > 0
	}
	return false
}

// commitments compares a read's opening with its entry.
func (c *checker) commitments(e *ledgerv1.LedgerEntry, o *ledgerv1.ReadOpening) error {
	if err := verify.CheckReadOpening(e, o); err != nil {
		return err
	}
	switch b := e.Body.(type) {
	case *ledgerv1.LedgerEntry_Queried:
		if err := asOf(e.Index, b.Queried, o.Details); err != nil {
			return err
		}
		return details(e.Index, o.Details, b.Queried.Records)
	case *ledgerv1.LedgerEntry_Released:
		return details(e.Index, o.Details, b.Released.Records)
	case *ledgerv1.LedgerEntry_Received:
		return c.received(b.Received, o.Acknowledgements)
	case *ledgerv1.LedgerEntry_Checked:
		return lookedAt(e.Index, o, b.Checked.DetailsCommitment)
	case *ledgerv1.LedgerEntry_Disputed:
		c.reason(e.Index, o, b.Disputed.ReasonCommitment)
	case *ledgerv1.LedgerEntry_DisputeAnswered:
		c.reason(e.Index, o, b.DisputeAnswered.ReasonCommitment)
	case *ledgerv1.LedgerEntry_DocumentStored:
		c.documents.stored[e.Index] = &storedDocument{system: e.Actor, document: o.Document}
	}
	return nil
}

// details checks that what left is of earlier entries, and all of it.
func details(index uint64, details [][]byte, records uint32) error {
	for i, raw := range details {
		d := &ledgerv1.ReleaseDetail{}
		if err := proto.Unmarshal(raw, d); err != nil || d.Index >= index {
			return fmt.Errorf("detail %d is of no earlier entry", i)
		}
	}
	if len(details) != int(records) {
		return fmt.Errorf("%d details are of %d records", len(details), records)
	}
	return nil
}

// ascending says whether places are in order, and of that many.
func ascending(places []uint32, of int) bool {
	for i, p := range places {
		if int(p) >= of || i > 0 && p <= places[i-1] {
			return false
		}
	}
	return true
}

// received checks acknowledgements, their number and their signatures.
func (c *checker) received(e *ledgerv1.AcknowledgementsReceived, acknowledgements [][]byte) error {
	var records uint64
	for i, raw := range acknowledgements {
		a := &ledgerv1.Acknowledgement{}
		if err := proto.Unmarshal(raw, a); err != nil {
			return fmt.Errorf("acknowledgement %d does not decode", i)
		}
		if !ascending(a.Uncounted, len(a.Sequences)) {
			return fmt.Errorf("acknowledgement %d leaves out what it does not hold", i)
		}
		records += uint64(len(a.Sequences) - len(a.Uncounted))
		if bad := c.verify.acknowledgement(a); bad != "" || a.Subscription != e.Subscription {
			return fmt.Errorf("acknowledgement %d: %s", i, bad)
		}
		c.report.Acknowledgements++
		c.takeNotices(e.Topic, a)
	}
	if len(acknowledgements) != int(e.Acknowledgements) || records != e.Records {
		return errors.New("the acknowledgements are not as many as the entry says")
	}
	return nil
}
