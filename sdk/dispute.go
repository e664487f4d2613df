package sdk

import (
	"context"
	"iter"

	"github.com/huitong-bus/huitong/exchange/fault"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// DisputeInfo is a dispute as the exchange keeps it.
type DisputeInfo = exchangev1.Dispute

// NewDispute says what is wrong with a record (校核).
type NewDispute struct {
	Topic string
	// Index is the version that was seen: Record.Index.
	Index uint64
	// Fields are the names of those that are wrong; the record as a whole if empty.
	Fields []string
	// Reason says what is wrong. It is sealed, and told to the record's provider.
	Reason string
	// Acting names the official and the case; a purpose is not needed.
	Acting Acting
}

// DisputeRecord asks a record's provider to verify it. Until it answers, the
// record is marked disputed for everybody who reads it; it may be used
// nonetheless. The provider has ten working days by law. A repeat with the same content
// changes nothing and gives it once more, with its answer if it has one; with another
// reason, of a later version, or after it was withdrawn it is a new dispute.
func (c *Client) DisputeRecord(ctx context.Context, n NewDispute) (*DisputeInfo, error) {
	resp, err := c.corrections().DisputeRecord(ctx, &exchangev1.DisputeRecordRequest{
		Topic: n.Topic, Index: n.Index, Fields: n.Fields, Reason: n.Reason, Acting: n.Acting.message(),
	})
	if err != nil {
		return nil, fault.FromStatus(err)
	}
	entry, err := c.disputed(ctx, resp)
	if err != nil {
		return nil, err
	}
	if d := entry.GetDisputed(); d.GetTopic() != n.Topic || d.GetIndex() != n.Index || d.GetConsumer() != c.system {
		return nil, unproven("entry %d is of another dispute", entry.GetIndex())
	}
	return resp.GetDispute(), nil
}

// disputed checks that a dispute is in the ledger: that of a repeat, which comes
// without a proof, by asking for one.
func (c *Client) disputed(ctx context.Context, resp *exchangev1.DisputeRecordResponse) (*ledgerv1.LedgerEntry, error) {
	if !resp.GetReceipt().GetRepeat() {
		_, entry, err := c.log.release(resp.GetReceipt(), resp.GetProof())
		return entry, err
	}
	_, entry, err := c.proven(ctx, resp.GetReceipt(), nil)
	return entry, err
}

// WithdrawDispute takes a dispute of the calling department back.
func (c *Client) WithdrawDispute(ctx context.Context, dispute uint64, person, reason string) (*DisputeInfo, error) {
	resp, err := c.corrections().WithdrawDispute(ctx, &exchangev1.WithdrawDisputeRequest{Dispute: dispute, Person: person, Reason: reason})
	if err != nil {
		return nil, fault.FromStatus(err)
	}
	return resp.GetDispute(), c.ended(resp, dispute)
}

// AnswerCorrected answers a dispute of a record that the calling department
// provides: a later version, with this ledger index, is right. Everybody who
// relied on the record hears.
func (c *Client) AnswerCorrected(ctx context.Context, dispute, corrected uint64, person, reason string) (*DisputeInfo, error) {
	return c.answer(ctx, &exchangev1.AnswerDisputeRequest{
		Dispute: dispute, Person: person, Reason: reason, Outcome: &exchangev1.AnswerDisputeRequest_Corrected{Corrected: corrected},
	})
}

// AnswerKept answers a dispute of a record that the calling department provides:
// it stands, for a reason.
func (c *Client) AnswerKept(ctx context.Context, dispute uint64, person, reason string) (*DisputeInfo, error) {
	return c.answer(ctx, &exchangev1.AnswerDisputeRequest{
		Dispute: dispute, Person: person, Reason: reason, Outcome: &exchangev1.AnswerDisputeRequest_Kept{Kept: true},
	})
}

func (c *Client) answer(ctx context.Context, r *exchangev1.AnswerDisputeRequest) (*DisputeInfo, error) {
	resp, err := c.corrections().AnswerDispute(ctx, r)
	if err != nil {
		return nil, fault.FromStatus(err)
	}
	return resp.GetDispute(), c.ended(resp, r.Dispute)
}

// ended checks that the end of a dispute is in the ledger.
func (c *Client) ended(resp interface {
	GetReceipt() *exchangev1.Receipt
	GetProof() *exchangev1.RangeProof
}, dispute uint64) error {
	_, entry, err := c.log.release(resp.GetReceipt(), resp.GetProof())
	if err != nil {
		return err
	}
	if entry.GetDisputeAnswered().GetDispute() != dispute || entry.GetActor() != c.system {
		return unproven("entry %d does not end the dispute", entry.GetIndex())
	}
	return nil
}

// Dispute gives a dispute that concerns the calling department.
func (c *Client) Dispute(ctx context.Context, dispute uint64) (*DisputeInfo, error) {
	resp, err := c.corrections().GetDispute(ctx, &exchangev1.GetDisputeRequest{Dispute: dispute})
	return resp.GetDispute(), fault.FromStatus(err)
}

// Disputes goes through the disputes that concern the calling department, the
// newest first: those that it raised and those of its own records. An empty topic
// is all.
func (c *Client) Disputes(ctx context.Context, topic string, open bool) iter.Seq2[*DisputeInfo, error] {
	return func(yield func(*DisputeInfo, error) bool) {
		req := &exchangev1.ListDisputesRequest{Topic: topic, Open: open, PageSize: 500}
		for {
			resp, err := c.corrections().ListDisputes(ctx, req)
			if err != nil {
				yield(nil, fault.FromStatus(err))
				return
			}
			for _, d := range resp.GetDisputes() {
				if !yield(d, nil) {
					return
				}
			}
			if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
				return
			}
		}
	}
}

func (c *Client) corrections() exchangev1.CorrectionServiceClient {
	return exchangev1.NewCorrectionServiceClient(c.Conn())
}
