package node

import (
	"context"

	"github.com/huitong-bus/huitong/exchange/agreement"
	"github.com/huitong-bus/huitong/exchange/deadline"
	"github.com/huitong-bus/huitong/exchange/hearing"
	"github.com/huitong-bus/huitong/exchange/intake"
	"github.com/huitong-bus/huitong/exchange/notice"
	"github.com/huitong-bus/huitong/exchange/reuse"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	"github.com/huitong-bus/huitong/services/rpc"
)

// openBoard opens intake, the exchange's own topics, and what tells of deadlines
// there.
func (n *Node) openBoard(ctx context.Context) (err error) {
	n.intake = &intake.Intake{
		Journal: n.Journal, Topics: n.Catalogue, Access: n.Policy, Refusals: n.refusals, Keys: n.Identity.Keyring,
		Checks:     map[string]intake.ContentCheck{reuse.ItemContract: &reuse.ItemCheck{Topics: n.Catalogue, Conditions: &reuse.Conditions{}}},
		Over:       hearing.Over,
		MaxRecords: n.MaxCallRecords, MaxRecordBytes: n.MaxRecordBytes, MaxCallBytes: n.MaxCallBytes,
	}
	if n.Board, err = notice.Open(ctx, n.Catalogue, n.intake); err != nil {
		return err
	}
	sweeper := deadline.NewSweeper(deadline.SweeperConfig{
		DB: n.DB, Journal: n.Journal, Board: n.Board, Settings: n.Catalogue, Clock: n.Clock, Log: n.Log,
	})
	n.closing(func(context.Context) error { sweeper.Close(); return nil })
	return nil
}

func (n *Node) serveDeadlines() {
	list := &deadline.List{DB: n.DB, Settings: n.Catalogue, Clock: n.Clock}
	accessv1.RegisterDeadlineServiceServer(n.server, &rpc.DeadlineService{Catalogue: n.Catalogue, Deadlines: list})
	accessv1.RegisterAgreementServiceServer(n.server, &rpc.AgreementService{Agreements: agreement.New(agreement.Config{
		DB: n.DB, Policy: n.Policy, Origin: n.Identity.Keyring.Origin(), Deadlines: list, Clock: n.Clock,
	})})
}
