package fault

import (
	"context"
	"errors"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Domain is the ErrorInfo domain of every fault.
const Domain = "huitong"

var codeOf = [kinds]codes.Code{
	Internal:        codes.Internal,
	Invalid:         codes.InvalidArgument,
	NotFound:        codes.NotFound,
	AlreadyExists:   codes.AlreadyExists,
	Denied:          codes.PermissionDenied,
	Unauthenticated: codes.Unauthenticated,
	Stale:           codes.FailedPrecondition,
	Conflict:        codes.FailedPrecondition,
	TooLarge:        codes.ResourceExhausted,
	Limited:         codes.ResourceExhausted,
	Lapsed:          codes.FailedPrecondition,
	Unavailable:     codes.Unavailable,
	Timeout:         codes.DeadlineExceeded,
	Canceled:        codes.Canceled,
	Unsupported:     codes.Unimplemented,
}

// Code gives the kind's gRPC code.
func (k Kind) Code() codes.Code {
	if k < kinds {
		return codeOf[k]
	}
	return codes.Internal
}

// Status gives the gRPC status of an error. What is no fault becomes Internal
// without its text, unless it is a status or a context's end.
func Status(err error) *status.Status {
	var e *Error
	switch {
	case err == nil:
		return status.New(codes.OK, "")
	case errors.As(err, &e):
		return e.status()
	case errors.Is(err, context.Canceled):
		return New(Canceled, "", "the caller gave up").status()
	case errors.Is(err, context.DeadlineExceeded):
		return New(Timeout, "", "the deadline passed").status()
	}
	if s, ok := status.FromError(err); ok {
		return s
	}
	return New(Internal, "internal", "internal error; the exchange's log says more").status()
}

func (e *Error) status() *status.Status {
	s := status.New(e.Kind.Code(), e.Message)
	info := &errdetails.ErrorInfo{Reason: e.Kind.String(), Domain: Domain, Metadata: map[string]string{}}
	if e.Rule != "" {
		info.Metadata["rule"] = e.Rule
	}
	bad := &errdetails.BadRequest{}
	for _, v := range e.Violations {
		bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{
			Field: v.Field, Reason: v.Rule, Description: v.Message,
		})
	}
	withInfo, err := s.WithDetails(info)
	if err != nil {
		return s
	}
	if len(bad.FieldViolations) == 0 {
		return withInfo
	}
	withBoth, err := withInfo.WithDetails(bad)
	if err != nil {
		return withInfo
	}
	return withBoth
}

// FromStatus turns the error of a gRPC call back into a fault. An error that
// the exchange did not make keeps its gRPC code's nearest kind.
func FromStatus(err error) error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return err
	}
	s, ok := status.FromError(err)
	if !ok {
		return Wrap(KindOfContext(err), "", err, "%s", "the call failed")
	}
	f := &Error{Kind: kindOfCode(s.Code()), Message: s.Message(), cause: nil}
	for _, d := range s.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			if d.Domain == Domain {
				f.Kind, f.Rule = ParseKind(d.Reason), d.Metadata["rule"]
			}
		case *errdetails.BadRequest:
			for _, v := range d.FieldViolations {
				f.Violations = append(f.Violations, Violation{v.Field, v.Reason, v.Description})
			}
		}
	}
	return f
}

// KindOfContext maps a context's end to its kind; all else is Internal.
func KindOfContext(err error) Kind {
	switch {
	case errors.Is(err, context.Canceled):
		return Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return Timeout
	}
	return Internal
}

func kindOfCode(c codes.Code) Kind {
	for k, code := range codeOf {
		if code == c {
			return Kind(k)
		}
	}
	return Internal
}
