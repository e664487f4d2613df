package consent

import (
	"context"
	"slices"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/journal"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Reading is what consents are asked for.
type Reading struct {
	Topic *catalog.Topic
	Item  string
	// Recipient is the participant that reads, Case its number of the case.
	Recipient string
	Case      string
	// Subject is who is asked about; nil stands for every one of the case.
	Subject *ledgerv1.Subject
	// Subjects are those of the case.
	Subjects []*ledgerv1.Subject
	// Reuse asks for the consent of those who are asked about though neither topic
	// nor item needs it: with it they let what they submitted be used for the item.
	Reuse bool
}

// Facts tells how the consents stand that a reading needs. The worst standing
// counts; the guards hold it until the commit. It costs nothing where neither
// topic nor item asks for consent, and one indexed look-up a person where they
// do.
func (c *Consents) Facts(ctx context.Context, r Reading) (access.ConsentFacts, []journal.Guard, error) {
	day := c.today()
	own, others := r.asked(day)
	if own == nil && others == nil {
		return access.ConsentFacts{Standing: access.ConsentNotNeeded}, nil, nil
	}
	facts := access.ConsentFacts{Standing: access.ConsentGiven}
	if len(own)+len(others) == 0 {
		facts.Standing = access.ConsentNone
	}
	var guards []journal.Guard
	for i, person := range append(slices.Clone(own), others...) {
		s, guard, err := c.standing(ctx, &r, person, day)
		if err != nil {
			return access.ConsentFacts{}, nil, err
		}
		guards = append(guards, guard)
		switch {
		case facts.Standing != access.ConsentGiven: // the first that is missing is told
		case s.standing == access.ConsentGiven:
			facts.Weaker = facts.Weaker || s.weaker
			facts.Digests = append(facts.Digests, s.digest)
			facts.Fields = narrow(r.Topic, facts.Fields, s.fields)
		case i < len(own):
			facts.Standing = s.standing
		default:
			facts.Standing = access.ConsentOfOthers
		}
	}
	if facts.Standing != access.ConsentGiven {
		facts.Weaker, facts.Digests, facts.Fields = false, nil, nil
	}
	return facts, guards, nil
}

// narrow limits the fields that may leave to those of one more consent; nil is no
// limit.
func narrow(t *catalog.Topic, fields []uint32, names []string) []uint32 {
	if len(names) == 0 {
		return fields
	}
	mask := t.Mask(names)
	if fields == nil {
		return mask
	}
	return slices.DeleteFunc(mask, func(n uint32) bool { return !slices.Contains(fields, n) })
}

// asked gives whose consent a reading needs: own is of those who are asked about,
// others of the other adults of the case. Both are nil if it needs none.
func (r *Reading) asked(day int32) (own, others []*ledgerv1.Subject) {
	persons := distinct(r.Subjects)
	about := persons
	if r.Subject != nil {
		about = []*ledgerv1.Subject{r.Subject}
	}
	switch r.Topic.Consent(r.Item) {
	case cataloguev1.Consent_CONSENT_UNSPECIFIED:
		if !r.Reuse {
			return nil, nil
		}
	case cataloguev1.Consent_CONSENT_EVERY_ADULT:
		adults := slices.DeleteFunc(slices.Clone(persons), func(s *ledgerv1.Subject) bool { return !adult(s, day) })
		if len(adults) == 0 {
			break // a case without adults: whoever is asked about
		}
		own, others = []*ledgerv1.Subject{}, []*ledgerv1.Subject{}
		for _, s := range adults {
			if slices.ContainsFunc(about, func(o *ledgerv1.Subject) bool { return same(o, s) }) {
				own = append(own, s)
			} else {
				others = append(others, s)
			}
		}
		return own, others
	}
	return append([]*ledgerv1.Subject{}, about...), nil
}

// distinct gives each person once, whatever roles it has.
func distinct(all []*ledgerv1.Subject) []*ledgerv1.Subject {
	var once []*ledgerv1.Subject
	for _, s := range all {
		if !slices.ContainsFunc(once, func(o *ledgerv1.Subject) bool { return same(o, s) }) {
			once = append(once, s)
		}
	}
	return once
}

// stands is how the consent of one person stands.
type stands struct {
	standing access.ConsentStanding
	weaker   bool
	digest   []byte
	fields   []string
}

// withGuard reads the guard's version together with what it guards, so that no
// change falls between; first those in force, then the newest.
const withGuard = `SELECT g.version, c.digest, c.valid_from, c.valid_until, c.revoked, c.representation, c.body
	FROM (SELECT coalesce(max(version), 0) AS version FROM guards WHERE kind = $1 AND key = $2) g
	LEFT JOIN consents c ON c.holder = $2
	ORDER BY CASE WHEN c.revoked = 0 AND c.valid_until >= $3 THEN 0 ELSE 1 END, c.given DESC LIMIT $4`

// maxLooked is how many consents of one person a decision looks at: all that can
// be in force, and of the others enough to tell why none is.
const maxLooked = maxInForce + 16

// standing finds how a person's own consent stands. One that is signed by the
// person itself is taken before one that was attested.
func (c *Consents) standing(ctx context.Context, r *Reading, person *ledgerv1.Subject, day int32) (stands, journal.Guard, error) {
	guard := journal.Guard{Kind: journal.GuardConsent, Key: c.holder(person, r.Recipient)}
	list, version, err := c.held(ctx, guard.Key, day)
	guard.Version = version
	if err != nil {
		return stands{}, guard, err
	}
	best := stands{standing: access.ConsentNone}
	if len(list) > 0 {
		best.standing = access.ConsentElsewhere
	}
	for _, row := range list {
		s, covers, err := c.stand(ctx, r, row, day)
		if err != nil {
			return stands{}, guard, err
		}
		if !covers || best.standing == access.ConsentGiven && (s.standing != access.ConsentGiven || s.weaker) {
			continue
		}
		if s.standing == access.ConsentGiven || best.standing == access.ConsentElsewhere {
			best = s
		}
		if best.standing == access.ConsentGiven && !best.weaker {
			break
		}
	}
	return best, guard, nil
}

func (c *Consents) held(ctx context.Context, holder []byte, day int32) (list []*row, version int64, err error) {
	rows, err := c.DB.Reader().QueryContext(ctx, withGuard, int64(journal.GuardConsent), holder, int64(day), maxLooked)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var from, until, revoked *int64
		r := &row{}
		if err := rows.Scan(&version, &r.digest, &from, &until, &revoked, &r.representation, &r.body); err != nil {
			return nil, 0, err
		}
		if r.digest == nil {
			continue // the guard alone
		}
		r.from, r.until, r.revoked = int32(*from), int32(*until), uint64(*revoked)
		list = append(list, r)
	}
	return list, version, rows.Err()
}

