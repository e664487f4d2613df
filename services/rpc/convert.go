package rpc

import (
	"encoding/base64"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/journal"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

// receiptOf gives the receipt of a commit's first entry; nil if nothing was
// committed: the call was a dry run, or changed nothing.
func receiptOf(c *journal.Commit) *exchangev1.Receipt {
	if c == nil || len(c.Leaves) == 0 {
		return nil
	}
	return &exchangev1.Receipt{
		Index: c.Index, At: timestamppb.New(time.UnixMicro(c.At).UTC()), Leaf: c.Leaves[0],
	}
}

// pageOf reads a page's size and token. A token is the last key of the page
// before.
func pageOf(size uint32, token string) (catalog.Page, error) {
	after, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(after) > 512 {
		return catalog.Page{}, fault.Field("page_token", "page_token", "is not one that the exchange gave")
	}
	return catalog.Page{After: string(after), Limit: int(min(size, 1<<20))}, nil
}

// nextPage gives the token of the next page; empty after the last.
func nextPage[T any](list []T, page catalog.Page, key func(T) string) string {
	size, err := page.Size()
	if err != nil || len(list) < size {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString([]byte(key(list[len(list)-1])))
}

func findingsOf(findings []contract.Finding) []*cataloguev1.ContractFinding {
	out := make([]*cataloguev1.ContractFinding, len(findings))
	for i, f := range findings {
		out[i] = &cataloguev1.ContractFinding{Field: f.Field, Rule: f.Rule, Message: f.Message, AgainstVersion: f.AgainstVersion}
	}
	return out
}
