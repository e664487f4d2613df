package consent

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/exchange/fault"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

const (
	nonceSize = 32
	// maxStatement bounds what is signed, in bytes.
	maxStatement = 16 << 10
	// maxScope bounds the topics, fields and items that it names, each.
	maxScope = 64
	// maxText bounds a name, code or reference.
	maxText = 128
)

// artefact is a consent with the bytes that were signed.
type artefact struct {
	*accessv1.Consent
	raw         []byte
	digest      [32]byte
	from, until int32
}

// parse decodes what was signed. Fields that the exchange does not know could
// mean anything to who signed them, and are refused.
func parse[T any, P interface {
	*T
	proto.Message
}](field string, raw []byte) (P, error) {
	m := P(new(T))
	switch {
	case len(raw) == 0:
		return nil, fault.Field(field, field+".required", "is required")
	case len(raw) > maxStatement:
		return nil, fault.Field(field, field+".size", "has more than %d bytes", maxStatement)
	case proto.Unmarshal(raw, m) != nil:
		return nil, fault.Field(field, field+".broken", "does not decode")
	case unknown(m.ProtoReflect()):
		return nil, fault.Field(field, field+".unknown", "has fields that the exchange does not know")
	}
	if err := contract.CheckTexts(field, m.ProtoReflect(), nil); err != nil {
		return nil, err
	}
	return m, nil
}

// unknown says whether a message, or one in it, has fields that are not known.
func unknown(m protoreflect.Message) bool {
	found := len(m.GetUnknown()) > 0
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Message() == nil:
		case f.IsList():
			for i := range v.List().Len() {
				found = found || unknown(v.List().Get(i).Message())
			}
		default:
			found = found || unknown(v.Message())
		}
		return !found
	})
	return found
}

func checkNonce(field string, nonce []byte) error {
	if len(nonce) != nonceSize {
		return fault.Field(field+".nonce", "nonce.size", "has %d random bytes", nonceSize)
	}
	return nil
}

// parseArtefact decodes a consent and checks what needs no look elsewhere.
func parseArtefact(raw []byte) (*artefact, error) {
	m, err := parse[accessv1.Consent]("artefact", raw)
	if err != nil {
		return nil, err
	}
	a := &artefact{Consent: m, raw: raw, digest: sha256.Sum256(raw)}
	if err := catalog.First(
		checkNonce("artefact", m.Nonce),
		checkSubject("artefact.subject", m.Subject),
		checkScope("artefact.service_items", m.ServiceItems, true),
		text("artefact.case_number", m.CaseNumber, false),
		a.checkTopics(),
	); err != nil {
		return nil, err
	}
	if n := len(m.Representation); n != 0 && n != sha256.Size {
		return nil, fault.Field("artefact.representation", "representation.digest", "is the SHA-256 of a recorded representation")
	}
	a.from, a.until, err = period("artefact", m.ValidFrom, m.ValidUntil)
	return a, err
}

func (a *artefact) checkTopics() error {
	if len(a.Topics) == 0 || len(a.Topics) > maxScope {
		return fault.Field("artefact.topics", "scope.number", "names 1 to %d topics", maxScope)
	}
	for i, t := range a.Topics {
		field := fmt.Sprintf("artefact.topics[%d]", i)
		if err := catalog.First(text(field+".topic", t.GetTopic(), true), checkScope(field+".fields", t.GetFields(), false)); err != nil {
			return err
		}
		if slices.ContainsFunc(a.Topics[:i], func(o *accessv1.ConsentedTopic) bool { return o.Topic == t.Topic }) {
			return fault.Field(field+".topic", "scope.twice", "is named twice")
		}
	}
	return nil
}

// covers says whether a consent is for a reading of a topic, for an item, in a
// case, and gives the fields that it is limited to; none if it is not.
func (a *artefact) covers(topic, item, number string) (fields []string, ok bool) {
	if !slices.Contains(a.ServiceItems, item) || a.CaseNumber != "" && a.CaseNumber != number {
		return nil, false
	}
	for _, t := range a.Topics {
		if t.Topic == topic {
			return t.Fields, true
		}
	}
	return nil, false
}

func checkSubject(field string, s *ledgerv1.Subject) error {
	if s == nil {
		return fault.Field(field, "subject.required", "is required")
	}
	number, err := contract.Normalise(s.Type, s.Number)
	switch {
	case err != nil:
		return fault.Field(field+".number", fault.RuleOf(err), "%s", fault.Status(err).Message())
	case number != s.Number:
		return fault.Field(field+".number", "subject.spelling", "is not in its one spelling: upper case, no spaces, 18 characters")
	case s.Role != "":
		return fault.Field(field+".role", "subject.role", "is empty")
	}
	return nil
}

func checkScope(field string, names []string, required bool) error {
	if required && len(names) == 0 || len(names) > maxScope {
		return fault.Field(field, "scope.number", "names at most %d, and at least one where it is required", maxScope)
	}
	for i, name := range names {
		if err := text(field, name, true); err != nil {
			return err
		}
		if slices.Contains(names[:i], name) {
			return fault.Field(field, "scope.twice", "names one twice")
		}
	}
	return nil
}

// text refuses a code or reference that is too long, or not printable in a line.
func text(field, value string, required bool) error {
	switch {
	case required && strings.TrimSpace(value) == "":
		return fault.Field(field, "text.required", "is required")
	case len(value) > maxText || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd }):
		return fault.Field(field, "text.broken", "has at most %d bytes of printable text", maxText)
	}
	return nil
}

// period reads the first and last day of what is signed.
func period(field, from, until string) (first, last int32, err error) {
	first, okFirst := parseDay(from)
	last, okLast := parseDay(until)
	switch {
	case !okFirst:
		return 0, 0, fault.Field(field+".valid_from", "date", `is no date "YYYY-MM-DD"`)
	case !okLast:
		return 0, 0, fault.Field(field+".valid_until", "date", `is no date "YYYY-MM-DD"`)
	case last < first:
		return 0, 0, fault.Field(field+".valid_until", "period", "is before the first day, which is today unless another is given")
	}
	return first, last, nil
}
