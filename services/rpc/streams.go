package rpc

import (
	"context"
	"sync"

	"google.golang.org/grpc"

	"github.com/huitong-bus/huitong/exchange/identity"
)

// openStream is a stream under way. Its context ends, with the cause, when its
// caller may no longer call; each message that comes in is checked too.
type openStream struct {
	grpc.ServerStream
	ctx     context.Context
	cancel  context.CancelCauseFunc
	caller  *identity.Caller
	callers Callers
}

// Context is the stream's context with its caller.
func (o *openStream) Context() context.Context { return o.ctx }

// RecvMsg waits for a message, or for the context's end: gRPC's own waits for
// the connection only.
func (o *openStream) RecvMsg(m any) error {
	if o.ctx.Err() != nil {
		return context.Cause(o.ctx)
	}
	received := make(chan error, 1)
	go func() { received <- o.ServerStream.RecvMsg(m) }()
	select {
	case err := <-received:
		if err != nil {
			return err
		}
	case <-o.ctx.Done():
		// The handler returns, so the call ends and with it the receive.
		return context.Cause(o.ctx)
	}
	if err := theCodec.broken(m); err != nil {
		return err
	}
	if o.caller == nil { // of the health service
		return nil
	}
	if _, err := o.callers.Caller(o.caller.Fingerprint); err != nil {
		return err
	}
	return checkTexts(m)
}

// streams are the streams under way.
type streams struct {
	mu   sync.Mutex
	open map[*openStream]struct{}
	end  error
}

// add is false once all are ended.
func (s *streams) add(o *openStream) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.end != nil {
		return false
	}
	if s.open == nil {
		s.open = map[*openStream]struct{}{}
	}
	s.open[o] = struct{}{}
	return true
}

func (s *streams) remove(o *openStream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, o)
}

// check ends the streams whose caller is refused.
func (s *streams) check(refuse func(fingerprint [32]byte) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for o := range s.open {
		if o.caller == nil {
			continue
		}
		if err := refuse(o.caller.Fingerprint); err != nil {
			o.cancel(err)
		}
	}
}

func (s *streams) endAll(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end = cause
	for o := range s.open {
		o.cancel(cause)
	}
}
