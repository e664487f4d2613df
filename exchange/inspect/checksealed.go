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

var (
	errPerson   = errors.New("the person is not who the entry commits to")
	errCase     = errors.New("the case is not the one that the entry commits to")
	errQuestion = errors.New("what was asked for is not what the entry commits to")
)

// commitments compares a read's opening with its entry.
func (c *checker) commitments(e *ledgerv1.LedgerEntry, o *ledgerv1.ReadOpening) error {
	person := verify.CommitText(verify.Person, 0, o.Secret, o.Person)
	number := verify.CommitText(verify.Case, 0, o.Secret, o.CaseNumber)
	var wantPerson, wantCase []byte
	var err error
	switch b := e.Body.(type) {
	case *ledgerv1.LedgerEntry_Refused:
		wantPerson, wantCase = b.Refused.PersonCommitment, b.Refused.CaseCommitment
	case *ledgerv1.LedgerEntry_Queried:
		q := b.Queried
		wantPerson, wantCase = q.PersonCommitment, q.CaseCommitment
		if !bytes.Equal(q.SubjectCommitment, question(o)) {
			return errQuestion
		}
		if err = asOf(e.Index, q, o.Details); err == nil {
			err = consents(o, q.ConsentCommitments)
		}
		if err == nil {
			err = c.details(e.Index, o.Details, q.Records, q.DetailsRoot)
		}
	case *ledgerv1.LedgerEntry_Released:
		wantPerson, wantCase = b.Released.PersonCommitment, b.Released.CaseCommitment
		err = c.details(e.Index, o.Details, b.Released.Records, b.Released.DetailsRoot)
	case *ledgerv1.LedgerEntry_Received:
		err = c.received(b.Received, o.Acknowledgements)
	case *ledgerv1.LedgerEntry_Read:
		wantPerson = b.Read.PersonCommitment
		filter := verify.Commit(verify.Question, 0, o.Secret, []byte(o.Filter))
		if !bytes.Equal(b.Read.FilterDigest, filter[:]) {
			return errQuestion
		}
	case *ledgerv1.LedgerEntry_DocumentStored, *ledgerv1.LedgerEntry_DocumentReturned:
		err = c.documents.opened(e, o)
	default:
		wantPerson, wantCase, err = c.permission(e, o)
	}
	switch {
	case err != nil:
		return err
	case !bytes.Equal(person, wantPerson):
		return errPerson
	case !bytes.Equal(number, wantCase):
		return errCase
	}
	return nil
}

// question commits to what a query asked for.
func question(o *ledgerv1.ReadOpening) []byte {
	if o.Subject != nil {
		h := verify.CommitSubject(verify.Question, 0, o.Secret, o.Subject)
		return h[:]
	}
	return verify.CommitText(verify.Question, 0, o.Secret, o.Key)
}

// details checks what left against the entry's root.
func (c *checker) details(index uint64, details [][]byte, records uint32, root []byte) error {
	hashes := make([][verify.HashSize]byte, len(details))
	for i, raw := range details {
		d := &ledgerv1.ReleaseDetail{}
		if err := proto.Unmarshal(raw, d); err != nil || d.Index >= index {
			return fmt.Errorf("detail %d is of no earlier entry", i)
		}
		hashes[i] = verify.LeafHash(raw)
	}
	if sum := verify.Root(hashes); len(details) != int(records) || !bytes.Equal(sum[:], root) {
		return errors.New("the details are not those of the entry's root")
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

// received checks acknowledgements against the entry's root, and their
// signatures.
func (c *checker) received(e *ledgerv1.AcknowledgementsReceived, acknowledgements [][]byte) error {
	hashes := make([][verify.HashSize]byte, len(acknowledgements))
	var records uint64
	for i, raw := range acknowledgements {
		hashes[i] = verify.LeafHash(raw)
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
	sum := verify.Root(hashes)
	if len(hashes) != int(e.Acknowledgements) || records != e.Records || !bytes.Equal(sum[:], e.Root) {
		return errors.New("the acknowledgements are not those of the entry's root")
	}
	return nil
}
