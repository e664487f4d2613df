package status

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/calendar"
	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// standing is how a record stands.
type standing struct {
	is    exchangev1.Standing
	since int64 // µs UTC; 0 for an unknown one
	// by is the version that took its place.
	by uint32
}

// text is what the entry commits to.
func (stands standing) text() string {
	word := strings.ToLower(strings.TrimPrefix(stands.is.String(), "STANDING_"))
	return verify.StatusText(word, stands.since, stands.by)
}

var unknown = standing{is: exchangev1.Standing_STANDING_UNKNOWN}

// words of the statuses that are told; a removed or erased record is unknown.
var words = map[exchangev1.Status]exchangev1.Standing{
	exchangev1.Status_STATUS_ACTIVE:     exchangev1.Standing_STANDING_ACTIVE,
	exchangev1.Status_STATUS_SUSPENDED:  exchangev1.Standing_STANDING_SUSPENDED,
	exchangev1.Status_STATUS_REVOKED:    exchangev1.Standing_STANDING_REVOKED,
	exchangev1.Status_STATUS_CANCELLED:  exchangev1.Standing_STANDING_CANCELLED,
	exchangev1.Status_STATUS_SUPERSEDED: exchangev1.Standing_STANDING_SUPERSEDED,
}

// offered says whether a topic's records are asked for by their keys.
func offered(topic *catalog.Topic) (bool, error) {
	if topic.SharingClass == cataloguev1.SharingClass_SHARING_CLASS_NOT_SHARED {
		return false, nil
	}
	k, err := topic.Contract(0)
	return err == nil && k.StatusByKey(), err
}

// look finds how the record of a key stands. The record is read whether the topic
// offers that or not, so that the time of an answer says no more than the answer.
func (s *Statuses) look(ctx context.Context, topic *catalog.Topic, key string) (standing, error) {
	offers, err := offered(topic)
	if err != nil {
		return unknown, err
	}
	token := s.Keyring.Token(identity.TokenRecord, topic.Name, key)
	found, err := journal.PresentOf(ctx, s.DB.Journal, s.DB.Brief(), journal.Number(topic.Name), [][]byte{token})
	if err != nil {
		return unknown, err
	}
	present, held := found[string(token)]
	word, told := words[present.Status]
	if !offers || !held || !told {
		return unknown, nil
	}
	row, err := journal.ByIndex(ctx, s.DB.Brief(), present.Index)
	if err != nil || row == nil || row.Body == nil {
		return unknown, err // erased meanwhile
	}
	entry := &ledgerv1.LedgerEntry{}
	if err := proto.Unmarshal(row.Leaf, entry); err != nil {
		return unknown, fmt.Errorf("entry %d: %w", row.Index, err)
	}
	stands := standing{is: word, since: entry.AtUs}
	if effective := entry.GetPublished().GetEffectiveAtUs(); effective != 0 {
		stands.since = effective
	}
	if word == exchangev1.Standing_STANDING_SUPERSEDED {
		stands.by, err = s.successor(topic, row, key)
		return stands, err
	}
	return s.byDay(stands, &present), nil
}

// byDay takes the days of validity into account: what is over has expired, unless
// it ended before for another reason.
func (s *Statuses) byDay(stands standing, present *journal.Present) standing {
	running := stands.is == exchangev1.Standing_STANDING_ACTIVE || stands.is == exchangev1.Standing_STANDING_SUSPENDED
	if today := int64(calendar.DayOf(s.Clock())); running && present.ValidUntil < today {
		return standing{is: exchangev1.Standing_STANDING_EXPIRED, since: calendar.Day(present.ValidUntil).End().UnixMicro()}
	}
	if stands.is == exchangev1.Standing_STANDING_ACTIVE && present.ValidFrom > firstDay {
		stands.since = max(stands.since, calendar.Day(present.ValidFrom-1).End().UnixMicro())
	}
	return stands
}

// firstDay is before every day that a record may be valid from: one without such
// a day is valid from long before that.
const firstDay = -1 << 30

// successor gives the version of the certificate that took a record's place.
func (s *Statuses) successor(topic *catalog.Topic, row *journal.Row, key string) (uint32, error) {
	opening, err := journal.OpenRecord(s.Keyring, s.Journal.Head().Origin, topic.Name, row.KeyToken, row.Body)
	if err != nil {
		return 0, fmt.Errorf("entry %d: %w", row.Index, err)
	}
	if !contract.SameCertificate(key, opening.Successor) {
		return 0, nil
	}
	return contract.CertificateVersion(opening.Successor), nil
}
