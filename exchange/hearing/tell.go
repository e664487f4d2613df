package hearing

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/deadline"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/inspect"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/notice"
	"github.com/huitong-bus/huitong/exchange/store"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

// maxCases bounds the cases that one notice names.
const maxCases = 1000

// cause is an entry of which somebody is to be told.
type cause struct {
	index           uint64
	topic, provider string
	word            string
	record          []byte
	disputePlusOne  uint64
	date            string
	// key is the notice's, where it does not follow from index and participant.
	key *[verify.KeySize]byte
	// told are those who are told already.
	told map[string]bool
}

// What happened, and what is to be done about it.
var words = map[string]struct{ happened, todo string }{
	"suspended":  {"提供部门已中止该记录的效力", "请核对依据该记录办理的事项"},
	"resumed":    {"提供部门已恢复该记录的效力", "请继续办理因该记录中止而暂停的事项"},
	"revoked":    {"提供部门已撤销该记录", "请核对依据该记录办理的事项"},
	"cancelled":  {"提供部门已注销该记录", "请核对依据该记录办理的事项"},
	"superseded": {"该记录已由另一记录取代", "请按新记录核对依据该记录办理的事项"},
	"expired":    {"该记录的有效期已届满", "请核对依据该记录办理的事项"},
	"erased":     {"该记录已被删除", "请删除本部门保存的该记录，并核对依据该记录办理的事项"},
	"corrected":  {"提供部门已更正该记录", "请按更正后的记录核对依据该记录办理的事项"},
	"disputed":   {"该记录被提出异议，正由提供部门校核；记录仍可使用", ""},
	"kept":       {"提供部门经校核维持该记录", ""},
	"withdrawn":  {"对该记录的异议已撤回", ""},
}

var operations = map[ledgerv1.Operation]string{
	ledgerv1.Operation_OPERATION_PUT:     "corrected",
	ledgerv1.Operation_OPERATION_SUSPEND: "suspended", ledgerv1.Operation_OPERATION_RESUME: "resumed", ledgerv1.Operation_OPERATION_REVOKE: "revoked",
	ledgerv1.Operation_OPERATION_CANCEL: "cancelled", ledgerv1.Operation_OPERATION_SUPERSEDE: "superseded",
	ledgerv1.Operation_OPERATION_ERASE: "erased",
}

// one tells everybody of one cause.
func (h *Hearing) one(ctx context.Context, index uint64) error {
	entry, err := h.entry(ctx, index)
	if err != nil {
		return err
	}
	c := &cause{index: index, told: map[string]bool{}}
	switch b := entry.Body.(type) {
	case *ledgerv1.LedgerEntry_Published:
		return h.changed(ctx, c, b.Published)
	case *ledgerv1.LedgerEntry_Disputed:
		return h.disputed(ctx, c, b.Disputed)
	case *ledgerv1.LedgerEntry_DisputeAnswered:
		return h.answered(ctx, c, b.DisputeAnswered)
	}
	return nil
}

func (h *Hearing) entry(ctx context.Context, index uint64) (*ledgerv1.LedgerEntry, error) {
	var leaf []byte
	if err := h.DB.Reader().QueryRowContext(ctx, "SELECT leaf FROM ledger WHERE idx = $1", int64(index)).Scan(&leaf); err != nil {
		return nil, fmt.Errorf("entry %d: %w", index, err)
	}
	e := &ledgerv1.LedgerEntry{}
	return e, proto.Unmarshal(leaf, e)
}

// changed tells who relied on a record that is out of force, in force again, or
// corrected. Of an erased one it is then forgotten who did.
func (h *Hearing) changed(ctx context.Context, c *cause, p *ledgerv1.RecordPublished) error {
	t, err := h.Topics.Topic(p.Topic)
	if err != nil {
		return err
	}
	c.topic, c.provider, c.word = p.Topic, t.Provider, operations[p.Operation]
	versions, err := h.Index.Versions(ctx, c.index)
	if err != nil {
		return err
	}
	if p.Operation == ledgerv1.Operation_OPERATION_PUT {
		versions = versions[1:] // who looked at the correction alone relied on what is right
	}
	if err := h.reliers(ctx, c, c.index, versions); err != nil {
		return err
	}
	if p.Operation != ledgerv1.Operation_OPERATION_ERASE {
		return nil
	}
	return h.Index.ForgetReads(ctx, versions)
}

// reliers tells who relied on any of some versions; publication is one of the
// record's whose token is known.
func (h *Hearing) reliers(ctx context.Context, c *cause, publication uint64, versions []uint64) error {
	var err error
	if c.record, err = h.token(ctx, publication); err != nil {
		return err
	}
	all, err := h.Index.ReliersOf(ctx, versions)
	if err != nil {
		return err
	}
	for _, r := range all {
		if r.Participant == c.provider {
			continue
		}
		if err := h.publish(ctx, c, r.Participant, r); err != nil {
			return err
		}
	}
	return nil
}

func (h *Hearing) token(ctx context.Context, publication uint64) (token []byte, err error) {
	err = h.DB.Reader().QueryRowContext(ctx, "SELECT key_token FROM sealed WHERE idx = $1", int64(publication)).Scan(&token)
	return token, err
}

