package inspect

import (
	"strings"

	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Kinds names the entry bodies, as filters name them.
var Kinds = []string{
	"published", "released", "received", "refused", "queried", "changed", "certificate", "erased", "read",
	"stepped", "person", "case_opened", "case_closed", "consent_given", "consent_revoked", "representation", "checked", "enrolled",
	"disputed", "dispute_answered", "snapshot_begun", "snapshot_ended", "document_stored", "document_returned", "status_asked",
}

// facts is what the index knows of an entry from its leaf.
type facts struct {
	kind string
	// parties are the participants that the entry concerns; only they and
	// auditors see it.
	parties []string
	systems []string
	topic   string
}

// factsOf reads an entry. What it says of parties is who may see it.
func factsOf(e *ledgerv1.LedgerEntry) facts {
	var f facts
	f.system(e.Actor)
	switch b := e.Body.(type) {
	case *ledgerv1.LedgerEntry_Published:
		f.kind, f.topic = "published", b.Published.GetTopic()
	case *ledgerv1.LedgerEntry_Released:
		f.kind, f.topic = "released", b.Released.GetTopic()
		f.party(b.Released.GetProvider())
		f.system(b.Released.GetConsumer())
	case *ledgerv1.LedgerEntry_Received:
		f.kind, f.topic = "received", b.Received.GetTopic()
		f.party(b.Received.GetProvider())
		f.system(b.Received.GetConsumer())
	case *ledgerv1.LedgerEntry_Refused:
		f.kind, f.topic = "refused", b.Refused.GetTopic()
		f.party(b.Refused.GetProvider())
	case *ledgerv1.LedgerEntry_Queried:
		f.kind, f.topic = "queried", b.Queried.GetTopic()
		f.party(b.Queried.GetProvider())
		f.system(b.Queried.GetConsumer())
	case *ledgerv1.LedgerEntry_Changed:
		f.changed(b.Changed)
	case *ledgerv1.LedgerEntry_Certificate:
		f.kind = "certificate"
		f.system(b.Certificate.GetSystem())
	case *ledgerv1.LedgerEntry_Erased:
		f.kind, f.topic = "erased", b.Erased.GetTopic()
		f.party(b.Erased.GetProvider())
	case *ledgerv1.LedgerEntry_Read:
		f.kind = "read"
	default:
		f.permission(e)
	}
	return f
}

// permission reads an entry of permissions, cases and consents.
func (f *facts) permission(e *ledgerv1.LedgerEntry) {
	switch b := e.Body.(type) {
	case *ledgerv1.LedgerEntry_Stepped:
		f.exchanged("stepped", b.Stepped)
	case *ledgerv1.LedgerEntry_Checked:
		f.exchanged("checked", b.Checked)
	case *ledgerv1.LedgerEntry_Enrolled:
		f.exchanged("enrolled", b.Enrolled)
	case *ledgerv1.LedgerEntry_StatusAsked:
		f.exchanged("status_asked", b.StatusAsked)
	case *ledgerv1.LedgerEntry_Disputed:
		f.exchanged("disputed", b.Disputed)
	case *ledgerv1.LedgerEntry_DisputeAnswered:
		f.exchanged("dispute_answered", b.DisputeAnswered)
	case *ledgerv1.LedgerEntry_Person:
		f.kind = "person"
		f.party(b.Person.GetParticipant())
	case *ledgerv1.LedgerEntry_CaseOpened:
		f.kind = "case_opened"
		f.system(b.CaseOpened.GetConsumer())
	case *ledgerv1.LedgerEntry_CaseClosed:
		f.kind = "case_closed"
		f.system(b.CaseClosed.GetConsumer())
	case *ledgerv1.LedgerEntry_ConsentGiven:
		f.kind = "consent_given"
		f.party(b.ConsentGiven.GetRecipient())
	case *ledgerv1.LedgerEntry_ConsentRevoked:
		f.kind = "consent_revoked"
		f.party(b.ConsentRevoked.GetRecipient())
	case *ledgerv1.LedgerEntry_Representation:
		f.kind = "representation"
		f.party(b.Representation.GetParticipant())
	case *ledgerv1.LedgerEntry_Prepared:
		f.kind = "prepared"
		f.system(b.Prepared.GetConsumer())
	case *ledgerv1.LedgerEntry_Collected:
		f.kind = "collected"
		f.system(b.Collected.GetConsumer())
	case *ledgerv1.LedgerEntry_Submitted:
		f.kind, f.topic = "submitted", b.Submitted.GetTopic()
		f.system(b.Submitted.GetConsumer())
	case *ledgerv1.LedgerEntry_Papers:
		f.kind = "papers"
		f.system(b.Papers.GetConsumer())
	case *ledgerv1.LedgerEntry_SnapshotBegun:
		f.kind, f.topic = "snapshot_begun", b.SnapshotBegun.GetTopic()
		f.party(b.SnapshotBegun.GetProvider())
	case *ledgerv1.LedgerEntry_SnapshotEnded:
		f.kind, f.topic = "snapshot_ended", b.SnapshotEnded.GetTopic()
		f.party(b.SnapshotEnded.GetProvider())
	case *ledgerv1.LedgerEntry_DocumentStored:
		f.kind = "document_stored"
	case *ledgerv1.LedgerEntry_DocumentReturned:
		f.kind = "document_returned"
	}
}

// exchanged reads an entry between a provider and a consumer, which is a system
// or a whole participant.
func (f *facts) exchanged(kind string, b interface {
	GetTopic() string
	GetProvider() string
	GetConsumer() string
}) {
	f.kind, f.topic = kind, b.GetTopic()
	f.party(b.GetProvider())
	if strings.Contains(b.GetConsumer(), "/") {
		f.system(b.GetConsumer())
	} else {
		f.party(b.GetConsumer())
	}
}

func (f *facts) changed(c *ledgerv1.ObjectChanged) {
	f.kind = "changed"
	for _, p := range c.GetParties() {
		f.party(p)
	}
	switch c.GetObject() {
	case "topic":
		f.topic = c.GetId()
	case "system":
		f.system(c.GetId())
	}
}

func (f *facts) party(code string) { f.parties = addOnce(f.parties, code) }

func (f *facts) system(id string) {
	f.systems = addOnce(f.systems, id)
	f.party(verify.ParticipantOf(id))
}

func addOnce(list []string, value string) []string {
	if value == "" {
		return list
	}
	for _, have := range list {
		if have == value {
			return list
		}
	}
	return append(list, value)
}

// Terms are numbers. A topic's is the one that the journal knows it by, for the
// follower need not read the name of a publication's topic; the others have a
// word and a space before, which no topic's name holds.
func topicTerm(name string) int64       { return journal.Number(name) }
func participantTerm(code string) int64 { return journal.Number("participant " + code) }
func systemTerm(id string) int64        { return journal.Number("system " + id) }
func kindTerm(kind string) int64        { return journal.Number("kind " + kind) }

// terms gives an entry's terms.
func (f *facts) terms() []int64 {
	terms := make([]int64, 0, 2+len(f.parties)+len(f.systems))
	terms = append(terms, kindTerm(f.kind))
	if f.topic != "" {
		terms = append(terms, topicTerm(f.topic))
	}
	for _, p := range f.parties {
		terms = append(terms, participantTerm(p))
	}
	for _, s := range f.systems {
		terms = append(terms, systemTerm(s))
	}
	return terms
}
