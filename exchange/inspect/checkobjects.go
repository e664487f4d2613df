package inspect

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/huitong-bus/huitong/exchange/catalog"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// objectID names an object of the catalogue; version is 0 but for contracts,
// whose versions stand side by side.
type objectID struct {
	kind    string
	id      string
	version uint64
}

// object is the last that the ledger says of one.
type object struct {
	index   uint64
	version uint64
	policy  uint64
	digest  []byte
	seen    bool
}

// objects are all that the ledger says exists.
type objects struct{ seen map[objectID]*object }

func (o *objects) change(index uint64, c *ledgerv1.ObjectChanged) {
	id := objectID{kind: c.Object, id: c.Id}
	if c.Object == "contract" {
		id.version = c.Version
	}
	if len(c.Digest) == 0 {
		delete(o.seen, id)
		return
	}
	o.seen[id] = &object{index: index, version: c.Version, policy: c.Policy, digest: c.Digest}
}

// step takes a step of a grant, at a count of policy changes: each version of one
// is an object of its own.
func (o *objects) step(index, policy uint64, s *ledgerv1.GrantStepped) {
	id := objectID{kind: "grant", id: s.Grant, version: uint64(s.Version)}
	o.seen[id] = &object{index: index, version: uint64(s.Version), policy: policy, digest: s.Digest}
}

// name names an object's row: what has several versions side by side by its
// version too.
func (id objectID) name(version uint64) string {
	if id.kind == "contract" || id.kind == "grant" {
		return fmt.Sprintf("%s version %d", id.id, version)
	}
	return id.id
}

// hasGrant says whether there is a grant, agreed here or recorded from outside.
func (o *objects) hasGrant(id string) bool {
	_, agreed := o.seen[objectID{kind: "grant", id: id, version: 1}]
	return agreed || o.has("grant", id)
}

func (o *objects) has(kind, id string) bool {
	_, ok := o.seen[objectID{kind: kind, id: id}]
	return ok
}

// held compares a row with what the ledger says of it.
func (o *objects) held(table string, id objectID, version, changed uint64, body []byte) error {
	name := id.name(version)
	known := o.seen[id]
	if known == nil {
		return wrong(table, name, "the ledger knows of no such %s", id.kind)
	}
	known.seen = true
	digest := sha256.Sum256(body)
	switch {
	case !bytes.Equal(digest[:], known.digest):
		return wrong(table, name, "the row is not what entry %d commits to", known.index)
	case version != known.version:
		return wrong(table, name, "version is %d, by entry %d it is %d", version, known.index, known.version)
	case known.policy != 0 && changed != known.policy:
		return wrong(table, name, "changed is %d, by entry %d it is %d", changed, known.index, known.policy)
	}
	return nil
}

// tables of objects, by the word that the ledger has for them.
var tablesOf = map[string]string{
	"participant": "participants", "group": "participant_groups", "system": "systems", "contract": "contracts", "topic": "topics", "grant": "grants", "subscription": "subscriptions",
	"settings": "settings", "calendar": "calendar_years", "identity-provider": "identity_providers",
}

// checkObjects compares catalogue, grants and subscriptions with the ledger.
func (c *checker) checkObjects(ctx context.Context) error {
	for _, check := range []func(context.Context) error{
		c.checkParticipants, c.checkGroups, c.checkSystems, c.checkContracts, c.checkTopics, c.checkGrants, c.checkSubscriptions, c.checkCertificates, c.checkPersons, c.checkIdentityProviders,
		c.checkSettings,
	} {
		if err := check(ctx); err != nil {
			return err
		}
	}
	for id, o := range c.objects.seen {
		if table := tablesOf[id.kind]; table != "" && !o.seen {
			return wrong(table, id.name(o.version), "the row is missing that entry %d tells of", o.index)
		}
	}
	return nil
}

// body decodes a row's message and compares a column with what it says.
func bodyOf[T any, P interface {
	*T
	proto.Message
}](table, id string, raw []byte, same func(P) bool) error {
	m := P(new(T))
	if err := proto.Unmarshal(raw, m); err != nil {
		return wrong(table, id, "body does not decode")
	}
	if !same(m) {
		return wrong(table, id, "the columns are not those of the body")
	}
	return nil
}

func (c *checker) checkParticipants(ctx context.Context) error {
	return c.each(ctx, "participants", "SELECT code, version, changed, body FROM participants ORDER BY code", func(rows *sql.Rows) error {
		var id string
		var version, changed uint64
		var body []byte
		if err := rows.Scan(&id, &version, &changed, &body); err != nil {
			return err
		}
		c.report.Objects++
		if err := c.objects.held("participants", objectID{kind: "participant", id: id}, version, changed, body); err != nil {
			return err
		}
		return bodyOf("participants", id, body, func(m *cataloguev1.Participant) bool { return m.Code == id })
	})
}

func (c *checker) checkSystems(ctx context.Context) error {
	return c.each(ctx, "systems", "SELECT id, participant, version, changed, body FROM systems ORDER BY id", func(rows *sql.Rows) error {
		var id, participant string
		var version, changed uint64
		var body []byte
		if err := rows.Scan(&id, &participant, &version, &changed, &body); err != nil {
			return err
		}
		c.report.Objects++
		if err := c.objects.held("systems", objectID{kind: "system", id: id}, version, changed, body); err != nil {
			return err
		}
		return bodyOf("systems", id, body, func(m *cataloguev1.System) bool { return m.Id == id && m.Participant == participant })
	})
}

