package sdk

import (
	"context"
	"errors"
	"fmt"

	"github.com/huitong-bus/huitong/exchange/fault"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

// ErrUnproven is in the chain of every error that says: what the exchange
// answered does not prove itself. What was asked may have happened all the same.
// It is never retried; keep the answer and tell the auditor.
var ErrUnproven = errors.New("the exchange's answer does not prove itself")

// ErrUnanswered is in the chain of every error after which it is not known
// whether a publication was committed: the answer did not come.
var ErrUnanswered = errors.New("no answer came; whether it had an effect is not known")

// ErrClosed is in the chain of errors of a publisher or subscription that was
// closed by its own side.
var ErrClosed = errors.New("closed")

func unproven(format string, args ...any) error {
	return fault.Wrap(fault.Internal, "sdk.unproven", fmt.Errorf("%w: %w", ErrUnproven, fmt.Errorf(format, args...)), "verification failed")
}

// unanswered marks an error of a publication that may have been committed.
func unanswered(err error) error {
	return fault.Wrap(fault.KindOf(err), fault.RuleOf(err), fmt.Errorf("%w: %w", ErrUnanswered, err), "no answer came")
}

func contextFault(ctx context.Context) error {
	return unanswered(fault.Wrap(fault.KindOfContext(ctx.Err()), "", ctx.Err(), "gave up waiting"))
}

// problemFault turns a refusal inside a response into the error it is.
func problemFault(p *exchangev1.Problem) *fault.Error {
	e := fault.New(fault.ParseKind(p.GetKind()), p.GetRule(), "%s", p.GetMessage())
	e.Violations = violations(p.GetViolations())
	return e
}

func violations(in []*exchangev1.Violation) []fault.Violation {
	if len(in) == 0 {
		return nil
	}
	out := make([]fault.Violation, len(in))
	for i, v := range in {
		out[i] = fault.Violation{Field: v.GetField(), Rule: v.GetRule(), Message: v.GetMessage()}
	}
	return out
}
