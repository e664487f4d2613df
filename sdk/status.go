package sdk

import (
	"bytes"
	"context"
	"strings"
	"time"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Standing is how a record stands, in a word.
type Standing string

// The standings. What was removed or erased is unknown, as is whatever is not
// held or on a topic that does not offer this.
const (
	StandingUnknown    Standing = "unknown"
	StandingActive     Standing = "active"
	StandingSuspended  Standing = "suspended"
	StandingRevoked    Standing = "revoked"
	StandingCancelled  Standing = "cancelled"
	StandingSuperseded Standing = "superseded"
	StandingExpired    Standing = "expired"
)

// CertificateStatus is how a record stands.
type CertificateStatus struct {
	Standing Standing
	// Since is from when; the zero time for an unknown one. It may lie ahead.
	Since time.Time
	// SupersededByVersion is the version of the certificate that took its place, 0
	// if none did or its identifier does not say.
	SupersededByVersion uint32
	Receipt             *Receipt
}

// Status asks how the record of a key stands: a certificate that somebody shows,
// by its identifier. It needs neither grant nor case. The answer is checked
// against its ledger entry, and the entry against the signed checkpoint.
func (c *Client) Status(ctx context.Context, topic, key string) (*CertificateStatus, error) {
	after := c.log.seen()
	resp, err := exchangev1.NewStatusServiceClient(c.Conn()).GetStatus(ctx, &exchangev1.GetStatusRequest{Topic: topic, Key: key})
	if err != nil {
		return nil, fault.FromStatus(err)
	}
	receipt, entry, err := c.log.release(resp.GetReceipt(), resp.GetProof())
	if err != nil {
		return nil, err
	}
	s := &CertificateStatus{
		Standing:            Standing(strings.ToLower(strings.TrimPrefix(resp.GetStanding().String(), "STANDING_"))),
		SupersededByVersion: resp.GetSupersededByVersion(), Receipt: receipt,
	}
	var since int64
	if resp.GetSince() != nil {
		s.Since = resp.GetSince().AsTime()
		since = s.Since.UnixMicro()
	}
	switch a := entry.GetStatusAsked(); {
	case a.GetConsumer() != c.system || a.GetTopic() != topic || !opens(verify.Question, resp.GetQuestionSalt(), key, a.GetQuestionCommitment()):
		return nil, unproven("entry %d is of another question", receipt.Index)
	case receipt.Index < after:
		return nil, unproven("entry %d is new in a ledger that had %d entries before", receipt.Index, after)
	case !s.committed(a, resp.GetAnswerSalt(), since):
		return nil, unproven("entry %d commits to another answer", receipt.Index)
	}
	return s, nil
}

func (s *CertificateStatus) committed(a *ledgerv1.StatusAsked, salt []byte, since int64) bool {
	return opens(verify.Answer, salt, verify.StatusText(string(s.Standing), since, s.SupersededByVersion), a.GetAnswerCommitment())
}

// opens says whether a commitment is to a text, under a salt that was disclosed.
func opens(kind verify.Kind, salt []byte, text string, commitment []byte) bool {
	if len(salt) != verify.SaltSize {
		return false
	}
	want := verify.CommitWith(kind, 0, [verify.SaltSize]byte(salt), []byte(text))
	return bytes.Equal(want[:], commitment)
}
