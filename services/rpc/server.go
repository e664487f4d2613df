// Package rpc is the exchange's gRPC side: it turns calls into calls of the
// domain, and what the domain answers into messages.
//
// Every call but the health service's needs a client certificate that the
// catalogue knows. Errors leave as the status of their fault; a panic answers
// one call with an internal error. What is logged names method, system and rule,
// and never what was sent.
package rpc

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"time"

	"golang.org/x/net/netutil"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/identity"
)

// Defaults of Config.
const (
	// DefaultMaxMessage is a call of 8 MiB of records and what surrounds them.
	DefaultMaxMessage = 10 << 20
	// maxStreams bounds the calls under way on one connection.
	maxStreams = 256
	// workers is how many goroutines answer one call after the other. A new one
	// for each call would grow its stack anew for each; when all are busy that is
	// what is done.
	workers = 128
	// maxHeaders bounds a call's headers, in bytes.
	maxHeaders = 16 << 10
	// maxConnections bounds the connections at once.
	maxConnections = 10_000
	// idle is how long a connection without calls is kept.
	idle = 10 * time.Minute
	// handshake bounds how long a connection may take to be set up.
	handshake = 10 * time.Second
	// recheck is how often the callers of open streams are looked at, beside
	// each change of policy: certificates expire by themselves.
	recheck = time.Second
)

// Callers finds the system that a certificate belongs to. With an error it may
// not call; a caller beside the error is known nonetheless.
type Callers interface {
	Caller(fingerprint [32]byte) (*identity.Caller, error)
	// Changed is closed when an answer may have changed.
	Changed() <-chan struct{}
}

// Refuser commits the ledger entry of a refusal.
type Refuser interface {
	Refuse(ctx context.Context, r access.Request, d access.Decision) error
}

// Config is what a server needs.
type Config struct {
	// Identity gives the server's certificate and knows the CA.
	Identity *identity.Directory
	Callers  Callers
	Refusals Refuser
	// MaxMessage bounds a message that comes in; DefaultMaxMessage if 0.
	MaxMessage int
	Clock      func() time.Time
	Log        *slog.Logger
}

// Server is the gRPC server. Services are registered on it before Serve.
type Server struct {
	*grpc.Server
	Config
	health  *health.Server
	streams streams
	calls   calls
	stop    context.CancelFunc
}

// NewServer makes a server with health and reflection. It is not healthy until
// SetServing.
func NewServer(c Config) *Server {
	if c.MaxMessage == 0 {
		c.MaxMessage = DefaultMaxMessage
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{Config: c, health: health.NewServer()}
	s.Server = grpc.NewServer(
		grpc.Creds(newMutual(c.Identity, c.Clock)),
		grpc.ForceServerCodecV2(codec()),
		grpc.UnaryInterceptor(s.unary),
		grpc.StreamInterceptor(s.stream),
		grpc.InTapHandle(s.tap),
		grpc.MaxRecvMsgSize(c.MaxMessage),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.NumStreamWorkers(workers),
		grpc.MaxHeaderListSize(maxHeaders),
		grpc.ConnectionTimeout(handshake),
		grpc.InitialWindowSize(1<<20), grpc.InitialConnWindowSize(4<<20),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			Time: 30 * time.Second, Timeout: 10 * time.Second, MaxConnectionIdle: idle,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
	)
	healthv1.RegisterHealthServer(s.Server, s.health)
	s.health.SetServingStatus("", healthv1.HealthCheckResponse_NOT_SERVING)
	reflection.Register(s.Server)
	watching, stop := context.WithCancel(context.Background())
	s.stop = stop
	go s.watch(watching)
	return s
}

// SetServing says whether the exchange takes calls, for the health service.
func (s *Server) SetServing(serving bool) {
	status := healthv1.HealthCheckResponse_NOT_SERVING
	if serving {
		status = healthv1.HealthCheckResponse_SERVING
	}
	s.health.SetServingStatus("", status)
}

// Serve answers calls until Close.
func (s *Server) Serve(l net.Listener) error {
	err := s.Server.Serve(netutil.LimitListener(l, maxConnections))
	if errors.Is(err, grpc.ErrServerStopped) {
		return nil
	}
	return err
}

// Close takes no more calls, ends open streams as unavailable, and waits for
// calls under way until ctx ends; then it cuts them off.
func (s *Server) Close(ctx context.Context) {
	s.health.Shutdown()
	s.streams.endAll(errStopping())
	finished := make(chan struct{})
	go func() { s.GracefulStop(); close(finished) }()
	select {
	case <-finished:
	case <-ctx.Done():
		s.Stop()
		<-finished
	}
	s.stop()
}

// watch ends the streams of callers that may no longer call.
func (s *Server) watch(ctx context.Context) {
	tick := time.NewTicker(recheck)
	defer tick.Stop()
	for {
		changed := s.Callers.Changed()
		s.streams.check(func(fingerprint [32]byte) error {
			_, err := s.Callers.Caller(fingerprint)
			return err
		})
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-tick.C:
		}
	}
}
