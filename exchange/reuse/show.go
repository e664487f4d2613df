package reuse

import (
	"bytes"
	"context"
	"encoding/base64"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/query"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

// Item shows a service item to whoever is enrolled.
func (r *Reuse) Item(ctx context.Context, caller *identity.Caller, req *exchangev1.GetServiceItemRequest) (*exchangev1.GetServiceItemResponse, error) {
	if req.Code == "" {
		return nil, fault.Field("code", "item.code.required", "is the implementation code of a service item")
	}
	for _, topic := range ownFirst(r.publicTopics(), req.Code) {
		q := &exchangev1.QueryRequest{Topic: topic.Name, Json: req.Json, By: &exchangev1.QueryRequest_Key{Key: req.Code}}
		switch past := req.AsOf.(type) {
		case *exchangev1.GetServiceItemRequest_AsOfIndex:
			q.AsOf = &exchangev1.QueryRequest_AsOfIndex{AsOfIndex: past.AsOfIndex}
		case *exchangev1.GetServiceItemRequest_AsOfTime:
			q.AsOf = &exchangev1.QueryRequest_AsOfTime{AsOfTime: past.AsOfTime}
		}
		record, err := r.Queries.Public(ctx, caller, topic, q)
		if err != nil {
			return nil, err
		}
		if record != nil {
			return &exchangev1.GetServiceItemResponse{Item: record}, nil
		}
	}
	return nil, fault.New(fault.NotFound, "item.unknown", "no service item of that code is published, or was then; list those that there are")
}

// Items lists service items to whoever is enrolled.
func (r *Reuse) Items(ctx context.Context, caller *identity.Caller, req *exchangev1.ListServiceItemsRequest) (*exchangev1.ListServiceItemsResponse, error) {
	if req.PageSize > query.MaxPage {
		return nil, fault.Field("page_size", "page_size", "is at most %d", query.MaxPage)
	}
	limit := int(req.PageSize)
	if limit == 0 {
		limit = query.DefaultPage
	}
	name, after, err := readPlace(req.PageToken)
	if err != nil {
		return nil, err
	}
	topics := slices.DeleteFunc(r.publicTopics(), func(t *catalog.Topic) bool { return t.Name < name })
	for i, topic := range topics {
		if topic.Name != name {
			after = nil
		}
		items, next, err := r.Queries.PublicPage(ctx, caller, query.PublicList{
			Topic: topic, After: after, Limit: limit, JSON: req.Json, Want: func(i *exchangev1.ReleasedRecord) (bool, error) { return wanted(req, i) },
		})
		answer := &exchangev1.ListServiceItemsResponse{Items: items}
		switch {
		case err != nil:
			return nil, err
		case next == nil && i == len(topics)-1:
			return answer, nil
		case next != nil || len(items) > 0:
			answer.NextPageToken = placeOf(topic.Name, orEnd(next))
			return answer, nil
		}
	}
	return &exchangev1.ListServiceItemsResponse{}, nil
}

// wanted says whether a list asks for an item.
func wanted(req *exchangev1.ListServiceItemsRequest, record *exchangev1.ReleasedRecord) (bool, error) {
	if req.Department == "" && req.BasicCode == "" {
		return true, nil
	}
	item := &recordsv1.ServiceItem{}
	if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(record.Payload, item); err != nil {
		return false, err
	}
	return (req.Department == "" || item.DepartmentCode == req.Department) && (req.BasicCode == "" || item.BasicCode == req.BasicCode), nil
}

// publicTopics are those whose service items whoever is enrolled may see, by name.
func (r *Reuse) publicTopics() (all []*catalog.Topic) {
	for _, t := range r.Topics.TopicsUnder(ItemContract) {
		if query.IsPublic(t) {
			all = append(all, t)
		}
	}
	return all
}

// A page token is the place where the page before ended: a topic, and the token of
// the last record of it that was looked at.

// end stands behind every record of a topic.
var end = bytes.Repeat([]byte{0xff}, identity.TokenSize)

func orEnd(after []byte) []byte {
	if after == nil {
		return end
	}
	return after
}

func placeOf(topic string, after []byte) string {
	return base64.RawURLEncoding.EncodeToString(append([]byte(topic+"\x00"), after...))
}

func readPlace(token string) (topic string, after []byte, err error) {
	if token == "" {
		return "", nil, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	name, after, found := bytes.Cut(raw, []byte{0})
	if err != nil || !found || len(after) != identity.TokenSize {
		return "", nil, fault.Field("page_token", "page_token", "is not the one that the page before of this list ended with")
	}
	return string(name), after, nil
}
