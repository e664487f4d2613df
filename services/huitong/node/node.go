// Package node puts one exchange together from its parts and runs it: keys,
// database, journal, catalogue, access, bus and the gRPC server before them.
//
// Publish and query are served as soon as the journal is open. JetStream may
// take its time to recover behind them: until its streams are there, topics are
// read from the journal.
package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/bus"
	"github.com/huitong-bus/huitong/exchange/cases"
	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/consent"
	"github.com/huitong-bus/huitong/exchange/correction"
	"github.com/huitong-bus/huitong/exchange/document"
	"github.com/huitong-bus/huitong/exchange/erasure"
	"github.com/huitong-bus/huitong/exchange/fanout"
	"github.com/huitong-bus/huitong/exchange/hearing"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/inspect"
	"github.com/huitong-bus/huitong/exchange/intake"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/notice"
	"github.com/huitong-bus/huitong/exchange/query"
	"github.com/huitong-bus/huitong/exchange/snapshot"
	"github.com/huitong-bus/huitong/exchange/status"
	"github.com/huitong-bus/huitong/exchange/store"
	"github.com/huitong-bus/huitong/exchange/subscription"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	"github.com/huitong-bus/huitong/services/rpc"
)

// Node is a running exchange.
type Node struct {
	Config
	Identity  *identity.Directory
	DB        *store.DB
	Journal   *journal.Journal
	Catalogue *catalog.Catalogue
	Policy    *access.Policy
	Cases     *cases.Cases
	Index     *inspect.Index
	Bus       *bus.Bus
	Board     *notice.Board
	Documents *document.Documents

	intake        *intake.Intake
	queries       *query.Queries
	refusals      *access.Refusals
	consents      *consent.Consents
	subscriptions *subscription.Manager
	loads         *snapshot.Loads
	marks         *correction.Marks
	corrections   *correction.Corrections
	server        *rpc.Server
	listener      net.Listener
	broken        chan error
	// closers end the parts, the last first.
	closers []func(ctx context.Context) error
}

// Open opens the exchange of a data directory and listens; Serve answers.
func Open(ctx context.Context, c Config) (*Node, error) {
	c.fillIn()
	n := &Node{Config: c, broken: make(chan error, 1)}
	if err := n.open(ctx); err != nil {
		return nil, errors.Join(err, n.Close(context.Background()))
	}
	return n, nil
}

func (n *Node) open(ctx context.Context) (err error) {
	if Unfinished(n.Dir) {
		return fmt.Errorf("%s holds an exchange that is not finished; run huitong init once more", n.Dir)
	}
	if n.Identity, err = identity.Load(n.Dir); err != nil {
		return err
	}
	n.Identity.AddHosts(n.Hosts...)
	if n.listener, err = net.Listen("tcp", n.Listen); err != nil {
		return err
	}
	n.closing(func(context.Context) error { return ignoreClosed(n.listener.Close()) })
	if err := n.openJournal(ctx); err != nil {
		return err
	}
	if err := n.openCatalogue(ctx); err != nil {
		return err
	}
	if err := n.openBoard(ctx); err != nil {
		return err
	}
	if err := n.openIndex(ctx); err != nil {
		return err
	}
	if err := n.openCorrections(ctx); err != nil {
		return err
	}
	if err := n.openErasures(ctx); err != nil {
		return err
	}
	n.openDocuments()
	n.openBus()
	if err := n.openSubscriptions(ctx); err != nil {
		return err
	}
	n.openLoads()
	if err := n.openHearing(ctx); err != nil {
		return err
	}
	return n.openServer()
}

func (n *Node) closing(end func(ctx context.Context) error) { n.closers = append(n.closers, end) }

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (n *Node) openJournal(ctx context.Context) (err error) {
	if n.DB, err = store.Open(ctx, n.Database); err != nil {
		return err
	}
	n.closing(func(context.Context) error { return n.DB.Close() })
	n.Journal, err = journal.Open(ctx, journal.Config{
		DB: n.DB, Sealer: n.Identity.Keyring, Signer: n.Identity.Keyring.Signer(), Clock: n.Clock, Log: n.Log,
		Broken:  func(err error) { n.broken <- err },
		Erasing: []func(context.Context, store.Tx, journal.Erased) error{subscription.Erase, correction.Eraser(n.Identity.Keyring, n.Identity.Keyring.Origin()), document.Erase},
		Attach:  document.Attach,
	})
	if err != nil {
		return err
	}
	n.closing(n.Journal.Close)
	return nil
}