func (h *Hearing) disputed(ctx context.Context, c *cause, d *ledgerv1.RecordDisputed) (err error) {
	c.topic, c.provider, c.word, c.disputePlusOne = d.Topic, d.Provider, "disputed", c.index+1
	if c.record, err = h.token(ctx, d.Index); err != nil {
		return err
	}
	c.told[verify.ParticipantOf(d.Consumer)] = true
	if err := h.publish(ctx, c, d.Provider, nil); err != nil {
		return err
	}
	return h.subscribers(ctx, c)
}

func (h *Hearing) answered(ctx context.Context, c *cause, a *ledgerv1.DisputeAnswered) error {
	c.topic, c.provider, c.word, c.disputePlusOne = a.Topic, a.Provider, a.Outcome, a.Dispute+1
	dispute, err := h.entry(ctx, a.Dispute)
	if err != nil {
		return err
	}
	if c.record, err = h.token(ctx, dispute.GetDisputed().GetIndex()); err != nil {
		return err
	}
	if a.CorrectedPlusOne != 0 {
		if err := h.corrected(ctx, c, a.CorrectedPlusOne-1); err != nil {
			return err
		}
	}
	other := verify.ParticipantOf(a.Consumer)
	if a.Outcome == "withdrawn" {
		c.told[other], other = true, a.Provider
	}
	if err := h.publish(ctx, c, other, nil); err != nil {
		return err
	}
	return h.subscribers(ctx, c)
}

// corrected tells who relied on a record before the publication that corrects it,
// unless that said why and they were told by it. Who looked at the correction alone
// relied on what is right.
func (h *Hearing) corrected(ctx context.Context, c *cause, publication uint64) error {
	correction, err := h.entry(ctx, publication)
	if err != nil || len(correction.GetPublished().GetReasonCommitment()) > 0 {
		return err
	}
	versions, err := h.Index.Versions(ctx, publication)
	if err != nil {
		return err
	}
	return h.reliers(ctx, c, publication, versions[1:])
}

// subscribers tells who subscribes to the topic.
func (h *Hearing) subscribers(ctx context.Context, c *cause) error {
	rows, err := h.DB.Reader().QueryContext(ctx, "SELECT DISTINCT system FROM subscriptions WHERE topic = $1", c.topic)
	if err != nil {
		return err
	}
	var systems []string
	for rows.Next() {
		var system string
		if err := rows.Scan(&system); err != nil {
			rows.Close()
			return err
		}
		systems = append(systems, system)
	}
	rows.Close()
	if err := rows.Err(); err != nil {
		return err
	}
	for _, system := range systems {
		if participant := verify.ParticipantOf(system); participant != c.provider {
			if err := h.publish(ctx, c, participant, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// publish tells one participant, once; by several notices if one cannot name all of
// its cases.
func (h *Hearing) publish(ctx context.Context, c *cause, participant string, r *inspect.Relier) error {
	if c.told[participant] {
		return nil
	}
	c.told[participant] = true
	key := h.key(c.index, participant)
	if c.key != nil {
		key = *c.key
	}
	if r == nil {
		return h.put(ctx, c, participant, key, 0, nil)
	}
	for part := 0; ; part++ {
		cases := r.Cases[min(part*maxCases, len(r.Cases)):min((part+1)*maxCases, len(r.Cases))]
		if part > 0 && len(cases) == 0 {
			return nil
		}
		if err := h.put(ctx, c, participant, ofPart(key, part), r.Version, cases); err != nil {
			return err
		}
	}
}

// put publishes one notice and starts its clock.
func (h *Hearing) put(ctx context.Context, c *cause, participant string, key [verify.KeySize]byte, relied uint64, cases []string) error {
	m := &recordsv1.Notice{
		NoticeId: hex.EncodeToString(key[:]), Recipient: participant, Cause: c.word, Topic: c.topic, Provider: c.provider,
		Record: hex.EncodeToString(c.record), EntryIndex: c.index, DisputePlusOne: c.disputePlusOne, Date: c.date,
		Happened: words[c.word].happened, ToDo: words[c.word].todo, ReliedIndex: relied,
	}
	for _, number := range cases {
		m.CaseNumbers = append(m.CaseNumbers, strings.ToValidUTF8(number, "\uFFFD"))
	}
	board, err := h.Topics.Topic(notice.Notices)
	if err != nil {
		return err
	}
	err = h.Board.PublishWith(ctx, notice.Notices, key, m, func(ctx context.Context, tx store.Tx, index uint64, at int64) error {
		return deadline.Start(ctx, tx, at, deadline.OfNotice(index, participant, board.Provider, c.topic))
	})
	if fault.KindOf(err) == fault.Internal && err != nil && ctx.Err() == nil {
		// One that cannot be told must not keep the others from hearing.
		h.Log.Error("a notice was refused", "entry", c.index, "participant", participant, "error", err)
		return nil
	}
	return err
}

// ofPart names a part of what is told under a key; the first part has the key itself.
func ofPart(key [verify.KeySize]byte, part int) [verify.KeySize]byte {
	if part == 0 {
		return key
	}
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(append([]byte("huitong/notice/part/v1"), key[:]...), uint64(part)))
	return [verify.KeySize]byte(sum[:verify.KeySize])
}

// key names the notice of a cause to a participant for good.
func (h *Hearing) key(index uint64, participant string) [verify.KeySize]byte {
	b := append([]byte("huitong/notice/v1"), h.Journal.Head().Origin...)
	b = binary.BigEndian.AppendUint64(b, index)
	sum := sha256.Sum256(append(b, participant...))
	return [verify.KeySize]byte(sum[:verify.KeySize])
}
