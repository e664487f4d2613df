package query

import (
	"crypto/hmac"
	"encoding/base64"
	"unicode/utf8"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/cases"
	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// question is a query that makes sense: by exactly one of subject, key and
// index.
type question struct {
	*exchangev1.QueryRequest
	caller string
	// request is what was decided.
	request access.Request
	// of is the case that it is asked for.
	of      *cases.Case
	subject *ledgerv1.Subject // normalised
	key     string
	// token names what is asked for: of the subject or of the record.
	token []byte
	limit int
	after []byte
	// document asks for a document of the version, rather than for the record.
	document *ledgerv1.Document
	// live is set where the provider was asked, and this is what it supplied.
	live *Live
	// then is when the answer was known; nil for the present.
	then *then
}

// read checks what was asked; who may ask is not decided here.
func (q *Queries) read(caller *identity.Caller, r *exchangev1.QueryRequest) (*question, error) {
	a := &question{QueryRequest: r, caller: caller.System, limit: int(r.PageSize)}
	switch {
	case r.Topic == "":
		return nil, fault.Field("topic", "topic.required", "names the topic to ask")
	case r.PageSize > MaxPage:
		return nil, fault.Field("page_size", "page_size", "is at most %d", MaxPage)
	case r.PageSize == 0:
		a.limit = DefaultPage
	}
	switch by := r.By.(type) {
	case *exchangev1.QueryRequest_Subject:
		var err error
		if a.subject, err = ReadSubject(by.Subject); err != nil {
			return nil, err
		}
		a.token = q.Keyring.Token(identity.TokenSubject, a.subject.Type, a.subject.Number)
	case *exchangev1.QueryRequest_Key:
		a.key = by.Key
		if a.key == "" || len(a.key) > contract.MaxKey || !utf8.ValidString(a.key) {
			return nil, fault.Field("key", "key.size", "has 1 to %d bytes of UTF-8", contract.MaxKey)
		}
		a.token = q.Keyring.Token(identity.TokenRecord, r.Topic, a.key)
	case *exchangev1.QueryRequest_Index:
	default:
		return nil, fault.Field("by", "by.required", "say by whom or what to look: subject, key or index")
	}
	return a, nil
}

// ReadSubject checks and normalises a subject.
func ReadSubject(s *ledgerv1.Subject) (*ledgerv1.Subject, error) {
	number, err := contract.Normalise(s.GetType(), s.GetNumber())
	if err != nil {
		return nil, fault.Field("subject.number", fault.RuleOf(err), "%s", fault.Status(err).Message())
	}
	if len(s.GetRole()) > 64 {
		return nil, fault.Field("subject.role", "subject.role", "has more than 64 bytes")
	}
	return &ledgerv1.Subject{Type: s.GetType(), Number: number, Role: s.GetRole()}, nil
}

// A page token is the token of the last record of the page before, and a seal
// over it, the caller and the question: it goes on with no other query.

func (q *Queries) pageToken(a *question, last []byte) string {
	return base64.RawURLEncoding.EncodeToString(append(last[:len(last):len(last)], q.pageSeal(a, last)...))
}

func (q *Queries) pageSeal(a *question, last []byte) []byte {
	return q.Keyring.Token(identity.TokenPage, a.caller, a.Topic, string(a.token), string(last), a.then.String())
}

func (q *Queries) readToken(a *question) error {
	if a.PageToken == "" {
		return nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(a.PageToken)
	if err != nil || len(raw) != 2*identity.TokenSize || !hmac.Equal(raw[identity.TokenSize:], q.pageSeal(a, raw[:identity.TokenSize])) {
		return fault.Field("page_token", "page_token", "is not the one that the page before of this query ended with")
	}
	a.after = raw[:identity.TokenSize]
	return nil
}
