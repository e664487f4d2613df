package node_test

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	"github.com/huitong-bus/huitong/services/huitong/node/nodetest"
)

// TestAStrangerReachesHealthAlone: everybody else is told why, before a message
// is read.
func TestAStrangerReachesHealthAlone(t *testing.T) {
	x := nodetest.Start(t)
	pool := x509.NewCertPool()
	pem, err := os.ReadFile(filepath.Join(x.Dir, identity.CAFile))
	if err != nil || !pool.AppendCertsFromPEM(pem) {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient(x.Node.Address(), grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: pool})))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	h, err := healthv1.NewHealthClient(conn).Check(t.Context(), &healthv1.HealthCheckRequest{})
	if err != nil || h.Status != healthv1.HealthCheckResponse_SERVING {
		t.Errorf("health: %v, %v", h, err)
	}
	_, err = exchangev1.NewExchangeServiceClient(conn).Query(t.Context(), &exchangev1.QueryRequest{Topic: "marriage"})
	wantRule(t, fault.FromStatus(err), fault.Unauthenticated, "certificate.required")
	stream, err := exchangev1.NewExchangeServiceClient(conn).PublishStream(t.Context())
	if err == nil {
		_, err = stream.Recv()
	}
	wantRule(t, fault.FromStatus(err), fault.Unauthenticated, "certificate.required")
}

// TestWatchesOfOneSystemAreBounded: over all its connections.
func TestWatchesOfOneSystemAreBounded(t *testing.T) {
	x := nodetest.Start(t)
	watch := func() (ledgerv1.LedgerService_WatchEntriesClient, error) {
		stream, err := ledgerv1.NewLedgerServiceClient(x.Client.Conn()).WatchEntries(t.Context(), &ledgerv1.WatchEntriesRequest{Filter: &ledgerv1.EntryFilter{FromIndex: 1}})
		if err == nil {
			_, err = stream.Recv()
		}
		return stream, fault.FromStatus(err)
	}
	for range 32 {
		if _, err := watch(); err != nil {
			t.Fatal(err)
		}
	}
	_, err := watch()
	wantRule(t, err, fault.Limited, "calls.number")
}
