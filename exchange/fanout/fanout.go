// Package fanout asks many sources in one call, for one case: what the exchange
// holds is answered as by a query or a check, what a topic's provider answers
// live by a supplier, a handler in the provider's own system.
//
// Each source is decided alone, as a query of its topic for that case and
// purpose, and each ends in one of found, not found, refused by a rule, or timed
// out. One that is refused, slow or down holds up no other. What came of it is a
// report, a record of its own.
//
// # Requests and answers
//
// A request to a supplier is a record on "huitong-fanout-requests", which only
// the supplier's participant reads. So it lies in the journal and the stream, is
// delivered until it is acknowledged, and waits for a supplier that is down.
//
// What a supplier finds it publishes as records of the topic itself, signed and
// checked like all it publishes, and then says by one call which they are
// (Answer). The exchange checks the call and enters it as a record on
// "huitong-fanout-answers". The other way, content inside an answer on a topic
// of each supplier's own, would need a second path for everything that holds for
// records: contracts, signatures, cutting, proofs, corrections, erasure. And an
// answer that arrives as a publication could only be refused after it is in the
// ledger; a call is refused before. Others do not query a topic that is answered
// live: what it holds are answers of the past.
//
// Nothing of an answer reaches who asked but by a reading of its own, decided at
// that moment: a consent revoked or a grant suspended while the supplier looked
// is heeded. An answer that comes late makes a version of the report that says
// only so; what it says is read when the caller asks again.
//
// # What a crash leaves
//
// A fan-out is kept in rows before anybody is asked. Its id derives from the
// caller's key, and the keys of its records derive from its id: whatever is done
// again after a crash changes nothing. A row says what was asked, answered and
// reported in the transaction of the record that says it, so neither is ever
// without the other. A fan-out goes on when its caller asks again; answers are
// taken meanwhile. A source that is settled, found or not or refused, stays so.
//
// # What is left of one that is erased
//
// Erase takes the report, the requests and the answers in one call of the journal,
// and in its transaction all of the rows that tells of persons or the case. The
// entries stay, and a row that says only which system asked: so the key is not
// asked under again. Where an older backup is restored, the list of
// erasures has them erased again, and Forget the rows; see package erasure. The
// records that a supplier found are its department's, and its to erase.
package fanout

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/cases"
	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/intake"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/query"
	"github.com/huitong-bus/huitong/exchange/store"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

const (
	// MaxSources bounds the sources of one call.
	MaxSources = 64
	// MaxRecords bounds the records of one answer; so many fit one message.
	MaxRecords = 16
	// DefaultWait is how long a source is waited for, MaxWait how long at most.
	DefaultWait = 10 * time.Second
	MaxWait     = 5 * time.Minute
	// LateFor is how long after its deadline an answer is taken.
	LateFor = 24 * time.Hour
	// atOnce is how many sources of one call the exchange works on at once; those
	// that wait for a supplier do not count.
	atOnce = 8
	// lookFirst and lookLast are how often it is looked for answers that another
	// process took: less often the longer none comes.
	lookFirst, lookLast = 200 * time.Millisecond, 2 * time.Second
)

// Queries decides and answers; a query.Queries.
type Queries interface {
	Answer(ctx context.Context, caller *identity.Caller, r *exchangev1.QueryRequest) (*exchangev1.QueryResponse, error)
	Check(ctx context.Context, caller *identity.Caller, r *exchangev1.CheckRequest) (*exchangev1.CheckResponse, error)
	Permit(ctx context.Context, caller *identity.Caller, l *query.Live) (*access.Decision, error)
	AnswerLive(ctx context.Context, caller *identity.Caller, l *query.Live) (*exchangev1.QueryResponse, error)
	Supplied(ctx context.Context, topic *catalog.Topic, index uint64, subject *ledgerv1.Subject) (query.Supplied, error)
}

// Board publishes the exchange's own records, once for each key, and writes what
// goes with each in the same transaction; a notice.Board.
type Board interface {
	PutWith(ctx context.Context, topic string, key [verify.KeySize]byte, m proto.Message, with journal.With) (index uint64, err error)
	PutVersion(ctx context.Context, topic string, key [verify.KeySize]byte, version uint64, m proto.Message, with journal.With) (index uint64, err error)
	Erase(ctx context.Context, system, reason string, erasures []intake.OwnErasure) (index uint64, err error)
}

// Config is what fan-outs need.
type Config struct {
	DB     *store.DB
	Topics interface {
		Topic(name string) (*catalog.Topic, error)
	}
	Queries Queries
	Cases   interface {
		Find(ctx context.Context, participant, number string) (*cases.Case, error)
	}
	// Policy decides who may answer, Refusals enters who may not.
	Policy interface {
		Decide(r access.Request) access.Decision
	}
	Refusals query.Refuser
	Board    Board
	Keyring  *identity.Keyring
	// Clock tells the time; time.Now if nil.
	Clock func() time.Time
	Log   *slog.Logger
}

// FanOuts asks and takes answers. It is safe for concurrent use.
type FanOuts struct {
	Config
	mu sync.Mutex
	// changed is closed when an answer was taken.
	changed chan struct{}
}

// New makes the fan-outs of an exchange.
func New(c Config) *FanOuts {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &FanOuts{Config: c, changed: make(chan struct{})}
}

// answered is closed when the next answer is taken here.
func (f *FanOuts) answered() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changed
}

func (f *FanOuts) wake() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *FanOuts) now() int64 { return f.Clock().UnixMicro() }
