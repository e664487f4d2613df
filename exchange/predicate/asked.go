package predicate

import (
	"github.com/huitong-bus/huitong/exchange/identity"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// AskedToken names a check about a subject in a participant's case; what is
// counted stands under it, and it tells nothing of subject or case.
func AskedToken(keys interface {
	Token(kind byte, parts ...string) []byte
}, participant, number string, subject *ledgerv1.Subject, topic, check string) []byte {
	return keys.Token(identity.TokenAsked, participant, number, subject.GetType(), subject.GetNumber(), topic, check)
}
