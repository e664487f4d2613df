package sdk

import (
	"bytes"
	"context"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Check asks a check that a grant of the caller names, about one subject.
type Check struct {
	Topic   string
	Acting  Acting
	Subject Subject
	// Name is the check's, and Threshold that of one of its thresholds; empty
	// where it has none. See AllowedTopics.
	Name, Threshold string
	// ValidateOnly checks whether the check would be answered; nothing is looked
	// at or recorded.
	ValidateOnly bool
}

// CheckAnswer is all that a check tells.
type CheckAnswer uint8

// The answers of a check.
const (
	CheckUnanswered CheckAnswer = iota
	CheckYes
	CheckNo
	// CheckNotHeld: the topic holds no active record about the subject.
	CheckNotHeld
)

// String gives the answer as its ledger entry commits to it.
func (a CheckAnswer) String() string { return [...]string{"unanswered", "yes", "no", "not held"}[a] }

// Checked is the answer of a check, with the receipt of the entry that says this
// system was given it.
type Checked struct {
	Answer  CheckAnswer
	Receipt *Receipt
	// Salt is what the entry's commitment to the answer was made with: whoever has
	// it can show which answer the exchange gave.
	Salt []byte
}

// Check asks the exchange and checks what it answers: the answer against its
// ledger entry, the entry against the signed checkpoint.
func (c *Client) Check(ctx context.Context, q Check) (*Checked, error) {
	after := c.log.seen()
	resp, err := c.exchange().Check(ctx, &exchangev1.CheckRequest{
		Topic: q.Topic, Acting: q.Acting.message(), Check: q.Name, Threshold: q.Threshold, ValidateOnly: q.ValidateOnly,
		Subject: &ledgerv1.Subject{Type: q.Subject.Type, Number: q.Subject.Number, Role: q.Subject.Role},
	})
	if err != nil {
		return nil, fault.FromStatus(err)
	}
	if q.ValidateOnly {
		return &Checked{}, nil
	}
	a, err := c.readChecked(&q, resp)
	if err == nil && a.Receipt.Index < after {
		return nil, unproven("entry %d is new in a ledger that had %d entries before", a.Receipt.Index, after)
	}
	return a, err
}

// readChecked checks an answer against its ledger entry.
func (c *Client) readChecked(q *Check, resp *exchangev1.CheckResponse) (*Checked, error) {
	receipt, entry, err := c.log.release(resp.GetReceipt(), resp.GetProof())
	if err != nil {
		return nil, err
	}
	a := &Checked{Answer: CheckAnswer(resp.GetAnswer()), Receipt: receipt, Salt: resp.GetAnswerSalt()}
	switch k := entry.GetChecked(); {
	case k.GetConsumer() != c.system || k.GetTopic() != q.Topic || k.GetPurpose() != q.Acting.Purpose || k.GetCheck() != q.Name || k.GetThreshold() != q.Threshold:
		return nil, unproven("entry %d is of another check", receipt.Index)
	case !a.committed(k.GetAnswerCommitment()):
		return nil, unproven("entry %d commits to another answer", receipt.Index)
	}
	return a, nil
}

func (a *Checked) committed(commitment []byte) bool {
	if a.Answer == CheckUnanswered || a.Answer > CheckNotHeld || len(a.Salt) != verify.SaltSize {
		return false
	}
	want := verify.CommitWith(verify.Answer, 0, [verify.SaltSize]byte(a.Salt), []byte(a.Answer.String()))
	return bytes.Equal(want[:], commitment)
}
