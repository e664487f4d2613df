package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/tap"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
)

// healthPrefix is the one service that answers callers without a certificate.
const healthPrefix = "/grpc.health.v1.Health/"

type callerKey struct{}

// CallerOf gives the caller of a call. There is one in every call but those of
// the health service.
func CallerOf(ctx context.Context) *identity.Caller {
	c, _ := ctx.Value(callerKey{}).(*identity.Caller)
	return c
}

// identify finds the caller by the connection's certificate. With an error it may
// not call; somebody known is given beside it.
func (s *Server) identify(ctx context.Context, method string) (*identity.Caller, error) {
	if strings.HasPrefix(method, healthPrefix) {
		return nil, nil
	}
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil, fault.New(fault.Unauthenticated, "certificate.required", "every call needs a client certificate")
	}
	shown, ok := p.AuthInfo.(*peerCertificate)
	if !ok {
		return nil, fault.New(fault.Unauthenticated, "certificate.required", "every call needs a client certificate")
	}
	caller, err := s.Callers.Caller(shown.fingerprint)
	if shown.err != nil {
		err = shown.err
	}
	return caller, err
}

// tap turns strangers away before their message is read: what nobody may send
// costs no memory. It must not wait, for the connection waits for it.
func (s *Server) tap(ctx context.Context, info *tap.Info) (context.Context, error) {
	caller, err := s.identify(ctx, info.FullMethodName)
	if caller != nil {
		// Somebody known who may no longer call is refused with an entry, later.
		err = s.calls.begin(ctx, caller.System, info.FullMethodName)
	}
	if err != nil {
		return nil, s.conclude(ctx, info.FullMethodName, caller, time.Now(), err)
	}
	return ctx, nil
}

// authenticate finds the caller, who may call now.
func (s *Server) authenticate(ctx context.Context, method string) (*identity.Caller, error) {
	caller, err := s.identify(ctx, method)
	if err == nil {
		return caller, nil
	}
	if caller != nil {
		// Somebody known who may no longer call is worth an entry; strangers are
		// not, for they could fill the ledger.
		err = s.refused(ctx, caller, access.Connect, err)
	}
	return nil, err
}

// refused commits the entry of a refusal and gives the refusal, or why it could
// not be committed.
func (s *Server) refused(ctx context.Context, caller *identity.Caller, action access.Action, err error) error {
	if s.Refusals == nil {
		return err
	}
	d := access.Decision{Kind: fault.KindOf(err), Rule: fault.RuleOf(err)}
	if written := s.Refusals.Refuse(ctx, access.Request{Caller: caller, Action: action}, d); written != nil {
		return written
	}
	return err
}

// enters says whether a refusal by a handler is an entry, if it made none itself:
// all that is denied, and whatever else stops somebody who would change or use
// something. Who looked for what is not there changed nothing.
func enters(method string, kind fault.Kind) bool {
	return kind == fault.Denied || access.Worth(kind) && !reads(method)
}

// reads says whether a method only tells what there is.
func reads(method string) bool {
	name := method[strings.LastIndexByte(method, '/')+1:]
	return strings.HasPrefix(name, "Get") || strings.HasPrefix(name, "List") || name == "AllowedTopics" || name == "Progress"
}

func (s *Server) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (answer any, err error) {
	began := time.Now()
	var caller *identity.Caller
	defer func() {
		if r := recover(); r != nil {
			answer, err = nil, panicked(r)
		}
		err = s.conclude(ctx, info.FullMethod, caller, began, err)
	}()
	if caller, err = s.authenticate(ctx, info.FullMethod); err != nil {
		return nil, err
	}
	if err = theCodec.broken(req); err != nil {
		return nil, err
	}
	noting, entered := access.Noting(context.WithValue(ctx, callerKey{}, caller))
	if err = checkTexts(req); err == nil {
		answer, err = handler(noting, req)
	}
	if err != nil && caller != nil && !entered() && enters(info.FullMethod, fault.KindOf(err)) {
		err = s.refused(ctx, caller, access.Manage, err)
	}
	return answer, err
}

func (s *Server) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	began := time.Now()
	var caller *identity.Caller
	ctx := ss.Context()
	defer func() {
		if r := recover(); r != nil {
			err = panicked(r)
		}
		if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(cause, context.Canceled) {
			err = cause
		}
		err = s.conclude(ctx, info.FullMethod, caller, began, err)
	}()
	if caller, err = s.authenticate(ctx, info.FullMethod); err != nil {
		return err
	}
	var cancel context.CancelCauseFunc
	ctx, cancel = context.WithCancelCause(context.WithValue(ctx, callerKey{}, caller))
	defer cancel(nil)
	open := &openStream{ServerStream: ss, ctx: ctx, cancel: cancel, caller: caller, callers: s.Callers}
	if !s.streams.add(open) {
		return errStopping()
	}
	defer s.streams.remove(open)
	return handler(srv, open)
}

// panicError is a panic of a handler, with its stack for the log.
type panicError struct {
	value any
	stack []byte
}

func (p *panicError) Error() string { return fmt.Sprintf("panic: %v\n%s", p.value, p.stack) }

func panicked(value any) error { return &panicError{value, debug.Stack()} }

// conclude logs a call and turns its error into a status.
func (s *Server) conclude(ctx context.Context, method string, caller *identity.Caller, began time.Time, err error) error {
	status := fault.Status(err)
	level := slog.LevelDebug
	if err != nil && status.Code() == codes.Internal {
		level = slog.LevelError
	}
	if s.Log.Enabled(ctx, level) {
		attributes := []slog.Attr{
			slog.String("method", method), slog.String("code", status.Code().String()), slog.Duration("took", time.Since(began)),
		}
		if caller != nil {
			attributes = append(attributes, slog.String("system", caller.System))
		}
		if rule := fault.RuleOf(err); rule != "" {
			attributes = append(attributes, slog.String("rule", rule))
		}
		if level == slog.LevelError {
			attributes = append(attributes, slog.String("error", err.Error()))
		}
		s.Log.LogAttrs(ctx, level, "call", attributes...)
	}
	return status.Err()
}

func errStopping() error {
	return fault.New(fault.Unavailable, "exchange.stopping", "the exchange is stopping; connect again")
}
