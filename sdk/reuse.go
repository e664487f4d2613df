package sdk

import (
	"context"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// MaterialState is how a material of a service item stands for a case.
type MaterialState = ledgerv1.MaterialState

// The states of a material.
const (
	// MaterialUnknown: the exchange could not be reached; accept the paper, and
	// report it afterwards with Client.ReportPapers.
	MaterialUnknown      = ledgerv1.MaterialState_MATERIAL_STATE_UNSPECIFIED
	MaterialHeld         = ledgerv1.MaterialState_MATERIAL_STATE_HELD
	MaterialNeedsConsent = ledgerv1.MaterialState_MATERIAL_STATE_NEEDS_CONSENT
	MaterialNeedsGrant   = ledgerv1.MaterialState_MATERIAL_STATE_NEEDS_GRANT
	MaterialExpired      = ledgerv1.MaterialState_MATERIAL_STATE_EXPIRED
	MaterialDisputed     = ledgerv1.MaterialState_MATERIAL_STATE_DISPUTED
	MaterialAmbiguous    = ledgerv1.MaterialState_MATERIAL_STATE_AMBIGUOUS
	MaterialSupplierLate = ledgerv1.MaterialState_MATERIAL_STATE_SUPPLIER_LATE
	MaterialToSubmit     = ledgerv1.MaterialState_MATERIAL_STATE_TO_SUBMIT
	MaterialDeclined     = ledgerv1.MaterialState_MATERIAL_STATE_DECLINED
)

// Material says how one material stands, and what to do.
type Material = exchangev1.PreparedMaterial

// Prepared says how the materials of a case's service item stand.
type Prepared struct {
	// Unknown: the exchange could not be reached. Accept what the applicant brings,
	// and report it with Client.ReportPapers once the exchange is there again.
	Unknown bool
	Item    *exchangev1.ItemVersion
	// Materials are in the order of the item; none if Unknown.
	Materials []*Material
	Receipt   *Receipt
}

// Held are the materials that can be collected.
func (p *Prepared) Held() []*Material {
	var held []*Material
	for _, m := range p.Materials {
		if m.State == MaterialHeld || m.State == MaterialDisputed {
			held = append(held, m)
		}
	}
	return held
}

// Others are the materials that cannot be collected.
func (p *Prepared) Others() []*Material {
	return slices.DeleteFunc(slices.Clone(p.Materials), func(m *Material) bool {
		return m.State == MaterialHeld || m.State == MaterialDisputed
	})
}

// Prepare asks which materials of a case's service item the exchange holds about
// the applicant. Nothing of the records leaves: of each material it says which
// fields the copy would show, from whom. Preview shows what they say.
//
// While the exchange cannot be reached the answer is Unknown, and no error.
func (c *Client) Prepare(ctx context.Context, acting Acting, applicant Subject) (*Prepared, error) {
	resp, err := c.reuse().Prepare(ctx, &exchangev1.PrepareRequest{Acting: acting.message(), Subject: applicant.message()})
	if err := fault.FromStatus(err); err != nil {
		if fault.KindOf(err) == fault.Unavailable && ctx.Err() == nil {
			return &Prepared{Unknown: true}, nil
		}
		return nil, err
	}
	receipt, entry, err := c.log.release(resp.GetReceipt(), resp.GetProof())
	if err != nil {
		return nil, err
	}
	p := &Prepared{Item: resp.GetItem()}
	return p, c.prepared(p, acting, receipt, entry, resp.GetMaterials())
}

// prepared takes how materials stand, if their entry says the same.
func (c *Client) prepared(p *Prepared, acting Acting, receipt *Receipt, entry *ledgerv1.LedgerEntry, materials []*Material) error {
	prepared := entry.GetPrepared()
	if prepared.GetConsumer() != c.system || prepared.GetItem() != acting.Purpose || len(prepared.GetMaterials()) != len(materials) {
		return unproven("entry %d is of another preparation", receipt.Index)
	}
	for i, m := range materials {
		if in := prepared.GetMaterials()[i]; in.GetCode() != m.GetCode() || in.GetState() != m.GetState() {
			return unproven("entry %d says otherwise of material %s", receipt.Index, m.GetCode())
		}
	}
	p.Materials, p.Receipt = materials, receipt
	return nil
}

// Preview is how the materials of a case's service item stand, and what the copies
// of those that are held would say.
type Preview struct {
	Prepared
	Shown []Shown
}

// Shown is a record as a copy would show it: to be looked at, and not to be used.
type Shown struct {
	// Material is the code of the material that it stands in for.
	Material string
	Name     string
	Record   Record
	Grade    string
	// Receipt is of the entry that says that this was allowed to be shown.
	Receipt *Receipt
}

// Preview asks what Prepare does, and for what the copies would say. Show that to the
// applicant, who then agrees to their use or declines; Collect fetches the copies.
// Each record that comes is an entry in the ledger.
func (c *Client) Preview(ctx context.Context, acting Acting, applicant Subject) (*Preview, error) {
	resp, err := c.reuse().Preview(ctx, &exchangev1.PreviewRequest{Acting: acting.message(), Subject: applicant.message()})
	if err != nil {
		return nil, fault.FromStatus(err)
	}
	out, proof := &Preview{}, &rangeProof{message: resp.GetProof()}
	for _, in := range resp.GetPreviews() {
		one := Shown{Material: in.GetCode(), Name: in.GetName(), Grade: in.GetGrade()}
		queried, err := c.copied(ctx, &one.Record, &one.Receipt, acting, in, proof)
		if err != nil {
			return nil, err
		}
		if !queried.GetPreview() {
			return nil, unproven("entry %d is of no preview", one.Receipt.Index)
		}
		out.Shown = append(out.Shown, one)
	}
	receipt, entry, err := c.proven(ctx, resp.GetReceipt(), proof)
	if err != nil {
		return nil, err
	}
	if n := entry.GetPrepared().GetPreviews(); int(n) != len(out.Shown) {
		return nil, unproven("entry %d is of %d previews, and %d came", receipt.Index, n, len(out.Shown))
	}
	if err := c.prepared(&out.Prepared, acting, receipt, entry, resp.GetMaterials()); err != nil {
		return nil, err
	}
	out.Item = resp.GetItem()
	return out, c.log.checkRange(proof)
}

// Collect asks for copies of the materials that are held.
type Collect struct {
	Acting    Acting
	Applicant Subject
	// Declined are codes of materials that the applicant does not want to be used.
	Declined []string
	// JSON asks for payloads as protobuf-JSON too.
	JSON bool
}

// Copy is an annotated copy of one record: usable for this purpose and case until
// UsableUntil.
type Copy struct {
	// Material is the code of the material that it stands in for.
	Material   string
	Name       string
	Record     Record
	Grade      string
	Annotation string
	// Receipt is of the entry that says that this copy was allowed to leave.
	Receipt     *Receipt
	UsableUntil time.Time
}

// Collected is what Collect gives.
type Collected struct {
	Item   *exchangev1.ItemVersion
	Copies []Copy
	// Others are the materials that did not come, with what to do.
	Others  []*Material
	Receipt *Receipt
	// Repeat: all of it was collected before; nothing was entered.
	Repeat bool
}

// Collect releases what the exchange holds for a case, but for what the applicant
// declined. It may be repeated: what was collected before comes again under its
// first entry, and what has come to be held since comes with it. A choice once made
// is not changed.
func (c *Client) Collect(ctx context.Context, q Collect) (*Collected, error) {
	resp, err := c.reuse().Collect(ctx, &exchangev1.CollectRequest{
		Acting: q.Acting.message(), Subject: q.Applicant.message(), Declined: q.Declined, Json: q.JSON,
	})
	if err != nil {
		return nil, fault.FromStatus(err)
	}
	out := &Collected{Item: resp.GetItem(), Others: resp.GetOthers(), Repeat: resp.GetRepeat()}
	proof := &rangeProof{message: resp.GetProof()}
	copies := slices.SortedStableFunc(slices.Values(resp.GetCopies()), func(a, b *exchangev1.CollectedMaterial) int {
		return int(int64(a.GetReceipt().GetIndex()) - int64(b.GetReceipt().GetIndex()))
	})
	for _, in := range copies {
		one, err := c.copyOf(ctx, &q, in, proof)
		if err != nil {
			return nil, err
		}
		out.Copies = append(out.Copies, *one)
	}
	return out, c.collected(ctx, &q, out, resp, proof)
}

func (c *Client) copyOf(ctx context.Context, q *Collect, in *exchangev1.CollectedMaterial, proof *rangeProof) (*Copy, error) {
	one := &Copy{Material: in.GetCode(), Name: in.GetName(), Grade: in.GetGrade(), Annotation: in.GetAnnotation()}
	queried, err := c.copied(ctx, &one.Record, &one.Receipt, q.Acting, in, proof)
	if err != nil {
		return nil, err
	}
	if queried.GetPreview() {
		return nil, unproven("entry %d is of a preview", one.Receipt.Index)
	}
	one.UsableUntil = time.UnixMicro(queried.GetUsableUntilUs())
	return one, nil
}

// copied takes what came for a material, if it is what was published and its entry
// is of it.
func (c *Client) copied(ctx context.Context, record *Record, receipt **Receipt, acting Acting, in copyMessage, proof *rangeProof) (*ledgerv1.RecordsQueried, error) {
	readRecord(record, in.GetRecord())
	if err := record.check(); err != nil {
		return nil, err
	}
	of, entry, err := c.proven(ctx, in.GetReceipt(), proof)
	if err != nil {
		return nil, err
	}
	queried := entry.GetQueried()
	if queried.GetConsumer() != c.system || queried.GetTopic() != record.Topic || queried.GetPurpose() != acting.Purpose || queried.GetMaterial() != in.GetCode() {
		return nil, unproven("entry %d is of another copy", of.Index)
	}
	*receipt = of
	// A record that has changed since comes as a notice, which the entry is not of.
	if of.Repeat && (record.Notice || record.Erased) {
		return queried, nil
	}
	return queried, covers(queried.GetRecords(), queried.GetDetailsRoot(), [][verify.HashSize]byte{detailHash(in.GetRecord(), 0, 0)})
}

// copyMessage is what a record of a material comes in.
type copyMessage interface {
	GetCode() string
	GetRecord() *exchangev1.ReleasedRecord
	GetReceipt() *exchangev1.Receipt
}

// proven gives the receipt of an entry: a new one takes its place in the proof of
// the call, an old one is proven by itself.
func (c *Client) proven(ctx context.Context, in *exchangev1.Receipt, proof *rangeProof) (*Receipt, *ledgerv1.LedgerEntry, error) {
	receipt, entry := &Receipt{}, &ledgerv1.LedgerEntry{}
	fillReceipt(receipt, in)
	if err := proto.Unmarshal(receipt.Leaf, entry); err != nil || entry.GetIndex() != receipt.Index {
		return nil, nil, unproven("the leaf of entry %d is of another entry", receipt.Index)
	}
	if receipt.Repeat {
		return receipt, entry, c.ProveReceipt(ctx, receipt)
	}
	if receipt.Index != proof.message.GetFirst()+uint64(len(proof.leaves)) {
		return nil, nil, unproven("entry %d is not among those of the proof", receipt.Index)
	}
	receipt.proof, receipt.place = proof, len(proof.leaves)
	proof.leaves = append(proof.leaves, verify.LeafHash(receipt.Leaf))
	return receipt, entry, nil
}

// collected checks the entry of the collection, and proves all entries of the call.
func (c *Client) collected(ctx context.Context, q *Collect, out *Collected, resp *exchangev1.CollectResponse, proof *rangeProof) error {
	if resp.GetReceipt() == nil {
		return nil // nothing is held, and nothing was chosen
	}
	receipt, entry, err := c.proven(ctx, resp.GetReceipt(), proof)
	if err != nil {
		return err
	}
	e := entry.GetCollected()
	if e.GetConsumer() != c.system || e.GetItem() != q.Acting.Purpose {
		return unproven("entry %d is of another collection", receipt.Index)
	}
	out.Receipt = receipt
	if receipt.Repeat {
		return nil
	}
	if int(e.GetCopies()) != len(proof.leaves)-1 {
		return unproven("entry %d is of %d copies, and %d came", receipt.Index, e.GetCopies(), len(proof.leaves)-1)
	}
	return c.log.checkRange(proof)
}

// ReportPapers says which materials were accepted on paper while the exchange could
// not be reached, by their codes, and gives those that it held all the same. The
// case has to be open; open it after the fact.
func (c *Client) ReportPapers(ctx context.Context, acting Acting, applicant Subject, materials ...string) (avoidable []string, err error) {
	resp, err := c.reuse().ReportPapers(ctx, &exchangev1.ReportPapersRequest{
		Acting: acting.message(), Subject: applicant.message(), Materials: materials,
	})
	if err != nil {
		return nil, fault.FromStatus(err)
	}
	return resp.GetAvoidable(), nil
}

// Submission is a material that the applicant of a case submitted.
type Submission struct {
	Acting Acting
	// Material is the record, on a topic of the department's own under the contract
	// huitong.records.v1.SubmittedMaterial.
	Material *Publication
}

// Submit enters what an applicant submitted, once: the next department finds it
// held, for what it was submitted for, or for more if the applicant agreed to its
// reuse. A retry with the same idempotency key changes nothing.
func (c *Client) Submit(ctx context.Context, s Submission) (*Receipt, error) {
	p := c.Publisher(PublisherConfig{CallUnary: true})
	defer func() { _ = p.Close(ctx) }()
	it, err := p.prepare(ctx, s.Material)
	if err != nil {
		return nil, err
	}
	one := &call{items: []*item{it}}
	if err := p.seal(one); err != nil {
		return nil, err
	}
	resp, err := c.reuse().Submit(ctx, &exchangev1.SubmitRequest{
		Acting: s.Acting.message(), Material: one.request.Records[0], Signature: one.request.Signature,
	})
	if err != nil {
		return nil, fault.FromStatus(err)
	}
	receipts, err := p.receipts(one, &exchangev1.PublishResponse{
		Results: []*exchangev1.PublicationResult{{
			Outcome: &exchangev1.PublicationResult_Receipt{Receipt: resp.GetReceipt()}, Warnings: resp.GetWarnings(),
		}},
		Proof: resp.GetProof(),
	})
	if err != nil {
		return nil, err
	}
	return receipts[0], nil
}

func (c *Client) reuse() exchangev1.ReuseServiceClient {
	return exchangev1.NewReuseServiceClient(c.Conn())
}

// ReuseCount is what was counted of a service item at a department on a day.
type ReuseCount = exchangev1.ReuseCount

// ReuseQuery says what is counted: from one day until another, both included, in
// Asia/Shanghai; today where a day is zero.
type ReuseQuery struct {
	From, Until time.Time
	// Item is the code of a service item; every item if empty.
	Item string
	// Department is a credit code; all that the caller may see if empty.
	Department string
}

// ReuseStatistics counts what was asked, held, reused, declined and submitted, from
// the ledger alone. A department sees its own, operators and auditors see all.
func (c *Client) ReuseStatistics(ctx context.Context, q ReuseQuery) ([]*ReuseCount, error) {
	r := &exchangev1.GetReuseStatisticsRequest{Item: q.Item, Department: q.Department}
	if !q.From.IsZero() {
		r.From = date(q.From)
	}
	if !q.Until.IsZero() {
		r.Until = date(q.Until)
	}
	resp, err := c.reuse().GetReuseStatistics(ctx, r)
	if err != nil {
		return nil, fault.FromStatus(err)
	}
	return resp.GetCounts(), nil
}