func (n *Node) openCatalogue(ctx context.Context) (err error) {
	n.Catalogue, err = catalog.Open(ctx, catalog.Config{
		DB: n.DB, Journal: n.Journal, Authority: n.Identity.Authority, Keyring: n.Identity.Keyring, Clock: n.Clock, Log: n.Log,
	})
	if err != nil {
		return err
	}
	n.closing(func(context.Context) error { n.Catalogue.Close(); return nil })
	n.Policy, err = access.Open(ctx, access.Config{
		DB: n.DB, Journal: n.Journal, Catalogue: n.Catalogue, Clock: n.Clock, Log: n.Log,
	})
	if err != nil {
		return err
	}
	n.closing(func(context.Context) error { n.Policy.Close(); return nil })
	n.Cases = cases.New(cases.Config{DB: n.DB, Journal: n.Journal, Catalogue: n.Catalogue, Keyring: n.Identity.Keyring, Clock: n.Clock})
	n.consents = consent.New(consent.Config{
		DB: n.DB, Journal: n.Journal, Catalogue: n.Catalogue, Keyring: n.Identity.Keyring, Cases: n.Cases, Clock: n.Clock,
	})
	n.refusals = access.NewRefusals(access.RefusalsConfig{Journal: n.Journal, Log: n.Log})
	n.closing(func(ctx context.Context) error { n.refusals.Stop(ctx); return nil })
	return nil
}

func (n *Node) openIndex(ctx context.Context) (err error) {
	n.Index, err = inspect.OpenIndex(ctx, inspect.IndexConfig{DB: n.DB, Journal: n.Journal, Keyring: n.Identity.Keyring, Log: n.Log})
	if err != nil {
		return err
	}
	n.closing(func(context.Context) error { n.Index.Close(); return nil })
	return nil
}

func (n *Node) openCorrections(ctx context.Context) (err error) {
	n.marks = &correction.Marks{}
	n.corrections, err = correction.Open(ctx, correction.Config{
		DB: n.DB, Journal: n.Journal, Topics: n.Catalogue, Readers: n.Policy, Reliance: n.Index, Refusals: n.refusals,
		Cases: n.Cases, Sealer: n.Identity.Keyring, Marks: n.marks, Log: n.Log,
	})
	if err != nil {
		return err
	}
	n.closing(func(context.Context) error { n.corrections.Close(); return nil })
	return nil
}

func (n *Node) openBus() {
	n.Bus = bus.Open(bus.Config{
		URL: n.NATS, Dir: filepath.Join(n.Dir, "jetstream"), Replicas: n.Replicas, Retention: n.Retention, MaxBytes: n.StreamBytes,
		Journal: n.Journal, DB: n.DB, Instance: n.Instance, Log: n.Log,
	})
	n.closing(func(context.Context) error { n.Bus.Close(); return nil })
}

func (n *Node) openSubscriptions(ctx context.Context) error {
	n.subscriptions = subscription.Open(subscription.Config{
		DB: n.DB, Journal: n.Journal, Bus: n.Bus, Catalogue: n.Catalogue, Policy: n.Policy, Refusals: n.refusals,
		Keyring: n.Identity.Keyring, Marks: n.marks, Index: n.Index, Cases: n.Cases, Instance: n.Instance, Clock: n.Clock, Log: n.Log,
	})
	n.Cases.OnClose(func(ctx context.Context, tx store.Tx, slot journal.Slot, c *cases.Case) ([]journal.Entry, error) {
		return n.subscriptions.CaseClosed(ctx, tx, slot, c.Token)
	})
	n.closing(func(ctx context.Context) error { n.subscriptions.Close(ctx); return nil })
	n.Catalogue.OnEnrol(n.subscriptions.Enrolled)
	return n.subscriptions.MakeNotices(ctx)
}

func (n *Node) openHearing(ctx context.Context) error {
	h, err := hearing.Open(ctx, hearing.Config{
		DB: n.DB, Journal: n.Journal, Index: n.Index, Topics: n.Catalogue, Board: n.Board,
		Cases: n.Cases, Settings: n.Catalogue, Clock: n.Clock, Log: n.Log,
	})
	if err != nil {
		return err
	}
	n.closing(func(context.Context) error { h.Close(); return nil })
	return nil
}

// openErasures erases again what a restored backup brought back, before anything
// of it can leave.
func (n *Node) openErasures(ctx context.Context) error {
	k, err := erasure.Open(ctx, erasure.Config{
		DB: n.DB, Journal: n.Journal, Index: n.Index, Topics: n.Catalogue, Keys: n.Identity.Keyring, Forget: fanout.Forget(n.Identity.Keyring),
		Dir: n.Dir, Also: n.Erasures, Log: n.Log,
	})
	if err != nil {
		return err
	}
	n.closing(func(context.Context) error { return k.Close() })
	return nil
}

func (n *Node) openLoads() {
	n.loads = snapshot.Open(snapshot.Config{
		DB: n.DB, Journal: n.Journal, Topics: n.Catalogue, Access: n.Policy, Refusals: n.refusals, Keys: n.Identity.Keyring,
		Share: func() int { return n.Catalogue.Settings().MaxRemovedPercent }, Log: n.Log,
	})
	n.closing(func(context.Context) error { n.loads.Close(); return nil })
}

