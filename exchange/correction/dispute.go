package correction

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/deadline"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/store"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Dispute raises a dispute. A repeat with the same content, while it is open or after
// its answer, makes no second entry and gives the receipt of the first.
func (k *Corrections) Dispute(ctx context.Context, caller *identity.Caller, r *exchangev1.DisputeRecordRequest) (*exchangev1.DisputeRecordResponse, error) {
	acting := r.GetActing()
	request := access.Request{
		Caller: caller, Action: Dispute, Topic: r.Topic, Person: acting.GetPerson(), Case: acting.GetCaseNumber(),
	}
	if err := catalog.First(
		text("reason", r.Reason, maxReason, true),
		text("acting.person", acting.GetPerson(), maxReference, true),
		text("acting.case_number", acting.GetCaseNumber(), maxReference, true),
	); err != nil {
		return nil, err
	}
	if err := k.department(ctx, request); err != nil {
		return nil, err
	}
	response := &exchangev1.DisputeRecordResponse{}
	err := k.again(ctx, func(policy uint64) error {
		d := &dispute{k: k, caller: caller, request: r}
		if err := d.read(ctx, request); err != nil {
			return err
		}
		commit, err := k.submit(ctx, &journal.Call{From: caller.System, DecidedAt: policy, ValidateOnly: r.ValidateOnly, Build: d.build})
		if errors.Is(err, errRepeat) {
			return d.repeat(ctx, response)
		}
		if err != nil || r.ValidateOnly {
			return err
		}
		response.Receipt, response.Proof = receipt(commit), commit.Proof
		response.Dispute, err = k.Get(ctx, caller, commit.Index)
		return err
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}

// dispute is one that is being raised.
type dispute struct {
	k       *Corrections
	caller  *identity.Caller
	request *exchangev1.DisputeRecordRequest
	topic   *catalog.Topic
	version *journal.Row
	fields  []uint32
	before  uint64 // entry of the dispute that this one repeats
}

// read finds what is disputed, and refuses whoever has nothing to do with it.
func (d *dispute) read(ctx context.Context, request access.Request) (err error) {
	r := d.request
	if d.topic, err = d.k.Topics.Topic(r.Topic); err != nil {
		return err
	}
	if d.topic.Provider == d.caller.Participant {
		return fault.Field("topic", "dispute.own", "is your own department's; publish what is right")
	}
	if r.Index < 1<<62 {
		if d.version, err = journal.ByIndex(ctx, d.k.DB.Reader(), r.Index); err != nil {
			return err
		}
	}
	ofTopic := d.version != nil && d.version.Topic == journal.Number(d.topic.Name)
	if may, err := d.may(ctx, ofTopic); err != nil {
		return err
	} else if !may {
		return d.k.refuse(ctx, request, d.topic, "dispute.reliance",
			"a record is disputed by who received, queried or checked it, or may read it now")
	}
	switch {
	case !ofTopic:
		return fault.Field("index", "record.unknown", "is no entry that publishes a record of this topic")
	case d.version.Body == nil:
		return fault.New(fault.Conflict, "record.erased", "the record was erased")
	}
	if d.fields, err = d.named(); err != nil {
		return err
	}
	return d.ofCase(ctx, request)
}

// ofCase refuses a case that the caller's department never opened. One that is
// closed will do: what is wrong may show afterwards.
func (d *dispute) ofCase(ctx context.Context, request access.Request) error {
	of, err := d.k.Cases.Find(ctx, d.caller.Participant, request.Case)
	if err != nil || of != nil {
		return err
	}
	return d.k.refuse(ctx, request, d.topic, "case.unknown", "your department has no case of this number on the exchange; open it first")
}

// may says whether the caller's department has to do with the record: it may
// read the topic, it was sent the record, or it looked at some version of it.
func (d *dispute) may(ctx context.Context, ofTopic bool) (bool, error) {
	if d.k.Readers.Reads(d.caller, d.topic) {
		return true, nil
	}
	if !ofTopic {
		return false, nil
	}
	if sent, err := d.sent(ctx); err != nil || sent {
		return sent, err
	}
	if err := d.k.Reliance.Wait(ctx, d.k.Journal.Head().Size); err != nil {
		return false, err
	}
	versions, err := d.k.Reliance.Versions(ctx, d.version.Index)
	if err != nil {
		return false, err
	}
	return d.k.Reliance.Relied(ctx, d.caller.Participant, versions)
}

// sent says whether a subscription of the caller's department has come past the
// record.
func (d *dispute) sent(ctx context.Context) (bool, error) {
	var n int64
	err := d.k.DB.Reader().QueryRowContext(ctx, `SELECT count(*) FROM subscriptions s JOIN lanes l ON l.subscription = s.id
		WHERE s.topic = $1 AND s.began < $2 AND l.seen >= $2 AND s.system >= $3 AND s.system < $4`,
		d.topic.Name, int64(d.version.Sequence), d.caller.Participant+"/", d.caller.Participant+"0").Scan(&n)
	return n > 0, err
}

// named gives the numbers of the fields that are named.
func (d *dispute) named() ([]uint32, error) {
	names := d.request.Fields
	if len(names) > maxFields {
		return nil, fault.Field("fields", "dispute.fields", "are more than %d; dispute the record as a whole", maxFields)
	}
	var entry ledgerv1.LedgerEntry
	if err := proto.Unmarshal(d.version.Leaf, &entry); err != nil {
		return nil, fmt.Errorf("entry %d: %w", d.version.Index, err)
	}
	contract, err := d.topic.Contract(entry.GetPublished().GetContractVersion())
	if err != nil {
		return nil, err
	}
	return contract.Mask(names)
}

func (d *dispute) build(ctx context.Context, tx store.Tx, slot journal.Slot) ([]journal.Entry, error) {
	if err := d.bounded(ctx, tx); err != nil {
		return nil, err
	}
	// The record may have been erased since it was read.
	var token []byte
	if err := tx.QueryRowContext(ctx, "SELECT key_token FROM sealed WHERE idx = $1", int64(d.version.Index)).Scan(&token); err != nil {
		return nil, err
	}
	if token == nil {
		return nil, fault.New(fault.Conflict, "record.erased", "the record was erased")
	}
	r := &row{
		idx: slot.Index, topic: d.topic.Name, provider: d.topic.Provider, consumer: d.caller.System, participant: d.caller.Participant,
		version: d.version.Index, fields: d.fields, keyToken: token, state: open,
	}
	if err := r.insert(ctx, tx); err != nil {
		return nil, err
	}
	err := deadline.Start(ctx, tx, slot.At, deadline.Clock{
		Kind: deadline.CorrectionAnswer, Object: object(slot.Index), Owner: r.provider, Parties: []string{r.participant}, Topic: r.topic,
	})
	if err != nil {
		return nil, err
	}
	entry, err := d.entry(r)
	return []journal.Entry{entry}, err
}

// bounded refuses a second open dispute of one record by one department, and more
// than a department may have.
func (d *dispute) bounded(ctx context.Context, tx store.Tx) error {
	same, err := readRows(ctx, tx, "WHERE participant = $1 AND state = 1 AND key_token = $2 AND topic = $3",
		d.caller.Participant, d.version.KeyToken, d.topic.Name)
	if err != nil {
		return err
	}
	if len(same) > 0 {
		return d.again(ctx, tx, same[0])
	}
	if err := d.answered(ctx, tx); err != nil {
		return err
	}
	var all int64
	if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM disputes WHERE participant = $1 AND state = 1", d.caller.Participant).Scan(&all); err != nil {
		return err
	}
	if all >= MaxOpen {
		return fault.New(fault.Limited, "dispute.bound", "your department has %d open disputes, which is the most; wait for answers, or withdraw some", MaxOpen)
	}
	return nil
}

// entry makes the ledger's line.
func (d *dispute) entry(r *row) (journal.Entry, error) {
	secret, err := newSecret()
	if err != nil {
		return journal.Entry{}, err
	}
	acting, reason := d.request.GetActing(), strings.TrimSpace(d.request.Reason)
	body := &ledgerv1.RecordDisputed{
		Topic: r.topic, Provider: r.provider, Consumer: r.consumer, Index: r.version, Fields: r.fields,
		ReasonCommitment: verify.CommitText(verify.Reason, 0, secret, reason),
		PersonCommitment: verify.CommitText(verify.Person, 0, secret, acting.GetPerson()),
		CaseCommitment:   verify.CommitText(verify.Case, 0, secret, acting.GetCaseNumber()),
	}
	return journal.Entry{
		Leaf: &ledgerv1.LedgerEntry{
			Actor: d.caller.System, ActorCertificate: d.caller.Fingerprint[:], Body: &ledgerv1.LedgerEntry_Disputed{Disputed: body},
		},
		Opening: &ledgerv1.ReadOpening{Secret: secret, Person: acting.GetPerson(), CaseNumber: acting.GetCaseNumber(), Reason: reason},
	}, nil
}

func newSecret() ([]byte, error) {
	secret := make([]byte, verify.SecretSize)
	_, err := rand.Read(secret)
	return secret, err
}
