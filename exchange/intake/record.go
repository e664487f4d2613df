package intake

import (
	"context"
	"crypto/rand"
	"time"
	"unicode/utf8"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// topicCheck is what one call has learnt of a topic.
type topicCheck struct {
	topic  *catalog.Topic
	err    error
	layout map[uint32]*layout
}

type layout struct {
	contract *contract.Contract
	verify   verify.Layout
}

// topic finds a topic and decides, once a call, whether the caller may publish
// on it. A denial is committed before it is returned.
func (c *check) topic(ctx context.Context, name string) *topicCheck {
	if t, ok := c.topics[name]; ok {
		return t
	}
	t := &topicCheck{layout: map[uint32]*layout{}}
	if c.topics == nil {
		c.topics = map[string]*topicCheck{}
	}
	if len(c.topics) < c.in.MaxRecords {
		c.topics[name] = t
	}
	if t.topic, t.err = c.in.Topics.Topic(name); t.err != nil {
		t.err = c.in.refused(ctx, c.caller, nil, t.err)
		return t
	}
	if c.caller == nil {
		if !verify.OwnTopic(name) {
			t.err = fault.New(fault.Internal, "topic.owner", "the exchange publishes on its own topics only")
		}
		return t
	}
	request := access.Request{Caller: c.caller, Action: access.Publish, Topic: name}
	if d := c.in.Access.Decide(request); !d.Allow {
		t.err = fault.New(fault.Denied, d.Rule, "%s", d.Message)
		if err := c.in.Refusals.Refuse(ctx, request, d); err != nil {
			t.err = err
		}
	}
	return t
}

// refused commits the entry of a refusal and gives the refusal, or why it could not
// be committed. What the exchange publishes itself is refused without one.
func (in *Intake) refused(ctx context.Context, caller *identity.Caller, t *catalog.Topic, refusal error) error {
	if caller == nil || !access.Worth(fault.KindOf(refusal)) {
		return refusal
	}
	request := access.Request{Caller: caller, Action: access.Publish}
	d := access.Decision{Kind: fault.KindOf(refusal), Rule: fault.RuleOf(refusal)}
	if t != nil && t.KnownTo(caller) {
		request.Topic, d.Topic, d.Provider = t.Name, t.Name, t.Provider
	}
	if err := in.Refusals.Refuse(ctx, request, d); err != nil {
		return err
	}
	return refusal
}

func (t *topicCheck) contract(version uint32) (*layout, error) {
	if l, ok := t.layout[version]; ok {
		return l, nil
	}
	k, err := t.topic.Contract(version)
	if err != nil {
		return nil, err
	}
	l := &layout{contract: k, verify: verify.Layout{Contract: k.Name(), Version: k.Version(), Fields: k.Fields()}}
	t.layout[version] = l
	return l, nil
}

// record checks one publication and prepares it for the journal.
func (c *check) record(ctx context.Context, p *exchangev1.Publication, result *exchangev1.PublicationResult) (*journal.Record, error) {
	t := c.topic(ctx, p.Topic)
	if t.err != nil {
		return nil, t.err
	}
	r, err := c.prepared(ctx, p, t, result)
	if err == nil && len(p.Statement) != 0 && string(p.Statement) != string(r.Statement[:]) {
		err = fault.Field("statement", "statement.mismatch", "is not the hash of what the record states")
	}
	if err != nil {
		return nil, c.in.refused(ctx, c.caller, t.topic, err)
	}
	return r, nil
}

// prepared checks a publication on a topic of the caller's, and prepares it.
func (c *check) prepared(ctx context.Context, p *exchangev1.Publication, t *topicCheck, result *exchangev1.PublicationResult) (*journal.Record, error) {
	if err := c.envelope(p, t.topic); err != nil {
		return nil, err
	}
	opening := &ledgerv1.RecordOpening{Secret: p.Secret, Reason: p.Reason, Successor: p.Successor}
	leaf := &ledgerv1.RecordPublished{
		Topic: p.Topic, Operation: p.Operation, IdempotencyKey: p.IdempotencyKey,
		SourceVersion: p.SourceVersion, IfIndexPlusOne: p.IfIndexPlusOne, Partition: t.topic.Partition,
	}
	if p.EffectiveAt != nil {
		leaf.EffectiveAtUs = p.EffectiveAt.AsTime().UnixMicro()
	}
	r := &journal.Record{Leaf: leaf, ValidFrom: minDay, ValidUntil: maxDay}
	var err error
	if leaf.Operation == ledgerv1.Operation_OPERATION_PUT {
		if err = c.content(p, t, r, opening, result); err == nil {
			err = c.documents(ctx, p, r, opening)
		}
		if closer := c.in.Checks[leaf.Contract]; err == nil && closer != nil {
			err = closer.Check(opening.Payload, opening.Documents)
		}
	} else {
		opening.Key = p.Key
	}
	if err != nil {
		return nil, err
	}
	return r, c.seal(p.Topic, r, opening)
}

// envelope checks everything of a publication but its content, and fills in what
// may be left out.
func (c *check) envelope(p *exchangev1.Publication, t *catalog.Topic) error {
	signed := len(c.request.Signature) != 0
	if p.Operation == ledgerv1.Operation_OPERATION_UNSPECIFIED {
		p.Operation = ledgerv1.Operation_OPERATION_PUT
	}
	put := p.Operation == ledgerv1.Operation_OPERATION_PUT
	switch {
	case p.Operation < 0 || p.Operation > ledgerv1.Operation_OPERATION_ERASE:
		return fault.Field("operation", "operation.unknown", "is none that the exchange knows")
	case t.SignatureRequired && !signed:
		return fault.New(fault.Denied, "signature.required", "the topic takes signed publications only; sign the call")
	case len(p.IdempotencyKey) != verify.KeySize && (signed || len(p.IdempotencyKey) != 0):
		return fault.Field("idempotency_key", "idempotency_key.size", "needs %d bytes", verify.KeySize)
	case len(p.Secret) != verify.SecretSize && (signed || len(p.Secret) != 0):
		return fault.Field("secret", "secret.size", "needs %d bytes", verify.SecretSize)
	case !put && p.Content != nil:
		return fault.Field("content", "content.unexpected", "only PUT has content")
	case !put && p.Key == "":
		return fault.Field("key", "key.required", "names the record that the operation is on")
	case !put && len(p.Documents) != 0:
		return fault.Field("documents", "documents.unexpected", "go with PUT only")
	case len(p.Documents) > maxDocuments:
		return fault.Field("documents", "documents.number", "a record has at most %d documents", maxDocuments)
	case put && p.Key != "":
		return fault.Field("key", "key.unexpected", "the content of a PUT holds the key")
	case len(p.Key) > 256 || len(p.Successor) > 256:
		return fault.Field("key", "key.size", "a key has at most 256 bytes")
	case len(p.Reason) > maxReason:
		return fault.Field("reason", "reason.size", "has more than %d bytes", maxReason)
	case p.Reason == "" && needsReason(p.Operation):
		return fault.Field("reason", "reason.required", "is required to revoke, cancel or erase")
	case p.Successor != "" && p.Operation != ledgerv1.Operation_OPERATION_SUPERSEDE:
		return fault.Field("successor", "successor.unexpected", "goes with SUPERSEDE only")
	case contract.SameCertificate(p.Key, p.Successor) && contract.CertificateVersion(p.Successor) <= contract.CertificateVersion(p.Key):
		return fault.Field("successor", "successor.version", "is no later version of the same certificate; name the identifier with the higher version")
	case p.SourceVersion > 1<<62 || p.IfIndexPlusOne > 1<<62:
		return fault.Field("source_version", "number.range", "is too large")
	case !utf8.ValidString(p.Key):
		return fault.Field("key", "utf8", "is not UTF-8")
	case !contract.OneLine(p.Successor):
		return fault.Field("successor", "successor.text", "is no line of printable text; write it without control characters")
	case !contract.Lines(p.Reason):
		return fault.Field("reason", "reason.text", "is no printable text; write it without control characters")
	}
	if p.EffectiveAt != nil {
		if err := p.EffectiveAt.CheckValid(); err != nil || p.EffectiveAt.AsTime().Year() < 1900 || p.EffectiveAt.AsTime().Year() > 2200 {
			return fault.Field("effective_at", "effective_at.range", "is not a time between the years 1900 and 2200")
		}
	}
	return fillIn(p)
}

func needsReason(op ledgerv1.Operation) bool {
	return op == ledgerv1.Operation_OPERATION_REVOKE || op == ledgerv1.Operation_OPERATION_CANCEL || op == ledgerv1.Operation_OPERATION_ERASE
}

// fillIn makes what an unsigned publication may leave to the exchange.
func fillIn(p *exchangev1.Publication) (err error) {
	if len(p.IdempotencyKey) == 0 {
		p.IdempotencyKey = make([]byte, verify.KeySize)
		if _, err = rand.Read(p.IdempotencyKey); err != nil {
			return err
		}
	}
	if len(p.Secret) == 0 {
		p.Secret, err = newSecret()
	}
	return err
}

// content reads a PUT's content by its contract.
func (c *check) content(p *exchangev1.Publication, t *topicCheck, r *journal.Record, opening *ledgerv1.RecordOpening, result *exchangev1.PublicationResult) error {
	l, err := t.contract(p.ContractVersion)
	if err != nil {
		return err
	}
	payload := p.GetProtobuf()
	if text, ok := p.Content.(*exchangev1.Publication_Json); ok {
		if len(text.Json) > 2*c.in.MaxRecordBytes {
			return tooLarge(len(text.Json), c.in.MaxRecordBytes)
		}
		if payload, err = l.contract.FromJSON([]byte(text.Json)); err != nil {
			return err
		}
		opening.FromJson = true
	}
	if len(payload) == 0 {
		return fault.Field("content", "content.required", "a PUT needs content")
	}
	if len(payload) > c.in.MaxRecordBytes {
		return tooLarge(len(payload), c.in.MaxRecordBytes)
	}
	record, err := l.contract.Read(payload)
	if err != nil {
		return err
	}
	commitment, err := l.verify.Commitment(p.Secret, payload)
	if err != nil {
		return fault.Field("content", "malformed", "%v", err)
	}
	r.Leaf.PayloadCommitment = commitment[:]
	r.Leaf.Contract, r.Leaf.ContractVersion = l.contract.Name(), l.contract.Version()
	r.HasPayload = true
	r.ValidFrom, r.ValidUntil = ValidDays(record)
	opening.Key, opening.Payload = record.Key, payload
	for i, s := range record.Subjects {
		subject := &ledgerv1.Subject{Type: s.Type, Number: s.Number, Role: s.Role}
		h := verify.CommitSubject(verify.Subject, uint32(i), p.Secret, subject)
		r.Leaf.SubjectCommitments = append(r.Leaf.SubjectCommitments, h[:])
		opening.Subjects = append(opening.Subjects, subject)
		r.Tokens = append(r.Tokens, c.in.Keys.Token(identity.TokenSubject, s.Type, s.Number)...)
	}
	for _, w := range record.Warnings {
		opening.Warnings = append(opening.Warnings, &ledgerv1.Warning{Field: w.Field, Rule: w.Rule, Message: w.Message})
		result.Warnings = append(result.Warnings, &exchangev1.Violation{Field: w.Field, Rule: w.Rule, Message: w.Message})
	}
	return nil
}

// documents finds the documents that a publication names. Whether they are free to
// belong to it is decided where it is committed: a repeat names them again.
func (c *check) documents(ctx context.Context, p *exchangev1.Publication, r *journal.Record, opening *ledgerv1.RecordOpening) error {
	if len(p.Documents) == 0 {
		return nil
	}
	if c.in.Documents == nil || c.caller == nil {
		return fault.Field("documents", "documents.unexpected", "are not taken here")
	}
	var err error
	if opening.Documents, err = c.in.Documents.Of(ctx, c.caller.System, p.Documents); err != nil {
		return err
	}
	r.Documents = p.Documents
	r.Leaf.DocumentsCommitment = verify.CommitDocuments(p.Secret, opening.Documents)
	return nil
}

// seal makes the commitments that every operation has, the statement, and the
// sealed opening.
func (c *check) seal(topic string, r *journal.Record, opening *ledgerv1.RecordOpening) error {
	return seal(c.in.Keys, c.in.Journal.Head().Origin, topic, r, opening)
}

func seal(keys Keys, origin, topic string, r *journal.Record, opening *ledgerv1.RecordOpening) (err error) {
	secret := opening.Secret
	r.Leaf.KeyCommitment = verify.CommitText(verify.Key, 0, secret, opening.Key)
	r.Leaf.ReasonCommitment = verify.CommitText(verify.Reason, 0, secret, opening.Reason)
	r.Leaf.SuccessorCommitment = verify.CommitText(verify.Successor, 0, secret, opening.Successor)
	r.Statement = verify.StatementOf(r.Leaf).LeafHash()
	r.KeyToken = keys.Token(identity.TokenRecord, topic, opening.Key)
	r.Sealed, err = journal.SealRecord(keys, origin, topic, r.KeyToken, opening)
	return err
}

// Own makes a publication without content that the exchange itself makes of a
// record, by its key: leaf says everything but the commitments.
func Own(keys Keys, origin string, leaf *ledgerv1.RecordPublished, key, reason string) (*journal.Record, error) {
	secret, err := newSecret()
	if err != nil {
		return nil, err
	}
	r := &journal.Record{Leaf: leaf, ValidFrom: minDay, ValidUntil: maxDay}
	return r, seal(keys, origin, leaf.Topic, r, &ledgerv1.RecordOpening{Secret: secret, Key: key, Reason: reason})
}

func tooLarge(n, limit int) error {
	f := fault.New(fault.TooLarge, "record.bytes", "the record has %d bytes; %d is the limit; documents go beside the record", n, limit)
	return f.With(fault.Violation{Field: "content", Rule: f.Rule, Message: f.Message})
}

// Days without bounds: every day is on or after minDay and on or before maxDay.
const (
	minDay = -1 << 40
	maxDay = 1 << 40
)

// ValidDays gives the first and the last day on which a record is valid, as days
// since 1970-01-01.
func ValidDays(r *contract.Record) (from, until int64) {
	return dayOr(r.ValidFrom, minDay), dayOr(r.ValidUntil, maxDay)
}

// dayOr gives a calendar date as days since 1970-01-01.
func dayOr(date string, otherwise int64) int64 {
	d, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return otherwise
	}
	return d.Unix() / 86400
}

func timeOf(us int64) time.Time { return time.UnixMicro(us).UTC() }

// Problem gives an error as it is answered for a single record.
func Problem(err error) *exchangev1.Problem {
	s := fault.Status(err)
	p := &exchangev1.Problem{Kind: fault.KindOf(err).String(), Rule: fault.RuleOf(err), Message: s.Message()}
	for _, v := range violations(err) {
		p.Violations = append(p.Violations, &exchangev1.Violation{Field: v.Field, Rule: v.Rule, Message: v.Message})
	}
	return p
}
