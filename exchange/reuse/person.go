package reuse

import (
	"cmp"
	"context"
	"fmt"

	"github.com/huitong-bus/huitong/exchange/contract"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
)

// Why records of one number may be of several persons.
const (
	severalPersons = "records of this number name different persons, and the exchange does not guess"
	nobodyNamed    = "several records would do, and their contract does not say which field names the person; the exchange does not guess"
)

// ambiguous says that records which would do may be of several persons.
func (m *material) ambiguous(from *source, why string) {
	m.state, m.found = neverAssessed, nil
	m.take(isAmbiguous, from, "material.ambiguous", why, "query "+from.topic.Name+", and choose with the applicant")
}

// latest orders records about one person.
func latest(a, b found) int {
	return cmp.Or(cmp.Compare(b.held.Present.ValidFrom, a.held.Present.ValidFrom), cmp.Compare(b.at, a.at))
}

// doubt says why records of one number may be of several persons; empty if they are
// of one.
func (r *Reuse) doubt(good []found) (string, error) {
	if good[0].source.about.Type == contract.TypeCreditCode {
		return "", nil // an organisation keeps its code when it is renamed
	}
	names, unnamed := map[string]bool{}, false
	for _, f := range good {
		of, err := r.namesOf(f)
		if err != nil {
			return "", err
		}
		unnamed = unnamed || len(of) == 0
		for _, name := range of {
			names[name] = true
		}
	}
	switch {
	case len(names) > 1:
		return severalPersons, nil
	case unnamed:
		return nobodyNamed, nil
	}
	return "", nil
}

// namesOf gives what a record calls the person that it stands in for.
func (r *Reuse) namesOf(f found) ([]string, error) {
	k, err := f.source.topic.Contract(uint32(f.source.topic.Versions()))
	if err != nil {
		return nil, err
	}
	opening, err := r.open(f.source, f.held)
	if err != nil {
		return nil, err
	}
	names, err := k.Names(opening.Payload, f.source.about.Type, f.source.about.Number)
	if err != nil {
		return nil, fmt.Errorf("entry %d: %w", f.held.Row.Index, err)
	}
	return names, nil
}

// onePerson compares what a material was found in with what its other evidence
// would accept: topics that name different persons by one number are ambiguous too.
func (r *Reuse) onePerson(ctx context.Context, s *sources, m *material, others []*recordsv1.Evidence) error {
	for _, f := range m.found {
		all := []found{f}
		for _, e := range others {
			more, err := r.others(ctx, s, m, f.source.about, e)
			if err != nil {
				return err
			}
			all = append(all, more...)
		}
		if len(all) == 1 {
			continue
		}
		doubt, err := r.doubt(all)
		if err != nil {
			return err
		}
		if doubt == severalPersons {
			m.ambiguous(f.source, doubt)
			return nil
		}
	}
	return nil
}

// others are the records about a person that other evidence would accept.
func (r *Reuse) others(ctx context.Context, s *sources, m *material, about *ledgerv1.Subject, e *recordsv1.Evidence) ([]found, error) {
	from := s.get(e.Topic, about)
	if from == nil || !from.allowed.Decision.Allow {
		return nil, nil
	}
	var good []found
	for _, h := range from.held {
		f, verdict, err := r.accepts(ctx, m, from, h, e)
		if err != nil {
			return nil, err
		}
		if verdict == "" {
			good = append(good, f)
		}
	}
	return good, nil
}
