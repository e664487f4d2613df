package node_test

import (
	"context"
	"testing"
	"time"

	"github.com/huitong-bus/huitong/exchange/fault"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/huitong/node"
)

// TestALifeOfACertificate takes certificates through all that may happen to them
// and asks after every step how they stand and from when.
func TestALifeOfACertificate(t *testing.T) {
	in := newIssuing(t)
	p, ctx := in.publisher, t.Context()
	first, second, third := certificateID(1, 1), certificateID(1, 2), certificateID(2, 1)
	step := func(want sdk.Standing, id string, do func() (*sdk.Receipt, error)) {
		t.Helper()
		r, err := do()
		if err != nil {
			t.Fatal(err)
		}
		if s := in.status(t, want, id); !s.Since.Equal(r.At) {
			t.Errorf("%s since %v, not since %v", want, s.Since, r.At)
		}
	}
	refused := func(rule string, do func() (*sdk.Receipt, error)) {
		t.Helper()
		if _, err := do(); fault.RuleOf(err) != rule {
			t.Errorf("%v, not a refusal of %s", err, rule)
		}
	}
	change := func(do func(context.Context, string, string, string, ...sdk.PublishOption) (*sdk.Receipt, error), id string) func() (*sdk.Receipt, error) {
		return func() (*sdk.Receipt, error) { return do(ctx, certificates, id, "复核") }
	}
	issue := func(id string) func() (*sdk.Receipt, error) {
		return func() (*sdk.Receipt, error) { return p.Publish(ctx, certificates, certificateOf(id)) }
	}
	supersede := func(id, by string) func() (*sdk.Receipt, error) {
		return func() (*sdk.Receipt, error) { return p.Supersede(ctx, certificates, id, by, "换证") }
	}

	refused("record.unknown", change(p.Revoke, first))
	step(sdk.StandingActive, first, issue(first))
	refused("record.status", change(p.Resume, first))
	step(sdk.StandingSuspended, first, change(p.Suspend, first))
	refused("record.status", change(p.Suspend, first))
	step(sdk.StandingActive, first, change(p.Resume, first))

	step(sdk.StandingActive, second, issue(second))
	refused("successor.version", supersede(second, first))
	refused("successor.version", supersede(first, first))
	step(sdk.StandingSuperseded, first, supersede(first, second))
	if s := in.status(t, sdk.StandingSuperseded, first); s.SupersededByVersion != 2 {
		t.Errorf("superseded by version %d, not 2", s.SupersededByVersion)
	}
	in.status(t, sdk.StandingActive, second)
	refused("record.status", change(p.Resume, first))
	refused("record.ended", issue(first))

	step(sdk.StandingRevoked, second, change(p.Revoke, second))
	for _, do := range []func(context.Context, string, string, string, ...sdk.PublishOption) (*sdk.Receipt, error){p.Suspend, p.Resume, p.Revoke, p.Cancel} {
		refused("record.status", change(do, second))
	}
	refused("record.status", supersede(second, certificateID(1, 3)))
	refused("record.ended", issue(second))
	in.status(t, sdk.StandingRevoked, second)

	step(sdk.StandingActive, third, issue(third))
	refused("reason.required", func() (*sdk.Receipt, error) { return p.Cancel(ctx, certificates, third, "") })
	step(sdk.StandingCancelled, third, change(p.Cancel, third))
	refused("record.ended", issue(third))
	fsck(t, in.Exchange)
}

// TestOnlyTheIssuerChangesItsCertificates: nobody else revokes one, and nobody
// does it with another's signature or with none.
func TestOnlyTheIssuerChangesItsCertificates(t *testing.T) {
	in := newIssuing(t)
	id := certificateID(1, 1)
	in.issue(t, certificateOf(id))
	stranger := in.hall.Publisher(sdk.PublisherConfig{})
	defer stranger.Close(t.Context())
	_, err := stranger.Revoke(t.Context(), certificates, id, "无权")
	wantRule(t, err, fault.Denied, "topic.owner")

	unsigned := func(p *exchangev1.Publication, signature []byte) string {
		resp, err := exchangev1.NewExchangeServiceClient(in.issuer.Conn()).Publish(t.Context(), &exchangev1.PublishRequest{
			Records: []*exchangev1.Publication{p}, Signature: signature,
		})
		if err != nil {
			return fault.RuleOf(fault.FromStatus(err))
		}
		return resp.Results[0].GetProblem().GetRule()
	}
	revoke := &exchangev1.Publication{Topic: certificates, Operation: ledgerv1.Operation_OPERATION_REVOKE, Key: id, Reason: "登记有误"}
	if rule := unsigned(revoke, nil); rule != "signature.required" {
		t.Errorf("an unsigned revocation is answered %q", rule)
	}
	revoke.IdempotencyKey, revoke.Secret = make([]byte, 16), make([]byte, 32)
	if rule := unsigned(revoke, []byte("forged")); rule != "signature.wrong" {
		t.Errorf("a forged revocation is answered %q", rule)
	}
	in.status(t, sdk.StandingActive, id)
	fsck(t, in.Exchange)
}

// TestStatusFollowsTheDays: a certificate that begins later says so, one whose
// last day in Asia/Shanghai is over has expired since that day's end, and a
// change that takes effect at another time says that time.
func TestStatusFollowsTheDays(t *testing.T) {
	clock := &movable{}
	clock.put(beforeNationalDay())
	in := newIssuing(t, node.Config{Clock: clock.Now, Database: "sqlite:" + t.TempDir()})
	shanghai := time.FixedZone("Asia/Shanghai", 8*60*60)
	year := clock.Now().Year()
	running, coming := certificateOf(certificateID(1, 1)), certificateOf(certificateID(2, 1))
	running.ValidUntil = time.Date(year, 9, 30, 0, 0, 0, 0, shanghai).Format(time.DateOnly)
	begin := time.Date(year, 10, 5, 0, 0, 0, 0, shanghai)
	coming.ValidFrom = begin.Format(time.DateOnly)
	in.issue(t, running)
	in.issue(t, coming)
	if s := in.status(t, sdk.StandingActive, coming.Identifier); !s.Since.Equal(begin) {
		t.Errorf("active since %v, not since %v", s.Since, begin)
	}
	clock.put(time.Date(year, 9, 30, 23, 58, 0, 0, shanghai))
	in.status(t, sdk.StandingActive, running.Identifier)
	clock.put(time.Date(year, 10, 1, 0, 0, 1, 0, shanghai))
	if s := in.status(t, sdk.StandingExpired, running.Identifier); !s.Since.Equal(time.Date(year, 10, 1, 0, 0, 0, 0, shanghai)) {
		t.Errorf("expired since %v", s.Since)
	}
	effective := time.Date(year, 10, 3, 0, 0, 0, 0, shanghai)
	_, err := in.publisher.Do(t.Context(), sdk.Publication{
		Topic: certificates, Operation: sdk.Revoke, Key: coming.Identifier, Reason: "登记有误", EffectiveAt: effective,
	})
	if err != nil {
		t.Fatal(err)
	}
	if s := in.status(t, sdk.StandingRevoked, coming.Identifier); !s.Since.Equal(effective) {
		t.Errorf("revoked since %v, not since %v", s.Since, effective)
	}
}
