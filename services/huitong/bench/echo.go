package bench

import (
	"context"
	"crypto/tls"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const echoMethod = "/bench.Echo/Echo"

// echoService answers with what it was sent: gRPC and TLS without anything of
// the exchange.
var echoService = grpc.ServiceDesc{
	ServiceName: "bench.Echo",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{
		MethodName: "Echo",
		Handler: func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			m := &wrapperspb.BytesValue{}
			return m, decode(m)
		},
	}},
}

// echo lets callers call a bare gRPC server over mutual TLS, spread over
// connections.
func echo(ctx context.Context, name string, server, client *tls.Config, connections, callers int, message []byte, limit Limit) (Row, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return Row{}, err
	}
	s := grpc.NewServer(grpc.Creds(credentials.NewTLS(server)))
	s.RegisterService(&echoService, nil)
	go func() { _ = s.Serve(l) }()
	defer s.Stop()
	conns := make([]*grpc.ClientConn, connections)
	for i := range conns {
		if conns[i], err = grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(credentials.NewTLS(client.Clone()))); err != nil {
			return Row{}, err
		}
		defer conns[i].Close()
	}
	return load(ctx, name, callers, 1, limit, func(ctx context.Context, caller, _ int) error {
		return conns[caller%connections].Invoke(ctx, echoMethod, &wrapperspb.BytesValue{Value: message}, &wrapperspb.BytesValue{})
	})
}