func (c *checker) checkContracts(ctx context.Context) error {
	return c.each(ctx, "contracts", "SELECT name, version, changed, body, descriptor_set FROM contracts ORDER BY name, version", func(rows *sql.Rows) error {
		var id string
		var version, changed uint64
		var body, set []byte
		if err := rows.Scan(&id, &version, &changed, &body, &set); err != nil {
			return err
		}
		c.report.Objects++
		whole := &cataloguev1.Contract{}
		if err := proto.Unmarshal(body, whole); err != nil {
			return wrong("contracts", fmt.Sprintf("%s version %d", id, version), "body does not decode")
		}
		whole.DescriptorSet = set
		digested, err := catalog.Encode(whole)
		if err != nil {
			return err
		}
		return c.objects.held("contracts", objectID{kind: "contract", id: id, version: version}, version, changed, digested)
	})
}

func (c *checker) checkTopics(ctx context.Context) error {
	err := c.each(ctx, "topics", "SELECT name, provider, version, changed, body FROM topics ORDER BY name", func(rows *sql.Rows) error {
		var id, provider string
		var version, changed uint64
		var body []byte
		if err := rows.Scan(&id, &provider, &version, &changed, &body); err != nil {
			return err
		}
		c.report.Objects++
		if err := c.objects.held("topics", objectID{kind: "topic", id: id}, version, changed, body); err != nil {
			return err
		}
		return bodyOf("topics", id, body, func(m *cataloguev1.Topic) bool {
			if m.Code != "" {
				c.codes[m.Code] = id
			}
			return m.Name == id && m.Provider == provider
		})
	})
	if err != nil {
		return err
	}
	return c.checkTopicCodes(ctx)
}

// checkSubscriptions puts a subscription together as the API shows it, which is
// what its digest is over.
func (c *checker) checkSubscriptions(ctx context.Context) error {
	return c.each(ctx, "subscriptions", "SELECT id, system, topic, spec, version, state, reason, created_at FROM subscriptions ORDER BY id", func(rows *sql.Rows) error {
		var id, system, topic, reason string
		var version uint64
		var state, created int64
		var spec []byte
		if err := rows.Scan(&id, &system, &topic, &spec, &version, &state, &reason, &created); err != nil {
			return err
		}
		c.report.Objects++
		m := &exchangev1.Subscription{}
		if err := proto.Unmarshal(spec, m); err != nil {
			return wrong("subscriptions", id, "spec does not decode")
		}
		m.Id, m.System, m.Topic, m.Reason = id, system, topic, reason
		c.subscribed[id] = m
		m.State, m.CreatedAt = exchangev1.SubscriptionState(state), timestamppb.New(time.UnixMicro(created).UTC())
		if m.State == exchangev1.SubscriptionState_SUBSCRIPTION_STATE_LAPSED {
			// It follows from the grant and is no change of the subscription.
			m.State, m.Reason = exchangev1.SubscriptionState_SUBSCRIPTION_STATE_ACTIVE, ""
		}
		digested, err := catalog.Encode(m)
		if err != nil {
			return err
		}
		return c.objects.held("subscriptions", objectID{kind: "subscription", id: id}, version, 0, digested)
	})
}

// checkCertificates derives each certificate's row from its bytes in the ledger.
func (c *checker) checkCertificates(ctx context.Context) error {
	n := 0
	err := c.each(ctx, "certificates", "SELECT fingerprint, system, changed, body FROM certificates ORDER BY fingerprint", func(rows *sql.Rows) error {
		var fingerprint, body []byte
		var system string
		var changed uint64
		if err := rows.Scan(&fingerprint, &system, &changed, &body); err != nil {
			return err
		}
		n++
		c.report.Objects++
		name := fmt.Sprintf("%x", fingerprint)
		known := c.verify.certificates[string(fingerprint)]
		if known == nil {
			return wrong("certificates", name, "the ledger knows of no such certificate")
		}
		derived, err := catalog.Encode(&cataloguev1.Certificate{
			Fingerprint: fingerprint, System: known.system, Serial: known.parsed.SerialNumber.Text(16),
			NotBefore: timestamppb.New(known.parsed.NotBefore), NotAfter: timestamppb.New(known.parsed.NotAfter),
			Der: known.der, Revoked: known.revoked, Reason: known.reason,
		})
		switch {
		case err != nil:
			return err
		case !bytes.Equal(derived, body):
			return wrong("certificates", name, "body is not what the ledger makes it")
		case system != known.system:
			return wrong("certificates", name, "system is not the one that it was issued to")
		case changed != known.policy:
			return wrong("certificates", name, "changed is %d, by the ledger it is %d", changed, known.policy)
		}
		return nil
	})
	if err == nil && n != len(c.verify.certificates) {
		return wrong("certificates", nil, "there are %d, the ledger issued %d", n, len(c.verify.certificates))
	}
	return err
}
