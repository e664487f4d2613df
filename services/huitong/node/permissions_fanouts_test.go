package node_test

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"

	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
)

// drained gives the error of a stream that is read to its end.
func drained[A any](stream grpc.ServerStreamingClient[A], err error) error {
	for err == nil {
		_, err = stream.Recv()
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// fanOutRows are fan-outs: a department asks, its sources are decided each alone,
// and what came of it is that department's.
func (p *permissions) fanOutRows() []matrixRow {
	question := func(key byte) *exchangev1.AskAllRequest {
		return &exchangev1.AskAllRequest{
			Key:     append(make([]byte, 15), key),
			Acting:  &exchangev1.Acting{Person: acting.Person, Purpose: acting.Purpose, CaseNumber: acting.Case},
			Sources: []*exchangev1.Source{{Topic: "marriage", Subject: &ledgerv1.Subject{Type: "111", Number: earner}}},
		}
	}
	of := func(ctx context.Context) (string, error) {
		f, err := p.clients["g"].AskAll(ctx, sdk.FanOutQuestion{
			Key: sdk.IdempotencyKey(question(1).Key), Acting: acting, Sources: []sdk.Source{source("marriage", earner)},
		})
		if err != nil {
			return "", err
		}
		return f.ID, nil
	}
	id, failed := of(context.Background())
	unknown := map[string]string{"": "NOT_FOUND answer.request + refused"}
	return []matrixRow{
		// Without a grant the source is refused, and that is a result.
		{"exchange.AskAll", func(ctx context.Context, c clientsOf) error {
			return drained(c.AskAll(ctx, question(2)))
		}, map[string]string{
			"o": "ok + queried published", "g": "ok + queried published", "s": "ok + published", "d": "ok + published", "": notDepartment,
		}},
		{"exchange.GetFanOut", func(ctx context.Context, c clientsOf) error {
			return errors.Join(failed, drained(c.GetFanOut(ctx, &exchangev1.GetFanOutRequest{Id: id, Person: acting.Person})))
		}, map[string]string{"g": "ok", "s": "ok", "": "NOT_FOUND fan_out.unknown"}},
		{"exchange.AnswerRequest", func(ctx context.Context, c clientsOf) error {
			return tried(c.AnswerRequest(ctx, &exchangev1.AnswerRequestRequest{
				RequestId: id + "-0", Outcome: recordsv1.SupplierOutcome_SUPPLIER_OUTCOME_NOT_FOUND,
			}))
		}, unknown},
		{"exchange.EraseFanOut", func(ctx context.Context, c clientsOf) error {
			return tried(c.EraseFanOut(ctx, &exchangev1.EraseFanOutRequest{Id: id, Reason: "保管期满"}))
		}, map[string]string{
			"g": "CONFLICT fan_out.case_open + refused", "s": "CONFLICT fan_out.case_open + refused", "M": "ok + published erased",
			"": "NOT_FOUND fan_out.unknown + refused",
		}},
	}
}
