package document

import (
	"regexp"

	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

const maxTitle = 256

// mediaType is RFC 6838, section 4.2, in lower case and without parameters.
var mediaType = regexp.MustCompile(`^[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}$`)

// check refuses a description that none may have.
func check(d *ledgerv1.Document) error {
	if err := checkID("document.id", d.GetId()); err != nil {
		return err
	}
	switch {
	case d.GetSize() == 0:
		return fault.Field("document.size", "document.empty", "a document has at least one byte")
	case d.GetSize() > MaxSize:
		f := fault.New(fault.TooLarge, "document.bytes", "the document has %d bytes; %d is the limit; divide it", d.GetSize(), MaxSize)
		return f.With(fault.Violation{Field: "document.size", Rule: f.Rule, Message: f.Message})
	case len(d.GetSha256()) != verify.HashSize:
		return fault.Field("document.sha256", "document.sha256.size", "needs %d bytes", verify.HashSize)
	case !mediaType.MatchString(d.GetMediaType()):
		return fault.Field("document.media_type", "document.media_type", "is no media type such as application/pdf: lower case, without parameters")
	case len(d.GetTitle()) > maxTitle || !contract.OneLine(d.GetTitle()):
		return fault.Field("document.title", "document.title", "has at most %d bytes of UTF-8 without control characters", maxTitle)
	}
	return nil
}

func checkID(field string, id []byte) error {
	if len(id) != verify.DocumentIDSize {
		return fault.Field(field, "document.id.size", "needs %d bytes, made by the system that brings the document", verify.DocumentIDSize)
	}
	return nil
}

func unknown() error {
	return fault.New(fault.NotFound, "document.unknown", "no such document is known to the caller; unfinished uploads are forgotten after a time")
}
