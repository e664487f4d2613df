package listing

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/huitong-bus/huitong/exchange/fault"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
)

// Change is what a step does.
type Change string

// The changes.
const (
	Create    Change = "create"
	Update    Change = "change"
	Unchanged Change = "unchanged"
)

// Step is what becomes of one object.
type Step struct {
	Place
	// Kind is "participant", "contract" or "topic".
	Kind   string        `json:"kind"`
	ID     string        `json:"id"`
	Title  string        `json:"title,omitempty"`
	Change Change        `json:"change"`
	Fields []FieldChange `json:"fields,omitempty"`

	do func(ctx context.Context) error
}

// Plan is what it takes to bring an exchange to what files say, in the order in
// which it is done: participants, contracts, topics.
type Plan []*Step

// Changes counts the steps that change something.
func (p Plan) Changes() (created, changed int) {
	for _, s := range p {
		switch s.Change {
		case Create:
			created++
		case Update:
			changed++
		}
	}
	return created, changed
}

// planner compares files with an exchange.
type planner struct {
	catalogue cataloguev1.CatalogueServiceClient
	wanted    *Wanted
	plan      Plan
	// registered and listed are what the steps so far bring.
	registered, listed map[string]bool
	// known are the contracts that were asked for.
	known map[string]*cataloguev1.Contract
}

// Make compares what is wanted with what an exchange has, over an operator's
// connection. Nothing is changed. It fails at the first object that the
// exchange would refuse, as far as that can be told before those that it stands
// on are there.
func Make(ctx context.Context, conn grpc.ClientConnInterface, w *Wanted) (Plan, error) {
	p := &planner{
		catalogue: cataloguev1.NewCatalogueServiceClient(conn), wanted: w,
		registered: map[string]bool{}, listed: map[string]bool{}, known: map[string]*cataloguev1.Contract{},
	}
	for _, part := range []func(context.Context) error{p.participants, p.contracts, p.topics} {
		if err := part(ctx); err != nil {
			return nil, err
		}
	}
	return p.plan, nil
}

// failed says at which place of the files the exchange refused something.
func failed(at Place, kind, id string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %s %s: %w", at, kind, id, fault.FromStatus(err))
}

func (p *planner) add(at Place, kind, id, title string, change Change, fields []FieldChange, do func(ctx context.Context) error) {
	p.plan = append(p.plan, &Step{Place: at, Kind: kind, ID: id, Title: title, Change: change, Fields: fields, do: do})
}

func (p *planner) participants(ctx context.Context) error {
	have := map[string]*cataloguev1.Participant{}
	for token := ""; ; {
		answer, err := p.catalogue.ListParticipants(ctx, &cataloguev1.ListParticipantsRequest{PageSize: 1000, PageToken: token})
		if err != nil {
			return fault.FromStatus(err)
		}
		for _, one := range answer.Participants {
			have[one.Code] = one
		}
		if token = answer.NextPageToken; token == "" {
			break
		}
	}
	for _, w := range p.wanted.Participants {
		put := func(dry bool) func(ctx context.Context) error {
			return func(ctx context.Context) error {
				wanted := w.Object
				if old := have[wanted.Code]; old != nil {
					wanted = overlay(wanted, old)
				}
				_, err := p.catalogue.RegisterParticipant(ctx, &cataloguev1.RegisterParticipantRequest{Participant: wanted, ValidateOnly: dry})
				return failed(w.Place, "participant", wanted.Code, err)
			}
		}
		if err := put(true)(ctx); err != nil {
			return err
		}
		old, change := have[w.Object.Code], Create
		var fields []FieldChange
		if old != nil {
			change = Unchanged
			if fields = compare(w.Object, old, "state", "registered_at"); len(fields) > 0 {
				change = Update
			}
		} else {
			p.registered[w.Object.Code] = true
		}
		p.add(w.Place, "participant", w.Object.Code, w.Object.Name, change, fields, put(false))
	}
	return nil
}

