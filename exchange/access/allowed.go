package access

import (
	"context"
	"database/sql"
	"errors"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/store"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
)

// modes are the actions by which records of a topic may reach a caller.
var modes = []struct {
	mode   cataloguev1.DeliveryMode
	action Action
}{
	{cataloguev1.DeliveryMode_DELIVERY_MODE_SUBSCRIBE, Subscribe},
	{cataloguev1.DeliveryMode_DELIVERY_MODE_QUERY, Query},
	{cataloguev1.DeliveryMode_DELIVERY_MODE_CHECK, Check},
}

// Allowed tells what a caller may use of the topics after a name, in the order of
// names: topic narrows, if it is not empty, and refused adds what it may not use,
// with the rule that stands in the way. It asks Decide, with a case and consents
// as they should be. next is the name to go on after; empty after the last.
func (p *Policy) Allowed(ctx context.Context, by *identity.Caller, topic string, refused bool, page catalog.Page) (list []*accessv1.AllowedTopic, next string, err error) {
	n, err := page.Size()
	if err != nil {
		return nil, "", err
	}
	if err := p.Catalogue.MayRead(by); err != nil {
		return nil, "", err
	}
	if topic != "" {
		t, err := p.Catalogue.Topic(topic)
		if err != nil {
			return nil, "", err
		}
		one, err := p.allowedOf(ctx, by, t, refused)
		if err != nil || one == nil || page.After != "" {
			return nil, "", err
		}
		return []*accessv1.AllowedTopic{one}, "", nil
	}
	for {
		names, err := p.Catalogue.Topics(ctx, by, catalog.TopicFilter{}, catalog.Page{After: page.After, Limit: n})
		if err != nil {
			return nil, "", err
		}
		for _, m := range names {
			if len(list) == n {
				return list, page.After, nil
			}
			page.After = m.Name
			t, err := p.Catalogue.Topic(m.Name)
			if err != nil {
				continue // newer than this process's copy
			}
			one, err := p.allowedOf(ctx, by, t, refused)
			if err != nil {
				return nil, "", err
			}
			if one != nil {
				list = append(list, one)
			}
		}
		if len(names) < n {
			return list, "", nil
		}
	}
}

// allowedOf tells what a caller may do with one topic; nil if that is nothing,
// and why is not asked for.
func (p *Policy) allowedOf(ctx context.Context, by *identity.Caller, t *catalog.Topic, refused bool) (*accessv1.AllowedTopic, error) {
	m := t.Message()
	a := &accessv1.AllowedTopic{
		Name: m.Name, Title: m.Title, Provider: m.Provider, Contract: m.Contract, SharingClass: m.SharingClass,
	}
	for _, mode := range modes {
		uses, d := p.uses(by, t, mode.action)
		for _, u := range uses {
			u.Mode = mode.mode
			if err := p.leftToday(ctx, u); err != nil {
				return nil, err
			}
		}
		a.Uses = append(a.Uses, uses...)
		if len(uses) == 0 && refused && d.Rule != "topic.unknown" {
			a.Refused = append(a.Refused, &accessv1.RefusedUse{Mode: mode.mode, Rule: d.Rule, Message: d.Message})
		}
	}
	if len(a.Uses)+len(a.Refused) == 0 {
		return nil, nil
	}
	return a, nil
}

// uses decides an action by each grant of the caller's alone, and without naming
// one. If none allows it, d is the refusal.
func (p *Policy) uses(by *identity.Caller, t *catalog.Topic, action Action) (list []*accessv1.AllowedUse, d Decision) {
	d = p.Decide(asIfForCase(by, t, action, anyPurpose))
	if d.Allow && d.Grant == nil {
		return []*accessv1.AllowedUse{withoutGrant(t, &d)}, d
	}
	lists := p.candidates(t.Name, by)
	for _, g := range slices.Concat(lists[:]...) {
		r := asIfForCase(by, t, action, anyPurpose)
		r.Grant = g.ID
		if len(g.ServiceItems) > 0 {
			r.Purpose, r.Facts.Case.Item = g.ServiceItems[0], g.ServiceItems[0]
		}
		if checks := g.message.Checks; action == Check && len(checks) > 0 {
			r.Check = checks[0].Name
			if thresholds := checks[0].Thresholds; len(thresholds) > 0 {
				r.Threshold = thresholds[0].Name
			}
		}
		one := p.Decide(r)
		if one.Allow {
			list = append(list, byGrantOf(t, action, &one))
		} else if rank(one.Rule) >= rank(d.Rule) || d.Allow {
			d = one
		}
	}
	return list, d
}

// anyPurpose stands for a purpose where none is known; no service item has it.
const anyPurpose = "0"

// asIfForCase is a request whose case and consents are as they should be.
func asIfForCase(by *identity.Caller, t *catalog.Topic, action Action, purpose string) Request {
	return Request{
		Caller: by, Action: action, Topic: t.Name, Person: "-", Case: "-", Purpose: purpose,
		Facts: Facts{
			Case:    CaseFacts{Known: true, Open: true, Names: true, Item: purpose},
			Consent: ConsentFacts{Standing: ConsentNotNeeded},
		},
	}
}

// rank is how far a refusal was from being allowed.
func rank(name string) int {
	for i := range table {
		if table[i].name == name && table[i].step == ofGrant {
			return i
		}
	}
	return 0
}

func withoutGrant(t *catalog.Topic, d *Decision) *accessv1.AllowedUse {
	u := &accessv1.AllowedUse{EveryField: d.Fields == nil, Fields: t.Names(d.Fields), Scope: accessv1.GrantScope_GRANT_SCOPE_ALL_SUBJECTS}
	u.Consent, u.OwnRecords = t.Consent(""), d.Scope == ScopeOwn
	return u
}

func byGrantOf(t *catalog.Topic, action Action, d *Decision) *accessv1.AllowedUse {
	m := d.Grant.message
	u := &accessv1.AllowedUse{
		Grant: m.Id, GrantVersion: m.Version, Scope: m.Scope, ValidFrom: m.ValidFrom, ValidUntil: m.ValidUntil,
	}
	if action == Subscribe {
		u.StandingPurpose, u.Fields = m.StandingPurpose, t.Names(d.Fields)
		return u
	}
	u.Consent = t.Consent("")
	for _, item := range m.ServiceItems {
		u.Purposes = append(u.Purposes, &accessv1.AllowedPurpose{Item: item, Consent: t.Consent(item)})
	}
	if m.DailyLimit > 0 {
		u.DailyLimit = proto.Uint64(m.DailyLimit)
	}
	if action == Check {
		u.Checks = m.Checks
	} else {
		u.Fields = t.Names(d.Fields)
	}
	return u
}

// leftToday says what is left of a daily limit.
func (p *Policy) leftToday(ctx context.Context, u *accessv1.AllowedUse) error {
	if u.DailyLimit == nil {
		return nil
	}
	used, err := usedOn(ctx, p.DB.Reader(), u.Grant, DayOf(p.Clock()))
	if err != nil {
		return err
	}
	u.LeftToday = proto.Uint64(u.GetDailyLimit() - min(used, u.GetDailyLimit()))
	return nil
}

// usedOn counts the queries and checks by a grant on a day.
func usedOn(ctx context.Context, tx store.Tx, grant string, day int32) (used uint64, err error) {
	err = tx.QueryRowContext(ctx, "SELECT used FROM grant_use WHERE grant_id = $1 AND day = $2", grant, int64(day)).Scan(&used)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return used, err
}
