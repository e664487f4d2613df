package node_test

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/huitong-bus/huitong/exchange/fault"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments/sample"
)

// matrixRow is what one method answers to each role: "ok", or kind and rule, and
// behind it the entry that the call leaves, if it leaves one. A role that is not
// named gets what "" says.
type matrixRow struct {
	method string
	call   func(ctx context.Context, c clientsOf) error
	want   map[string]string
}

const (
	notDepartment = "DENIED role.department + refused"
	notOperator   = "DENIED role.operator + refused"
	noCatalogue   = "DENIED role.catalogue + refused"
	notTheirs     = "NOT_FOUND subscription.unknown + refused"
	noGrant       = "DENIED grant.required + refused"
)

func (p *permissions) rows() []matrixRow {
	asked := &exchangev1.Acting{Person: acting.Person, Purpose: acting.Purpose, CaseNumber: acting.Case}
	unsigned := &exchangev1.PublishRequest{ValidateOnly: true, Records: []*exchangev1.Publication{
		{Topic: "marriage", Operation: ledgerv1.Operation_OPERATION_REVOKE, Key: p.key, Reason: "登记有误"},
	}}
	// The owner gets as far as the signature that it did not make.
	publishing := map[string]string{"o": "DENIED signature.required + refused", "": notDepartment, "g": "DENIED topic.owner + refused", "s": "DENIED topic.owner + refused", "d": "DENIED topic.owner + refused"}
	operators := map[string]string{"M": "ok", "": notOperator}
	readers := map[string]string{"": "ok", "W": noCatalogue}
	subscribers := map[string]string{"g": "ok", "": notTheirs}
	watchers := map[string]string{"g": "ok", "M": "ok", "": notTheirs}
	everybody := map[string]string{"": "ok"}
	past := &ledgerv1.EntryFilter{Until: timestamppb.New(timestamppb.Now().AsTime().AddDate(-1, 0, 0)), FromIndex: 1}
	rows := []matrixRow{
		{"exchange.Publish", func(ctx context.Context, c clientsOf) error {
			r, err := c.Publish(ctx, unsigned)
			if p := problemIn(r); err == nil && p != nil {
				return fault.New(fault.ParseKind(p.Kind), p.Rule, "%s", p.Message)
			}
			return err
		}, publishing},
		{"exchange.PublishStream", func(ctx context.Context, c clientsOf) error {
			s, err := c.PublishStream(ctx)
			return exchanged(s, err, &exchangev1.PublishStreamRequest{Call: unsigned}, func(r *exchangev1.PublishStreamResponse) *exchangev1.Problem {
				if r.Problem != nil {
					return r.Problem
				}
				return problemIn(r.Response)
			})
		}, publishing},
		// Positions are by system: there is no way to name another's.
		{"exchange.GetLastPosition", func(ctx context.Context, c clientsOf) error {
			return tried(c.GetLastPosition(ctx, &exchangev1.GetLastPositionRequest{Source: "s"}))
		}, everybody},
		{"exchange.Query", func(ctx context.Context, c clientsOf) error {
			return tried(c.Query(ctx, &exchangev1.QueryRequest{Topic: "marriage", Acting: asked, By: &exchangev1.QueryRequest_Key{Key: p.key}}))
		}, map[string]string{"o": "ok + queried", "g": "ok + queried", "s": noGrant, "d": noGrant, "": notDepartment}},
		{"exchange.Subscribe", func(ctx context.Context, c clientsOf) error {
			s, err := c.Subscribe(ctx)
			return exchanged(s, err, &exchangev1.SubscribeRequest{Message: &exchangev1.SubscribeRequest_Open{
				Open: &exchangev1.SubscribeOpen{Subscription: p.subscription},
			}}, func(*exchangev1.SubscribeResponse) *exchangev1.Problem { return nil })
		}, subscribers},
		{"exchange.CreateSubscription", func(ctx context.Context, c clientsOf) error {
			return tried(c.CreateSubscription(ctx, &exchangev1.CreateSubscriptionRequest{
				Subscription: &exchangev1.Subscription{Name: "another", Topic: "marriage"}, ValidateOnly: true,
			}))
		}, map[string]string{"o": "ok", "g": "ok", "s": noGrant, "d": noGrant, "": notDepartment}},
		{"exchange.GetSubscription", func(ctx context.Context, c clientsOf) error {
			return tried(c.GetSubscription(ctx, &exchangev1.GetSubscriptionRequest{Id: p.subscription}))
		}, watchers},
		{"exchange.ListSubscriptions", func(ctx context.Context, c clientsOf) error {
			return tried(c.ListSubscriptions(ctx, &exchangev1.ListSubscriptionsRequest{System: "*"}))
		}, operators},
		{"exchange.PauseSubscription", func(ctx context.Context, c clientsOf) error {
			return tried(c.PauseSubscription(ctx, &exchangev1.PauseSubscriptionRequest{Id: p.subscription, ValidateOnly: true}))
		}, subscribers},
		{"exchange.ResumeSubscription", func(ctx context.Context, c clientsOf) error {
			return tried(c.ResumeSubscription(ctx, &exchangev1.ResumeSubscriptionRequest{Id: p.subscription, ValidateOnly: true}))
		}, subscribers},
		{"exchange.ResetSubscription", func(ctx context.Context, c clientsOf) error {
			return tried(c.ResetSubscription(ctx, &exchangev1.ResetSubscriptionRequest{
				Id: p.subscription, Start: &exchangev1.Start{From: &exchangev1.Start_All{All: true}}, ValidateOnly: true,
			}))
		}, subscribers},
		{"exchange.DeleteSubscription", func(ctx context.Context, c clientsOf) error {
			return tried(c.DeleteSubscription(ctx, &exchangev1.DeleteSubscriptionRequest{Id: p.subscription, ValidateOnly: true}))
		}, subscribers},
		{"exchange.ListDeadLetters", func(ctx context.Context, c clientsOf) error {
			return tried(c.ListDeadLetters(ctx, &exchangev1.ListDeadLettersRequest{Subscription: p.subscription}))
		}, watchers},
		// An operator sees that there are dead letters, and no record of them.
		{"exchange.PeekDeadLetter", func(ctx context.Context, c clientsOf) error {
			return tried(c.PeekDeadLetter(ctx, &exchangev1.PeekDeadLetterRequest{Subscription: p.subscription, Sequence: 1, Acting: asked}))
		}, map[string]string{"g": "NOT_FOUND dead_letter.unknown + refused", "": notTheirs}},
		{"exchange.ReplayDeadLetters", func(ctx context.Context, c clientsOf) error {
			return tried(c.ReplayDeadLetters(ctx, &exchangev1.ReplayDeadLettersRequest{Subscription: p.subscription, ValidateOnly: true}))
		}, subscribers},

		{"catalogue.RegisterParticipant", func(ctx context.Context, c clientsOf) error {
			return tried(c.RegisterParticipant(ctx, &cataloguev1.RegisterParticipantRequest{Participant: participant(sample.MarketRegulation), ValidateOnly: true}))
		}, operators},
		{"catalogue.ListParticipants", func(ctx context.Context, c clientsOf) error {
			return tried(c.ListParticipants(ctx, &cataloguev1.ListParticipantsRequest{}))
		}, readers},
		{"catalogue.SuspendParticipant", func(ctx context.Context, c clientsOf) error {
			return tried(c.SuspendParticipant(ctx, &cataloguev1.SuspendParticipantRequest{Code: sample.CivilAffairs.Code, Reason: "r", ValidateOnly: true}))
		}, operators},
		{"catalogue.ResumeParticipant", func(ctx context.Context, c clientsOf) error {
			return tried(c.ResumeParticipant(ctx, &cataloguev1.ResumeParticipantRequest{Code: sample.CivilAffairs.Code, ValidateOnly: true}))
		}, operators},
		{"catalogue.EnrolSystem", func(ctx context.Context, c clientsOf) error {
			_, request, err := sdk.NewCertificateRequest(sample.Housing.Code, "second")
			if err != nil {
				return err
			}
			return tried(c.EnrolSystem(ctx, &cataloguev1.EnrolSystemRequest{
				System:             &cataloguev1.System{Participant: sample.Housing.Code, Name: "second", Roles: []cataloguev1.Role{cataloguev1.Role_ROLE_OPERATOR}},
				CertificateRequest: request, ValidateOnly: true,
			}))
		}, operators},
		{"catalogue.ListSystems", func(ctx context.Context, c clientsOf) error {
			return tried(c.ListSystems(ctx, &cataloguev1.ListSystemsRequest{Participant: sample.CivilAffairs.Code}))
		}, map[string]string{"o": "ok", "M": "ok", "A": "ok", "W": noCatalogue, "": "DENIED participant.other + refused"}},
		{"catalogue.RenewCertificate", func(ctx context.Context, c clientsOf) error {
			_, request, err := sdk.NewCertificateRequest(sample.ServiceHall.Code, "hall")
			if err != nil {
				return err
			}
			return tried(c.RenewCertificate(ctx, &cataloguev1.RenewCertificateRequest{System: p.systems["g"], CertificateRequest: request, ValidateOnly: true}))
		}, map[string]string{"g": "ok", "M": "ok", "": notOperator}},
		{"catalogue.RevokeCertificate", func(ctx context.Context, c clientsOf) error {
			return tried(c.RevokeCertificate(ctx, &cataloguev1.RevokeCertificateRequest{Fingerprint: p.fingerprint, Reason: "r", ValidateOnly: true}))
		}, map[string]string{"g": "DENIED operator.self + refused", "M": "ok", "": notOperator}},
		{"catalogue.ListCertificates", func(ctx context.Context, c clientsOf) error {
			return tried(c.ListCertificates(ctx, &cataloguev1.ListCertificatesRequest{System: p.systems["g"]}))
		}, map[string]string{"g": "ok", "s": "ok", "M": "ok", "A": "ok", "W": noCatalogue, "": "DENIED participant.other + refused"}},
		{"catalogue.SuspendSystem", func(ctx context.Context, c clientsOf) error {
			return tried(c.SuspendSystem(ctx, &cataloguev1.SuspendSystemRequest{Id: p.systems["g"], Reason: "r", ValidateOnly: true}))
		}, operators},
		{"catalogue.ResumeSystem", func(ctx context.Context, c clientsOf) error {
			return tried(c.ResumeSystem(ctx, &cataloguev1.ResumeSystemRequest{Id: p.systems["g"], ValidateOnly: true}))
		}, operators},
		{"catalogue.GetCaller", func(ctx context.Context, c clientsOf) error {
			return tried(c.GetCaller(ctx, &cataloguev1.GetCallerRequest{}))
		}, everybody},
		{"catalogue.RegisterContract", func(ctx context.Context, c clientsOf) error {
			return tried(c.RegisterContract(ctx, &cataloguev1.RegisterContractRequest{Name: "huitong.records.v1.Marriage", ValidateOnly: true}))
		}, map[string]string{"": "DENIED contract.reserved + refused", "A": notDepartment, "W": notDepartment}},
		{"catalogue.GetContract", func(ctx context.Context, c clientsOf) error {
			return tried(c.GetContract(ctx, &cataloguev1.GetContractRequest{Name: "huitong.records.v1.Marriage"}))
		}, readers},
		{"catalogue.ListContracts", func(ctx context.Context, c clientsOf) error {
			return tried(c.ListContracts(ctx, &cataloguev1.ListContractsRequest{}))
		}, readers},
		{"catalogue.CreateTopic", func(ctx context.Context, c clientsOf) error {
			return tried(c.CreateTopic(ctx, &cataloguev1.CreateTopicRequest{Topic: unconditional("second", "Marriage", sample.CivilAffairs), ValidateOnly: true}))
		}, map[string]string{"o": "ok", "M": "ok", "": "DENIED topic.owner + refused"}},
		{"catalogue.GetTopic", func(ctx context.Context, c clientsOf) error {
			return tried(c.GetTopic(ctx, &cataloguev1.GetTopicRequest{Name: "marriage"}))
		}, readers},
		{"catalogue.ListTopics", func(ctx context.Context, c clientsOf) error {
			return tried(c.ListTopics(ctx, &cataloguev1.ListTopicsRequest{}))
		}, readers},
		{"catalogue.WithdrawTopic", func(ctx context.Context, c clientsOf) error {
			return tried(c.WithdrawTopic(ctx, &cataloguev1.WithdrawTopicRequest{Name: "marriage", Reason: "r", ValidateOnly: true}))
		}, map[string]string{"o": "ok", "M": "ok", "A": notDepartment, "W": notDepartment, "": "DENIED topic.owner + refused"}},

		{"access.CreateGrant", func(ctx context.Context, c clientsOf) error {
			return tried(c.CreateGrant(ctx, &accessv1.CreateGrantRequest{ValidateOnly: true, Grant: &accessv1.Grant{
				Topic: "marriage", Consumer: sample.Housing.Code, Basis: "b", Fields: []string{"party_a_name"}, ServiceItems: []string{"X"},
				DeliveryModes: []cataloguev1.DeliveryMode{cataloguev1.DeliveryMode_DELIVERY_MODE_QUERY},
			}}))
		}, operators},
		// A grant of others is answered as if there were none.
		{"access.GetGrant", func(ctx context.Context, c clientsOf) error {
			return tried(c.GetGrant(ctx, &accessv1.GetGrantRequest{Id: p.grant}))
		}, map[string]string{"": "ok", "d": "NOT_FOUND grant.unknown", "W": noCatalogue}},
		{"access.ListGrants", func(ctx context.Context, c clientsOf) error {
			return tried(c.ListGrants(ctx, &accessv1.ListGrantsRequest{}))
		}, readers},
		{"access.SuspendGrant", func(ctx context.Context, c clientsOf) error {
			return tried(c.SuspendGrant(ctx, &accessv1.SuspendGrantRequest{Id: p.grant, Reason: "r", ValidateOnly: true}))
		}, map[string]string{"o": "ok", "g": "ok", "s": "ok", "M": "ok", "": notOperator}},
		{"access.ResumeGrant", func(ctx context.Context, c clientsOf) error {
			return tried(c.ResumeGrant(ctx, &accessv1.ResumeGrantRequest{Id: p.grant, ValidateOnly: true}))
		}, map[string]string{"o": "ok", "g": "ok", "s": "ok", "M": "ok", "": notOperator}},

		{"ledger.GetEntry", func(ctx context.Context, c clientsOf) error {
			return tried(c.GetEntry(ctx, &ledgerv1.GetEntryRequest{Index: p.published}))
		}, map[string]string{"o": "ok", "A": "ok", "": "NOT_FOUND entry.unknown", "W": "DENIED role.ledger + refused"}},
		{"ledger.ListEntries", func(ctx context.Context, c clientsOf) error {
			return tried(c.ListEntries(ctx, &ledgerv1.ListEntriesRequest{}))
		}, map[string]string{"": "ok + read", "W": "DENIED role.ledger + refused"}},
		{"ledger.ExportEntries", func(ctx context.Context, c clientsOf) error {
			return received(c.ExportEntries(ctx, &ledgerv1.ExportEntriesRequest{UntilIndex: 1}))
		}, map[string]string{"A": "ok + read", "": "DENIED role.auditor + refused"}},
		{"ledger.WatchEntries", func(ctx context.Context, c clientsOf) error {
			return received(c.WatchEntries(ctx, &ledgerv1.WatchEntriesRequest{Filter: past}))
		}, map[string]string{"": "ok + read", "W": "DENIED role.ledger + refused"}},
		{"ledger.GetInclusionProof", func(ctx context.Context, c clientsOf) error {
			return tried(c.GetInclusionProof(ctx, &ledgerv1.GetInclusionProofRequest{Index: p.published}))
		}, map[string]string{"o": "ok", "A": "ok", "": "NOT_FOUND entry.unknown", "W": "DENIED role.ledger + refused"}},
		{"ledger.GetConsistencyProof", func(ctx context.Context, c clientsOf) error {
			return tried(c.GetConsistencyProof(ctx, &ledgerv1.GetConsistencyProofRequest{FirstSize: 1}))
		}, everybody},
		{"ledger.GetCheckpoint", func(ctx context.Context, c clientsOf) error {
			return tried(c.GetCheckpoint(ctx, &ledgerv1.GetCheckpointRequest{}))
		}, everybody},
		{"ledger.GetTile", func(ctx context.Context, c clientsOf) error {
			return tried(c.GetTile(ctx, &ledgerv1.GetTileRequest{Width: 1}))
		}, everybody},
	}
	rows = append(rows, p.snapshotRows()...)
	rows = append(rows, p.correctionRows()...)
	rows = append(rows, p.deadlineRows()...)
	rows = append(rows, p.personRows()...)
	rows = append(rows, p.catalogueRows()...)
	rows = append(rows, p.checkRows(asked)...)
	rows = append(rows, p.statusRows()...)
	rows = append(rows, p.caseRows()...)
	rows = append(rows, p.agreementRows()...)
	rows = append(rows, p.consentRows()...)
	rows = append(rows, p.enrolmentRows()...)
	rows = append(rows, p.fanOutRows()...)
	rows = append(rows, p.documentRows()...)
	rows = append(rows, p.reuseRows()...)
	rows = append(rows, p.itemRows()...)
	return rows
}
