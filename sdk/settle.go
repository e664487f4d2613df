package sdk

import (
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
)

const (
	// settleRecords is the most acknowledgements in one message: one signature.
	settleRecords = 1000
	// settleEarly is how many make it worth sending another message while one
	// is unconfirmed.
	settleEarly = 64
	// settleWindow is how many messages may be unconfirmed.
	settleWindow = 4
)

// settler keeps what is to be said about deliveries, and which of them the
// exchange has not confirmed yet.
type settler struct {
	mu sync.Mutex
	// live has every parcel by its sequence, until its settlement is confirmed.
	live map[uint64]*parcel
	// old has sequences that were handled in an earlier session whose
	// acknowledgement was not confirmed.
	old   map[uint64]struct{}
	acks  []*parcel
	nacks []*exchangev1.Nack
	// due has what was sent on this session and is not confirmed, by token.
	due   map[uint64][]*parcel
	token uint64
	floor uint64
	wake  chan struct{}
}

func newSettler() *settler {
	return &settler{live: map[uint64]*parcel{}, old: map[uint64]struct{}{}, due: map[uint64][]*parcel{}, wake: make(chan struct{}, 1)}
}

func (s *settler) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// arrived notes a delivery and says whether it has to be handled: not if it is
// being handled already, and not if that was done before a connection broke and
// only the acknowledgement was lost.
func (s *settler) arrived(p *parcel) (fresh bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := s.live[p.Sequence]; at != nil {
		at.detail = p.detail
		return false
	}
	s.live[p.Sequence] = p
	if _, handled := s.old[p.Sequence]; !handled {
		return true
	}
	// Should this session break too, it is still one that was handled.
	p.handled = true
	s.acks = append(s.acks, p)
	s.signal()
	return false
}

// ack says that parcels are done with.
func (s *settler) ack(ps ...*parcel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range ps {
		p.handled = true
	}
	s.acks = append(s.acks, ps...)
	s.signal()
}

// nack asks for a delivery once more, or for none any more.
func (s *settler) nack(p *parcel, a *answer) {
	n := &exchangev1.Nack{Sequence: p.Sequence, DeadLetter: a.dead, Reason: a.reason}
	if a.delay > 0 {
		n.Delay = durationpb.New(a.delay)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.live, p.Sequence)
	s.nacks = append(s.nacks, n)
	s.signal()
}

// opened begins a session: what was unconfirmed on the last is committed, or comes
// again. A floor that went back says that the subscription was reset, and what
// was done before is to be done again.
func (s *settler) opened(floor uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.due)
	s.acks, s.nacks = nil, nil
	for sequence, p := range s.live {
		if p.handled {
			delete(s.live, sequence)
			s.old[sequence] = struct{}{}
		}
	}
	if floor < s.floor {
		clear(s.old)
	}
	s.rise(floor)
}

// rise notes the floor; what is below it never comes again.
func (s *settler) rise(floor uint64) {
	s.floor = floor
	for sequence := range s.old {
		if sequence <= floor {
			delete(s.old, sequence)
		}
	}
}

// risen notes a floor that the exchange told by itself.
func (s *settler) risen(floor uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rise(max(floor, s.floor))
}

// next gives the next message to send, nil if it is better to wait, and signs it.
func (s *settler) next(sign func(sequences []uint64, details [][]byte) ([]byte, error)) (*exchangev1.SubscribeSettle, error) {
	s.mu.Lock()
	n := min(len(s.acks), settleRecords)
	if n+len(s.nacks) == 0 || len(s.due) >= settleWindow || len(s.due) > 0 && len(s.nacks) == 0 && n < settleEarly {
		s.mu.Unlock()
		return nil, nil
	}
	batch := s.acks[:n:n]
	s.acks = s.acks[n:]
	s.token++
	m := &exchangev1.SubscribeSettle{Token: s.token, Nacks: s.nacks, Acks: make([]uint64, n)}
	s.nacks = nil
	s.due[m.Token] = batch
	details := make([][]byte, n)
	for i, p := range batch {
		m.Acks[i], details[i] = p.Sequence, append([]byte(nil), p.detail[:]...)
	}
	s.mu.Unlock()
	if n == 0 || sign == nil {
		return m, nil
	}
	var err error
	m.DetailHashes = details
	m.Signature, err = sign(m.Acks, details)
	return m, err
}

// confirmed takes the exchange's answer to a message. A problem that may pass
// puts the acknowledgements back, to be sent after a while.
func (s *settler) confirmed(m *exchangev1.SubscribeSettled) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.signal()
	batch := s.due[m.GetToken()]
	delete(s.due, m.GetToken())
	if p := m.GetProblem(); p != nil {
		f := problemFault(p)
		if !f.Kind.Retryable() {
			return f
		}
		time.AfterFunc(firstBackoff, func() { s.again(batch) })
		return nil
	}
	for _, p := range batch {
		delete(s.live, p.Sequence)
		delete(s.old, p.Sequence)
	}
	s.rise(max(m.GetFloor(), s.floor))
	return nil
}

func (s *settler) again(batch []*parcel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acks = append(s.acks, batch...)
	s.signal()
}

func (s *settler) floorNow() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.floor
}

// signAcks signs acknowledgements by the certificate's key.
func (s *Subscription) signAcks(sequences []uint64, details [][]byte) ([]byte, error) {
	statement, err := verify.AckStatement(s.id, sequences, details)
	if err != nil {
		return nil, err
	}
	signature, err := verify.Sign(s.client.id.signer, statement)
	if err != nil {
		return nil, fault.Wrap(fault.Unauthenticated, "sdk.sign", err, "acknowledgements cannot be signed by the certificate's key")
	}
	return signature, nil
}
