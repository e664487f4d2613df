package rpc

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/huitong-bus/huitong/exchange/contract"
)

// elsewhere is what checkTexts leaves to others.
var elsewhere = map[protoreflect.FullName]bool{
	// Refused by exchange/intake: each record alone, with an entry on its topic.
	"huitong.exchange.v1.Publication":    true,
	"huitong.exchange.v1.SourcePosition": true,
	// Refused by exchange/document, on its field.
	"huitong.ledger.v1.Document": true,
	// Part of what is decided on, and refused with an entry on its topic, by exchange/access.
	"huitong.exchange.v1.Acting": true,
	// The keys of records that were published: no text that is kept.
	"huitong.exchange.v1.QueryRequest.key":     true,
	"huitong.exchange.v1.GetStatusRequest.key": true,
	// JSON, parsed by exchange/consent, which may be written in any lines.
	"huitong.access.v1.IdentityProvider.jwks": true,
}

// checkTexts refuses a request with a text that people cannot see as it is,
// whatever becomes of the text: a new field is checked unless it is said here why
// not.
func checkTexts(request any) error {
	m, ok := request.(proto.Message)
	if !ok {
		return nil
	}
	return contract.CheckTexts("", m.ProtoReflect(), elsewhere)
}