// stand says how one consent stands for a reading, and whether it is for it.
func (c *Consents) stand(ctx context.Context, r *Reading, row *row, day int32) (s stands, covers bool, err error) {
	m, err := c.opened(row)
	if err != nil {
		return s, false, err
	}
	a, err := parseArtefact(m.Artefact)
	if err != nil {
		return s, false, err
	}
	s = stands{standing: access.ConsentGiven, weaker: m.Weaker, digest: row.digest}
	if s.fields, covers = a.covers(r.Topic.Name, r.Item, r.Case); !covers {
		return s, false, nil
	}
	switch {
	case row.revoked != 0:
		s.standing = access.ConsentRevoked
	case day > row.until:
		s.standing = access.ConsentExpired
	case day < row.from:
		s.standing = access.ConsentNotYet
	case len(row.representation) > 0:
		s.standing, err = c.stillRepresented(ctx, row.representation, day)
	}
	return s, true, err
}

// stillRepresented says what became of the representation that a consent was
// given under.
func (c *Consents) stillRepresented(ctx context.Context, digest []byte, day int32) (access.ConsentStanding, error) {
	row, err := findActing(ctx, c.DB.Reader(), digest)
	if err != nil || row == nil {
		return access.ConsentNone, err
	}
	r, err := c.openActing(row)
	switch {
	case err != nil:
		return access.ConsentNone, err
	case row.ended != 0:
		return access.ConsentRevoked, nil
	case r.expired(day):
		return access.ConsentExpired, nil
	}
	return access.ConsentGiven, nil
}
