package bench

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	"github.com/huitong-bus/huitong/services/departments/sample"
)

// rawAlways measures JetStream where an answer means "on disk".
func (s *settings) rawAlways(ctx context.Context, r *Report, message []byte) (publish, batches Row, err error) {
	raw, err := openRaw(ctx, s.dir, true)
	if err != nil {
		return publish, batches, err
	}
	defer func() { err = errors.Join(err, raw.close()) }()
	limit := Limit{Time: s.duration}
	if publish, err = raw.publish(ctx, "JetStream, sync_interval always: publish, 64 callers", 64, message, limit); err != nil {
		return publish, batches, err
	}
	publish = r.reference(publish)
	if batches, err = raw.batches(ctx, "JetStream, sync_interval always: atomic batches of 1,000", 1, 1000, message, limit); err != nil {
		return publish, batches, err
	}
	return publish, r.reference(batches), nil
}

// rawDefault measures JetStream as it comes: its answers are not on disk.
func (s *settings) rawDefault(ctx context.Context, r *Report, message []byte) (row Row, err error) {
	raw, err := openRaw(ctx, s.dir, false)
	if err != nil {
		return row, err
	}
	defer func() { err = errors.Join(err, raw.close()) }()
	row, err = raw.publish(ctx, "JetStream, default sync: publish, 64 callers", 64, message, Limit{Time: s.duration})
	if err != nil {
		return row, err
	}
	return r.reference(row), nil
}

// rawConsumer measures a JetStream consumer that acknowledges each message.
func (s *settings) rawConsumer(ctx context.Context, r *Report, count int) (row Row, err error) {
	message, err := proto.Marshal(certificate(0))
	if err != nil {
		return row, err
	}
	raw, err := openRaw(ctx, s.dir, false)
	if err != nil {
		return row, err
	}
	defer func() { err = errors.Join(err, raw.close()) }()
	if _, err := raw.batches(ctx, "", 1, 1000, message, Limit{Records: count}); err != nil {
		return row, err
	}
	row, err = raw.consume(ctx, "JetStream, default sync: consumer with ack", count/1000*1000)
	if err != nil {
		return row, err
	}
	return r.reference(row), nil
}

// bareEcho measures gRPC over mutual TLS with the keys of an exchange and
// messages as large as a call that publishes one record.
func (s *settings) bareEcho(ctx context.Context, name string, limit Limit) (row Row, err error) {
	dir, err := os.MkdirTemp(s.dir, "echo-*")
	if err != nil {
		return row, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	d, err := identity.Init(dir, identity.Options{Operator: identity.Name{Participant: sample.DataAuthority.Code, System: "bench"}})
	if err != nil {
		return row, err
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, identity.OperatorFile), filepath.Join(dir, identity.OperatorKey))
	if err != nil {
		return row, err
	}
	ca, err := os.ReadFile(filepath.Join(dir, identity.CAFile))
	if err != nil {
		return row, err
	}
	cas := x509.NewCertPool()
	cas.AppendCertsFromPEM(ca)
	server := d.ServerTLS()
	server.ClientAuth, server.ClientCAs = tls.RequireAndVerifyClientCert, cas
	client := &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}, RootCAs: cas, ServerName: "localhost"}
	message, err := callMessage()
	if err != nil {
		return row, err
	}
	return echo(ctx, name, server, client, connections, 64, message, limit)
}

// callMessage is as large as a signed call of one record.
func callMessage() ([]byte, error) {
	content, err := proto.Marshal(certificate(0))
	if err != nil {
		return nil, err
	}
	return proto.Marshal(&exchangev1.PublishRequest{
		Signature: make([]byte, 72),
		Records: []*exchangev1.Publication{{
			Topic: topic, IdempotencyKey: make([]byte, verify.KeySize), Secret: make([]byte, verify.SecretSize),
			Statement: make([]byte, verify.HashSize), Operation: 1, ContractVersion: 1,
			Content: &exchangev1.Publication_Protobuf{Protobuf: content},
		}},
	})
}
