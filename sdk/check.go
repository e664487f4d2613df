package sdk

import (
	"bytes"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// settle checks the answer to a call and gives each item its result.
func (p *Publisher) settle(c *call, resp *exchangev1.PublishResponse) {
	receipts, err := p.receipts(c, resp)
	p.landed(c)
	for i, it := range c.items {
		switch {
		case err != nil:
			p.answer(it, nil, err)
		case receipts[i] == nil:
			p.answer(it, nil, problemFault(resp.GetResults()[i].GetProblem()))
		default:
			p.answer(it, receipts[i], nil)
		}
	}
}

// fail gives all items of a call one error.
func (p *Publisher) fail(c *call, err error) {
	p.landed(c)
	for _, it := range c.items {
		p.answer(it, nil, err)
	}
}

// landed forgets a plain call.
func (p *Publisher) landed(c *call) {
	if p.cfg.CallUnary {
		p.mu.Lock()
		delete(p.flight.loose, c)
		p.mu.Unlock()
	}
}

// receipts makes the receipts of a call, nil for what was refused, and proves
// them: each leaf says what was sent, and all of them are in the tree of a
// checkpoint that the ledger signed.
func (p *Publisher) receipts(c *call, resp *exchangev1.PublishResponse) ([]*Receipt, error) {
	if len(resp.GetResults()) != len(c.items) {
		return nil, unproven("%d answers to %d publications", len(resp.GetResults()), len(c.items))
	}
	receipts, room := make([]*Receipt, len(c.items)), make([]Receipt, len(c.items))
	proof := &rangeProof{message: resp.GetProof(), leaves: make([][verify.HashSize]byte, 0, len(c.items))}
	for i, result := range resp.GetResults() {
		in := result.GetReceipt()
		if in == nil {
			if result.GetProblem() == nil {
				return nil, unproven("neither receipt nor problem for publication %d", i)
			}
			continue
		}
		r := &room[i]
		fillReceipt(r, in)
		r.Warnings = violations(result.GetWarnings())
		receipts[i] = r
		if !in.GetRepeat() && resp.GetProof() != nil {
			r.proof, r.place = proof, len(proof.leaves)
			proof.leaves = append(proof.leaves, verify.LeafHash(in.GetLeaf()))
		}
	}
	if p.cfg.Unverified {
		return receipts, nil
	}
	return receipts, p.prove(c, receipts, proof)
}

func fillReceipt(r *Receipt, in *exchangev1.Receipt) {
	r.Index, r.At, r.Leaf, r.Repeat = in.GetIndex(), in.GetAt().AsTime(), in.GetLeaf(), in.GetRepeat()
}

func (p *Publisher) prove(c *call, receipts []*Receipt, proof *rangeProof) error {
	next, fresh := proof.message.GetFirst(), false
	for i, r := range receipts {
		if r == nil {
			continue
		}
		if err := p.says(r, c, i); err != nil {
			return err
		}
		if r.Repeat {
			continue
		}
		if r.Index != next || r.proof == nil {
			return unproven("entry %d is not among those of the proof", r.Index)
		}
		next, fresh = next+1, true
	}
	if !fresh {
		return nil
	}
	if proof.message.GetFirst() < c.after {
		return unproven("entry %d is new in a ledger that had %d entries before", proof.message.GetFirst(), c.after)
	}
	return p.client.log.checkRange(proof)
}

// says checks that a receipt's leaf states what was sent. A repeat states what
// was sent the first time, perhaps under another secret: it has to be of the
// same key, topic and operation.
func (p *Publisher) says(r *Receipt, c *call, i int) error {
	var entry ledgerv1.LedgerEntry
	if err := proto.Unmarshal(r.Leaf, &entry); err != nil {
		return unproven("the leaf of entry %d does not decode", r.Index)
	}
	published, sent := entry.GetPublished(), c.items[i].wire
	switch {
	case published == nil || entry.GetIndex() != r.Index || entry.GetActor() != p.client.system || !time.UnixMicro(entry.GetAtUs()).Equal(r.At):
		return unproven("entry %d is not what its receipt says", r.Index)
	case !bytes.Equal(published.GetIdempotencyKey(), sent.GetIdempotencyKey()),
		published.GetTopic() != sent.GetTopic(), published.GetOperation() != sent.GetOperation():
		return unproven("entry %d is of another publication", r.Index)
	case r.Repeat || sent.GetSecret() == nil:
		return nil
	case verify.StatementOf(published).LeafHash() != c.items[i].statement:
		return unproven("entry %d does not state what was sent", r.Index)
	case published.GetCall().GetBack() == 0 && !bytes.Equal(published.GetCall().GetSignature(), c.request.GetSignature()):
		return unproven("entry %d keeps another signature than the one sent", r.Index)
	}
	return nil
}
