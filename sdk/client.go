package sdk

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Client is a system's connection to the exchange. It is safe for use by many
// goroutines; one a process and certificate is enough.
type Client struct {
	cfg    Config
	id     *identity
	conns  []*grpc.ClientConn
	next   atomic.Uint32
	system string
	caller *cataloguev1.GetCallerResponse
	log    *ledgerView
	book   *contractBook
}

// Connect connects to the exchange and asks who it takes the caller for, so a
// wrong certificate or address shows here and not at the first record.
func Connect(ctx context.Context, cfg Config) (*Client, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	id, err := cfg.identity()
	if err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, id: id}
	c.book = newContractBook(c)
	if err := c.dial(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	if err := c.introduce(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Client) dial() error {
	for range c.cfg.Connections {
		conn, err := grpc.NewClient(c.cfg.Address,
			grpc.WithTransportCredentials(credentials.NewTLS(c.id.tls.Clone())),
			grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: DefaultKeepalive, Timeout: 10 * time.Second}),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(c.cfg.MaxMessage)),
			grpc.WithInitialWindowSize(4<<20), grpc.WithInitialConnWindowSize(8<<20),
			grpc.WithDisableServiceConfig(),
		)
		if err != nil {
			return fault.FromStatus(err)
		}
		c.conns = append(c.conns, conn)
	}
	return nil
}

// introduce learns the caller's own name and the ledger's key.
func (c *Client) introduce(ctx context.Context) error {
	resp, err := c.catalogue().GetCaller(ctx, &cataloguev1.GetCallerRequest{}, grpc.WaitForReady(c.cfg.Wait))
	if err != nil {
		return fault.FromStatus(err)
	}
	key := c.cfg.LedgerKey
	if key == "" {
		key = resp.GetLedgerKey()
	}
	verifier, err := verify.NewCheckpointVerifier(key)
	if err != nil {
		return fault.Wrap(fault.Invalid, "sdk.ledger_key", err, "the ledger's key is not a C2SP verifier key")
	}
	c.caller, c.system, c.log = resp, resp.GetSystem().GetId(), newLedgerView(key, verifier)
	return nil
}

// Close closes the connections. Close publishers and stop subscriptions first:
// what is under way is cut off.
func (c *Client) Close() error {
	var errs []error
	for _, conn := range c.conns {
		errs = append(errs, conn.Close())
	}
	return errors.Join(errs...)
}

// Conn gives a connection for calls that the SDK has no helper for, with the
// generated stubs: cataloguev1.NewCatalogueServiceClient(client.Conn()).
func (c *Client) Conn() grpc.ClientConnInterface {
	return c.conns[int(c.next.Add(1))%len(c.conns)]
}

// System is the calling system, "<participant>/<system>".
func (c *Client) System() string { return c.system }

// Participant is the calling system's participant, by its code.
func (c *Client) Participant() string {
	code, _, _ := strings.Cut(c.system, "/")
	return code
}

// Origin is the ledger's, which statements are signed for.
func (c *Client) Origin() string { return c.log.verifier.Origin() }

// LedgerKey is the key that checkpoints are checked by, a C2SP vkey; its name is
// the ledger's origin.
func (c *Client) LedgerKey() string { return c.log.key }

// Caller asks who the exchange takes the caller for now.
func (c *Client) Caller(ctx context.Context) (*cataloguev1.GetCallerResponse, error) {
	resp, err := c.catalogue().GetCaller(ctx, &cataloguev1.GetCallerRequest{})
	return resp, fault.FromStatus(err)
}

func (c *Client) catalogue() cataloguev1.CatalogueServiceClient {
	return cataloguev1.NewCatalogueServiceClient(c.Conn())
}

func (c *Client) exchange() exchangev1.ExchangeServiceClient {
	return exchangev1.NewExchangeServiceClient(c.Conn())
}

func (c *Client) ledger() ledgerv1.LedgerServiceClient {
	return ledgerv1.NewLedgerServiceClient(c.Conn())
}

// Sign signs a statement of package verify by the key of the system's
// certificate.
func (c *Client) Sign(statement []byte) ([]byte, error) { return verify.Sign(c.id.signer, statement) }