func (p *planner) contracts(ctx context.Context) error {
	for _, w := range p.wanted.Contracts {
		set, err := compile(ctx, p.wanted.files, w.Object.File)
		if err != nil {
			return fmt.Errorf("%s: contract %s: %w", w.Place, w.Object.Name, err)
		}
		register := func(ctx context.Context, dry bool) (*cataloguev1.RegisterContractResponse, error) {
			answer, err := p.catalogue.RegisterContract(ctx, &cataloguev1.RegisterContractRequest{
				Name: w.Object.Name, DescriptorSet: set, Compatibility: w.Object.Compatibility, ValidateOnly: dry,
			})
			if err != nil {
				return nil, failed(w.Place, "contract", w.Object.Name, err)
			}
			if len(answer.Findings) > 0 {
				f := answer.Findings[0]
				return nil, fmt.Errorf("%s: contract %s: %d findings, the first: %s: %s (%s)", w.Place, w.Object.Name, len(answer.Findings), f.Field, f.Message, f.Rule)
			}
			return answer, nil
		}
		answer, err := register(ctx, true)
		if err != nil {
			return err
		}
		change, version := Create, answer.GetContract().GetVersion()
		var fields []FieldChange
		switch {
		case answer.Unchanged:
			change = Unchanged
		case version > 1:
			change, fields = Update, []FieldChange{{Field: "version", From: fmt.Sprint(version - 1), To: fmt.Sprint(version)}}
		}
		p.listed[w.Object.Name] = true
		p.add(w.Place, "contract", w.Object.Name, answer.GetContract().GetTitle(), change, fields, func(ctx context.Context) error {
			_, err := register(ctx, false)
			return err
		})
	}
	return nil
}

func (p *planner) topics(ctx context.Context) error {
	for _, w := range p.wanted.Topics {
		have, err := p.catalogue.GetTopic(ctx, &cataloguev1.GetTopicRequest{Name: w.Object.Name})
		switch {
		case status.Code(err) == codes.NotFound:
			err = p.newTopic(ctx, w)
		case err == nil:
			err = p.oldTopic(ctx, w, have.Topic)
		}
		if err != nil {
			return failed(w.Place, "topic", w.Object.Name, err)
		}
	}
	return nil
}

func (p *planner) newTopic(ctx context.Context, w Placed[*cataloguev1.Topic]) error {
	create := func(ctx context.Context, dry bool) error {
		_, err := p.catalogue.CreateTopic(ctx, &cataloguev1.CreateTopicRequest{Topic: w.Object, ValidateOnly: dry})
		return err
	}
	// A topic that stands on what is still to be created is tried when that is
	// there.
	if !p.registered[w.Object.Provider] && !p.listed[w.Object.Contract] {
		if err := create(ctx, true); err != nil {
			return err
		}
	}
	p.add(w.Place, "topic", w.Object.Name, w.Object.Title, Create, nil, func(ctx context.Context) error {
		return failed(w.Place, "topic", w.Object.Name, create(ctx, false))
	})
	return nil
}

// oldTopic asks the exchange what the entry would be with what the file mentions
// put over it, and compares that with what it is.
func (p *planner) oldTopic(ctx context.Context, w Placed[*cataloguev1.Topic], have *cataloguev1.Topic) error {
	before, err := p.stated(ctx, have)
	if err != nil {
		return err
	}
	update := func(ctx context.Context, dry bool) (*cataloguev1.Topic, error) {
		answer, err := p.catalogue.UpdateTopic(ctx, &cataloguev1.UpdateTopicRequest{Topic: overlay(w.Object, before), ValidateOnly: dry})
		return answer.GetTopic(), err
	}
	would, err := update(ctx, true)
	if err != nil {
		return err
	}
	after, err := p.stated(ctx, would)
	if err != nil {
		return err
	}
	change := Unchanged
	fields := TopicChanges(before, after)
	if len(fields) > 0 {
		change = Update
	}
	p.add(w.Place, "topic", w.Object.Name, w.Object.Title, change, fields, func(ctx context.Context) error {
		_, err := update(ctx, false)
		return failed(w.Place, "topic", w.Object.Name, err)
	})
	return nil
}

// stated gives an entry as its writer states it.
func (p *planner) stated(ctx context.Context, t *cataloguev1.Topic) (*cataloguev1.Topic, error) {
	k := p.known[t.GetContract()]
	if k == nil {
		var err error
		if k, err = newest(ctx, p.catalogue, t.GetContract()); err != nil {
			return nil, err
		}
		p.known[t.GetContract()] = k
	}
	return stated(t, k), nil
}

// Apply does what a plan says and tells of each step that is done. It ends at
// the first that fails; what was done before stays, and another run goes on
// from there.
func (p Plan) Apply(ctx context.Context, done func(*Step)) error {
	for _, s := range p {
		if s.Change == Unchanged {
			continue
		}
		if err := s.do(ctx); err != nil {
			return err
		}
		done(s)
	}
	return nil
}

// Kinds counts the objects of a plan by kind.
func (p Plan) Kinds() map[string]int {
	kinds := map[string]int{}
	for _, s := range p {
		kinds[s.Kind]++
	}
	return kinds
}
