package verify

import (
	"encoding/binary"
	"errors"
	"fmt"

	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// KeySize is the size of an idempotency key.
const KeySize = 16

// Statement is what a publisher states of one record and signs.
type Statement struct {
	IdempotencyKey      []byte
	Topic               string
	Operation           ledgerv1.Operation
	PayloadCommitment   []byte
	KeyCommitment       []byte // where there is no payload
	ReasonCommitment    []byte
	SuccessorCommitment []byte
	DocumentsCommitment []byte // where documents belong to the record
	EffectiveAtUs       int64
	SourceVersion       uint64
	IfIndexPlusOne      uint64
}

const (
	statementDomain = "huitong/record/v1"
	// documentsDomain is of a statement with documents.
	documentsDomain = "huitong/record/v2"
	callDomain      = "huitong/call/v1"
	ackDomain       = "huitong/ack/v1"
	stepDomain      = "huitong/step/v1"
	personDomain    = "huitong/person/v1"
	snapshotDomain  = "huitong/snapshot/v1"
	consentDomain   = "huitong/consent/v1"
	actingDomain    = "huitong/representation/v1"
)

// LeafHash gives the statement's leaf hash in its call's tree.
func (s *Statement) LeafHash() [HashSize]byte {
	var room [320]byte
	domain := statementDomain
	if len(s.DocumentsCommitment) != 0 {
		domain = documentsDomain
	}
	b := append(room[:0], domain...)
	b = appendFixed(b, s.IdempotencyKey, KeySize)
	b = appendText(b, s.Topic)
	b = append(b, byte(s.Operation))
	b = appendFixed(b, s.PayloadCommitment, HashSize)
	b = appendFixed(b, s.KeyCommitment, HashSize)
	b = appendFixed(b, s.ReasonCommitment, HashSize)
	b = appendFixed(b, s.SuccessorCommitment, HashSize)
	b = binary.BigEndian.AppendUint64(b, uint64(s.EffectiveAtUs))
	b = binary.BigEndian.AppendUint64(b, s.SourceVersion)
	b = binary.BigEndian.AppendUint64(b, s.IfIndexPlusOne)
	if len(s.DocumentsCommitment) != 0 {
		b = appendFixed(b, s.DocumentsCommitment, HashSize)
	}
	return LeafHash(b)
}

func appendFixed(b, value []byte, size int) []byte {
	var zero [HashSize]byte
	if len(value) != size {
		return append(b, zero[:size]...)
	}
	return append(b, value...)
}

// StatementOf gives the statement that a publication's entry was made from.
func StatementOf(p *ledgerv1.RecordPublished) *Statement {
	s := &Statement{
		IdempotencyKey:      p.GetIdempotencyKey(),
		Topic:               p.GetTopic(),
		Operation:           p.GetOperation(),
		PayloadCommitment:   p.GetPayloadCommitment(),
		ReasonCommitment:    p.GetReasonCommitment(),
		SuccessorCommitment: p.GetSuccessorCommitment(),
		DocumentsCommitment: p.GetDocumentsCommitment(),
		EffectiveAtUs:       p.GetEffectiveAtUs(),
		SourceVersion:       p.GetSourceVersion(),
		IfIndexPlusOne:      p.GetIfIndexPlusOne(),
	}
	if len(s.PayloadCommitment) == 0 {
		s.KeyCommitment = p.GetKeyCommitment()
	}
	return s
}

// CallStatement gives the bytes that a publisher signs for a call of these
// statements.
func CallStatement(system string, statements [][HashSize]byte) []byte {
	root := Root(statements)
	b := make([]byte, 0, len(callDomain)+2+len(system)+4+HashSize)
	b = append(b, callDomain...)
	b = appendText(b, system)
	b = binary.BigEndian.AppendUint32(b, uint32(len(statements)))
	return append(b, root[:]...)
}

// AckStatement gives the bytes that a receiver signs for these deliveries.
func AckStatement(subscription string, sequences []uint64, details [][]byte) ([]byte, error) {
	if len(sequences) != len(details) {
		return nil, errors.New("acknowledgement: as many detail hashes as sequences are needed")
	}
	b := make([]byte, 0, len(ackDomain)+2+len(subscription)+4+len(sequences)*(8+HashSize))
	b = append(b, ackDomain...)
	b = appendText(b, subscription)
	b = binary.BigEndian.AppendUint32(b, uint32(len(sequences)))
	for i, s := range sequences {
		if len(details[i]) != HashSize {
			return nil, fmt.Errorf("acknowledgement: detail hash %d has %d bytes", i, len(details[i]))
		}
		b = binary.BigEndian.AppendUint64(b, s)
		b = append(b, details[i]...)
	}
	return b, nil
}

// GrantStepStatement gives the bytes that a system, and a person, sign for a step
// of a grant; statement is a marshalled ledgerv1.StepStatement.
func GrantStepStatement(system string, statement []byte) []byte {
	b := make([]byte, 0, len(stepDomain)+2+len(system)+len(statement))
	b = append(b, stepDomain...)
	b = appendText(b, system)
	return append(b, statement...)
}

// SnapshotStatement gives the bytes that a provider signs to end a full load: all
// records of the topic that were not mentioned since the entry begun are to be
// removed. origin is the ledger's.
func SnapshotStatement(origin, system, topic string, begun uint64, abandon bool) []byte {
	b := append([]byte{}, snapshotDomain...)
	b = appendText(b, origin)
	b = appendText(b, system)
	b = appendText(b, topic)
	b = binary.BigEndian.AppendUint64(b, begun)
	if abandon {
		return append(b, 1)
	}
	return append(b, 0)
}

// ConsentStatement gives the bytes that two persons of the recipient sign where a
// subject consents, or revokes, on paper: the SHA-256 of the Consent or
// ConsentRevocation and of the scanned form. origin is the ledger's.
func ConsentStatement(origin, recipient string, digest, form []byte) []byte {
	b := append([]byte{}, consentDomain...)
	b = appendText(b, origin)
	b = appendText(b, recipient)
	b = appendFixed(b, digest, HashSize)
	return appendFixed(b, form, HashSize)
}

// RepresentationStatement gives the bytes that a person signs to record that one
// may act for another, or that this ends; statement is a marshalled
// Representation or RepresentationEnd.
func RepresentationStatement(origin, participant string, statement []byte) []byte {
	b := append([]byte{}, actingDomain...)
	b = appendText(b, origin)
	b = appendText(b, participant)
	return append(b, statement...)
}

// CallOf puts the statements of a whole call together again from its entries,
// which are given in order, for the check of its signature.
func CallOf(entries []*ledgerv1.RecordPublished) (statements [][HashSize]byte, signature []byte, err error) {
	if len(entries) == 0 || entries[0].GetCall().GetBack() != 0 {
		return nil, nil, errors.New("call: its first entry is missing")
	}
	head := entries[0].GetCall()
	total := int(head.GetStatements())
	if total != len(entries)+len(head.GetOmitted()) {
		return nil, nil, fmt.Errorf("call: %d statements, but %d entries and %d omitted", total, len(entries), len(head.GetOmitted()))
	}
	statements = make([][HashSize]byte, total)
	filled := make([]bool, total)
	put := func(position uint32, h []byte) error {
		if int(position) >= total || filled[position] || len(h) != HashSize {
			return fmt.Errorf("call: statement %d does not fit", position)
		}
		statements[position], filled[position] = [HashSize]byte(h), true
		return nil
	}
	for _, e := range entries {
		h := StatementOf(e).LeafHash()
		if err := put(e.GetCall().GetPosition(), h[:]); err != nil {
			return nil, nil, err
		}
	}
	for _, o := range head.GetOmitted() {
		if err := put(o.GetPosition(), o.GetLeafHash()); err != nil {
			return nil, nil, err
		}
	}
	return statements, head.GetSignature(), nil
}
