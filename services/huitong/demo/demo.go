package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments"
	"github.com/huitong-bus/huitong/services/departments/sample"
)

const (
	// seed and people make the city: the same one every time.
	seed   = 9
	people = 1_500
	// within bounds the whole story.
	within = time.Minute
	// endWithin bounds each part of its ending.
	endWithin = 10 * time.Second
)

// story is what the steps hand on to each other.
type story struct {
	*teller
	dir      string
	city     *sample.City
	exchange *exchange
	systems  *systems
	// publishers are of the source systems, by department.
	publishers map[string]*sdk.Publisher
	hall       *departments.Hall
	receiving  *sdk.Group
	// published counts records by topic.
	published map[string]int
	// keys are those of officials, by their departments' references.
	keys map[string]*sdk.PersonKey
	// meansFrom and meansUntil are the entries between which the means test stands.
	meansFrom, meansUntil uint64
	// doubted is the record in whose entry a byte will be changed.
	doubted sdk.Record
}

// step is one step of the story.
type step struct {
	title string
	play  func(context.Context, *story) error
}

var steps = []step{
	{"An exchange starts", open},
	{"The city's systems join", join},
	{"Two departments agree on what one may ask of the other", agree},
	{"Departments publish what they hold", publish},
	{"A typing error is refused alone", mistype},
	{"The service hall has received the certificates", receive},
	{"A family consents, and a check tells only yes", family},
	{"A case: living allowance for a disabled person in hardship", ask},
	{"Once only: what is held is collected, what is not is submitted once", onceOnly},
	{"A means test asks ten sources in one call", meansTest},
	{"A system without a grant asks for the same", refuse},
	{"A suspension stops a running subscription at its entry", suspend},
	{"A certificate is revoked", revoke},
	{"Who relied on it hears for which case", relied},
	{"The next department finds what was submitted", nextCase},
	{"A death notice reaches the case, and nobody else's does", died},
	{"The auditor verifies everything, offline", audit},
	{"Somebody changes one byte of the database", tamper},
}

// Run plays the story and tells it to w. It leaves nothing behind and gives an
// error if anything is not as it should be.
func Run(ctx context.Context, w io.Writer) (err error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	dir, err := os.MkdirTemp("", "huitong-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s := &story{
		teller: newTeller(w), dir: dir, city: sample.NewCity(seed, people),
		publishers: make(map[string]*sdk.Publisher), published: make(map[string]int),
		keys: make(map[string]*sdk.PersonKey),
	}
	defer func() { err = errors.Join(err, s.end(ctx)) }()
	s.say("Huitong 匯通: one applicant, seven departments, nothing to bring twice.")
	s.say("示范市 and everybody in it are made up; their numbers have valid check digits.")
	for i, step := range steps {
		s.heading(i+1, step.title)
		if err := step.play(ctx, s); err != nil {
			return fmt.Errorf("step %d, %s: %w", i+1, step.title, err)
		}
	}
	s.say("")
	s.say("All as it should be, in %s. Nothing is left running.", s.sinceStart())
	return s.err
}

// end closes what the steps opened. It may be called twice.
func (s *story) end(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endWithin)
	defer cancel()
	var errs []error
	if s.receiving != nil {
		s.receiving.DrainFor = endWithin
		s.receiving.Shutdown()
		errs = append(errs, s.receiving.Wait())
		s.receiving = nil
	}
	for department, p := range s.publishers {
		errs = append(errs, p.Close(ctx))
		delete(s.publishers, department)
	}
	if s.systems != nil {
		errs = append(errs, s.systems.close())
		s.systems = nil
	}
	if s.exchange != nil {
		errs = append(errs, s.exchange.close())
		s.exchange = nil
	}
	return errors.Join(errs...)
}