func (n *Node) openDocuments() {
	n.queries = &query.Queries{
		DB: n.DB, Journal: n.Journal, Topics: n.Catalogue, Policy: n.Policy, Refusals: n.refusals,
		Keyring: n.Identity.Keyring, Index: n.Index, Cases: n.Cases, Consents: n.consents, Marks: n.marks, Clock: n.Clock,
		Thresholds: func() int { return n.Catalogue.Settings().MaxThresholds },
	}
	n.Documents = document.Open(document.Config{
		DB: n.DB, Journal: n.Journal, Standing: n.Catalogue, Refusals: n.refusals, Sealer: n.Identity.Keyring, Releaser: n.queries,
		Keep: n.DocumentKeep, Unnamed: n.DocumentUnnamed, Unfinished: n.DocumentUnfinished, Clock: n.Clock, Log: n.Log, Broken: func(err error) { n.broken <- err },
	})
	n.intake.Documents = n.Documents
	n.closing(func(context.Context) error { n.Documents.Close(); return nil })
}

func (n *Node) openServer() error {
	n.server = rpc.NewServer(rpc.Config{
		Identity: n.Identity, Callers: n.Catalogue, Refusals: n.refusals, Clock: n.Clock, Log: n.Log,
		MaxMessage: rpc.DefaultMaxMessage + max(0, n.MaxCallBytes-intake.DefaultMaxCallBytes),
	})
	cataloguev1.RegisterCatalogueServiceServer(n.server, &rpc.CatalogueService{Catalogue: n.Catalogue, Identity: n.Identity})
	cataloguev1.RegisterPersonServiceServer(n.server, &rpc.PersonService{Catalogue: n.Catalogue})
	cataloguev1.RegisterGroupServiceServer(n.server, &rpc.GroupService{Catalogue: n.Catalogue})
	accessv1.RegisterAccessServiceServer(n.server, &rpc.AccessService{Policy: n.Policy})
	n.serveDeadlines()
	accessv1.RegisterAllowedServiceServer(n.server, &rpc.AllowedService{Policy: n.Policy})
	accessv1.RegisterConsentServiceServer(n.server, &rpc.ConsentService{Consents: n.consents})
	accessv1.RegisterRepresentationServiceServer(n.server, &rpc.RepresentationService{Consents: n.consents})
	accessv1.RegisterIdentityProviderServiceServer(n.server, &rpc.IdentityProviderService{Consents: n.consents})
	accessv1.RegisterCaseServiceServer(n.server, &rpc.CaseService{Cases: n.Cases})
	n.serveReading()
	exchangev1.RegisterEnrolmentServiceServer(n.server, &rpc.EnrolmentService{Subscriptions: n.subscriptions})
	exchangev1.RegisterCorrectionServiceServer(n.server, &rpc.CorrectionService{Corrections: n.corrections})
	exchangev1.RegisterStatusServiceServer(n.server, &rpc.StatusService{Statuses: &status.Statuses{
		DB: n.DB, Journal: n.Journal, Topics: n.Catalogue, Policy: n.Policy, Refusals: n.refusals,
		Keyring: n.Identity.Keyring, Settings: n.Catalogue, Clock: n.Clock,
	}})
	exchangev1.RegisterSnapshotServiceServer(n.server, &rpc.SnapshotService{Loads: n.loads})
	exchangev1.RegisterDocumentServiceServer(n.server, &rpc.DocumentService{Documents: n.Documents})
	ledgerv1.RegisterLedgerServiceServer(n.server, n.ledgerService())
	n.closing(func(ctx context.Context) error { n.server.Close(ctx); return nil })
	return nil
}

func (n *Node) ledgerService() *rpc.LedgerService {
	return &rpc.LedgerService{Ledger: &inspect.Ledger{
		DB: n.DB, Journal: n.Journal, Index: n.Index, Keys: n.Identity.Keyring,
		Policy: n.Policy, Refusals: n.refusals, VerifierKey: n.LedgerKey(),
	}}
}

// Address is where the exchange listens.
func (n *Node) Address() string { return n.listener.Addr().String() }

// LedgerKey is the key that checkpoints verify by, a C2SP vkey.
func (n *Node) LedgerKey() string { return n.Identity.Keyring.VerifierKey() }

// Serve answers calls until ctx ends, then stops in order; or until the exchange
// fails, and gives why. Calls under way and what is committed are finished; the
// stop is bounded.
func (n *Node) Serve(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- n.server.Serve(n.listener) }()
	n.server.SetServing(true)
	var err error
	select {
	case <-ctx.Done():
	case err = <-served:
	case err = <-n.broken:
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	return errors.Join(err, n.Close(stopping))
}

// Close ends the exchange: first what takes calls, last the database.
func (n *Node) Close(ctx context.Context) error {
	var errs []error
	for i := len(n.closers) - 1; i >= 0; i-- {
		errs = append(errs, n.closers[i](ctx))
	}
	n.closers = nil
	return errors.Join(errs...)
}
