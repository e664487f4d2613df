package sdk

import (
	"context"
	"iter"

	"github.com/huitong-bus/huitong/exchange/fault"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

// ServiceItem is a version of a service item, checked against what its publisher
// committed to.
type ServiceItem struct {
	Record
	// Item is what the record says; empty where the record was erased since.
	Item *recordsv1.ServiceItem
}

// ServiceItem gives a service item by its implementation code, as it is, or as it
// was if asOf is not nil: AsOfIndex of an ItemVersion's index gives that very
// version. Items are public: it needs no grant and no case, and leaves no entry.
func (c *Client) ServiceItem(ctx context.Context, code string, asOf QueryAsOf) (*ServiceItem, error) {
	r := &exchangev1.GetServiceItemRequest{Code: code}
	if asOf != nil {
		q := &exchangev1.QueryRequest{}
		asOf(q)
		switch past := q.AsOf.(type) {
		case *exchangev1.QueryRequest_AsOfIndex:
			r.AsOf = &exchangev1.GetServiceItemRequest_AsOfIndex{AsOfIndex: past.AsOfIndex}
		case *exchangev1.QueryRequest_AsOfTime:
			r.AsOf = &exchangev1.GetServiceItemRequest_AsOfTime{AsOfTime: past.AsOfTime}
		}
	}
	resp, err := c.items().GetServiceItem(ctx, r)
	if err != nil {
		return nil, fault.FromStatus(err)
	}
	i, err := serviceItem(resp.GetItem())
	if err == nil && i.HasPayload() && i.Item.GetImplementationCode() != code {
		return nil, unproven("entry %d is of another service item", i.Index)
	}
	return i, err
}

// ServiceItemFilter narrows a list of service items; the zero value does not.
type ServiceItemFilter struct {
	// Department is the credit code of an implementing body.
	Department string
	// BasicCode is that of the items of one kind, whichever department has them.
	BasicCode string
	// PageSize is at most 256; 64 if 0.
	PageSize int
}

// ServiceItems goes through the service items that are in the catalogue's topics
// now, in no order of their own.
func (c *Client) ServiceItems(ctx context.Context, f ServiceItemFilter) iter.Seq2[*ServiceItem, error] {
	return func(yield func(*ServiceItem, error) bool) {
		r := &exchangev1.ListServiceItemsRequest{PageSize: uint32(f.PageSize), Department: f.Department, BasicCode: f.BasicCode}
		for {
			resp, err := c.items().ListServiceItems(ctx, r)
			if err != nil {
				yield(nil, fault.FromStatus(err))
				return
			}
			for _, in := range resp.GetItems() {
				i, err := serviceItem(in)
				if !yield(i, err) || err != nil {
					return
				}
			}
			if r.PageToken = resp.GetNextPageToken(); r.PageToken == "" {
				return
			}
		}
	}
}

func serviceItem(in *exchangev1.ReleasedRecord) (*ServiceItem, error) {
	i := &ServiceItem{Item: &recordsv1.ServiceItem{}}
	readRecord(&i.Record, in)
	if err := i.check(); err != nil {
		return nil, err
	}
	if !i.HasPayload() {
		return i, nil
	}
	return i, i.Unmarshal(i.Item)
}

func (c *Client) items() exchangev1.ItemServiceClient {
	return exchangev1.NewItemServiceClient(c.Conn())
}
