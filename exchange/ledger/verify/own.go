package verify

import (
	"errors"
	"strings"

	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// OwnPrefix begins the names of the topics on which the exchange itself
// publishes: an entry there has no actor and no signature, and on no other topic
// does the exchange publish anything, but that it erases again what a restored
// backup brought back.
const OwnPrefix = "huitong-"

// OwnTopic says whether a topic is the exchange's own.
func OwnTopic(name string) bool { return strings.HasPrefix(name, OwnPrefix) }

// FanOutPrefix begins the names of those own topics that hold what is asked of
// suppliers and what came of it.
const FanOutPrefix = OwnPrefix + "fanout-"

// FanOutTopic says whether a topic is one of these: its records are for the
// participants that they name, and for nobody else.
func FanOutTopic(name string) bool { return strings.HasPrefix(name, FanOutPrefix) }

// ParticipantOf gives the code of the participant that a system is of, by the name
// that entries have: "<participant>/<system>", or a participant alone.
func ParticipantOf(system string) string {
	code, _, _ := strings.Cut(system, "/")
	return code
}

// CheckPublisher refuses a publication by somebody else than the exchange on one
// of its own topics, and one by the exchange, which nobody signs, on a topic of a
// department.
func CheckPublisher(e *ledgerv1.LedgerEntry, p *ledgerv1.RecordPublished) error {
	byExchange := e.GetActor() == "" && len(e.GetActorCertificate()) == 0
	switch own := OwnTopic(p.GetTopic()); {
	case own && !byExchange:
		return errors.New("verify: it is no publication of the exchange, and stands on a topic of the exchange's own")
	case !own && byExchange && p.GetOperation() != ledgerv1.Operation_OPERATION_ERASE:
		return errors.New("verify: nobody published it, and its topic is not the exchange's own")
	}
	return nil
}
