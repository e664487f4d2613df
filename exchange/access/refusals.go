package access

import (
	"container/list"
	"context"
	"crypto/rand"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

const (
	// DefaultWindow is how long refusals of one caller, topic and rule are
	// counted into one entry.
	DefaultWindow = time.Minute
	// maxWindows bounds how many are counted at once; past it the oldest ends
	// early.
	maxWindows = 4096
)

// RefusalsConfig is what Refusals need.
type RefusalsConfig struct {
	Journal *journal.Journal
	// Window is DefaultWindow if 0.
	Window time.Duration
	Log    *slog.Logger
}

// Refusals commits the ledger entries of refusals. The first refusal of a caller,
// topic and rule is committed before the caller hears of it; further ones within
// the same window are counted, and the window's end commits one entry for all of
// them. A crash loses what was counted and not yet committed, never the first.
type Refusals struct {
	RefusalsConfig
	mu      sync.Mutex
	open    map[refusalKey]*window
	order   *list.List // of *window, the oldest in front
	wake    chan struct{}
	stopped bool
	cancel  context.CancelFunc
	done    sync.WaitGroup
	now     func() time.Time
}

type refusalKey struct{ system, topic, rule string }

// window counts the refusals of one key.
type window struct {
	key     refusalKey
	place   *list.Element
	until   time.Time
	written chan struct{} // closed once the first is committed or failed
	err     error
	request Request // of the first that is counted
	d       Decision
	counted uint64
}

// NewRefusals starts them; Stop ends them.
func NewRefusals(c RefusalsConfig) *Refusals {
	if c.Window == 0 {
		c.Window = DefaultWindow
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	r := &Refusals{
		RefusalsConfig: c, open: map[refusalKey]*window{}, order: list.New(),
		wake: make(chan struct{}, 1), now: time.Now,
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	r.done.Go(func() { r.run(ctx) })
	return r
}

// Worth says whether a refusal of a kind is an entry: whoever asked could have asked
// otherwise. That the exchange could not answer is no refusal, nor is that it was
// asked too often; and strangers could fill the ledger.
func Worth(kind fault.Kind) bool {
	switch kind {
	case fault.Denied, fault.Invalid, fault.NotFound, fault.AlreadyExists, fault.Conflict, fault.TooLarge, fault.Lapsed:
		return true
	}
	return false
}

type noteKey struct{}

// Noting gives a context in which Refuse notes that it was asked, and what tells
// whether it was: so that what refuses and who hands the refusal on make one entry.
func Noting(ctx context.Context) (noting context.Context, noted func() bool) {
	note := &atomic.Bool{}
	return context.WithValue(ctx, noteKey{}, note), note.Load
}

// Refuse commits or counts a refusal. When it returns nil the refusal is in the
// ledger, or will be counted in the entry that ends its window; on an error it
// could not be written.
func (r *Refusals) Refuse(ctx context.Context, req Request, d Decision) error {
	if note, ok := ctx.Value(noteKey{}).(*atomic.Bool); ok {
		note.Store(true)
	}
	key := refusalKey{req.Caller.System, d.Topic, d.Rule}
	r.mu.Lock()
	w := r.open[key]
	if w == nil {
		w = r.begin(key)
		r.mu.Unlock()
		err := r.write(ctx, req, d)
		r.began(w, err)
		return err
	}
	r.mu.Unlock()
	select {
	case <-w.written:
	case <-ctx.Done():
		return ctx.Err()
	}
	if w.err != nil {
		return w.err
	}
	if r.count(w, req, d) {
		return nil
	}
	return r.Refuse(ctx, req, d) // the window ended meanwhile
}

// begin opens a window; mu is held.
func (r *Refusals) begin(key refusalKey) *window {
	w := &window{key: key, until: r.now().Add(r.Window), written: make(chan struct{})}
	r.open[key] = w
	w.place = r.order.PushBack(w)
	r.ring()
	return w
}

func (r *Refusals) ring() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// began says how the first refusal of a window went.
func (r *Refusals) began(w *window, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	w.err = err
	close(w.written)
	if err != nil && r.open[w.key] == w {
		r.drop(w)
	}
}

func (r *Refusals) drop(w *window) {
	delete(r.open, w.key)
	r.order.Remove(w.place)
}

func (r *Refusals) count(w *window, req Request, d Decision) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open[w.key] != w {
		return r.stopped // counted nowhere: the exchange has stopped
	}
	if w.counted == 0 {
		w.request, w.d = req, d
	}
	w.counted++
	return true
}

// run ends windows whose time has come, or that are too many.
func (r *Refusals) run(ctx context.Context) {
	for {
		ended, wait := r.due(false)
		if len(ended) > 0 {
			// Stop cancels waiting, not what is being written.
			r.end(context.WithoutCancel(ctx), ended)
			continue
		}
		var timer <-chan time.Time
		if wait > 0 {
			timer = time.After(wait)
		}
		select {
		case <-ctx.Done():
			return
		case <-r.wake:
		case <-timer:
		}
	}
}

// maxFlush is how many windows end in one call.
const maxFlush = 256

// due takes the oldest windows that are to end, or says how long the oldest has
// yet. A flood goes on in another window, so it is one entry a window and not
// two.
func (r *Refusals) due(all bool) (ended []*window, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(ended) < maxFlush {
		front := r.order.Front()
		if front == nil {
			break
		}
		w := front.Value.(*window)
		if wait = w.until.Sub(r.now()); wait > 0 && len(r.open) <= maxWindows && !all {
			break
		}
		r.drop(w)
		if w.counted == 0 {
			continue
		}
		ended = append(ended, w)
		if !all && len(r.open) < maxWindows {
			close(r.begin(w.key).written)
		}
	}
	return ended, wait
}

// end commits what windows counted.
func (r *Refusals) end(ctx context.Context, ended []*window) {
	entries := make([]journal.Entry, 0, len(ended))
	for _, w := range ended {
		entry, err := refusal(w.request, w.d, w.counted)
		if err != nil {
			r.Log.Error("a refusal could not be prepared", "error", err)
			continue
		}
		entries = append(entries, entry)
	}
	if _, err := r.Journal.Submit(ctx, &journal.Call{Entries: entries}); err != nil {
		r.Log.Error("counted refusals could not be written to the ledger", "entries", len(entries), "error", err)
	}
}

// Stop commits what is counted. ctx bounds it. A refusal that comes later is
// answered, and only committed if it is the first of its kind.
func (r *Refusals) Stop(ctx context.Context) {
	r.mu.Lock()
	stopped := r.stopped
	r.stopped = true
	r.mu.Unlock()
	if stopped {
		return
	}
	r.cancel()
	r.done.Wait()
	for ctx.Err() == nil {
		ended, _ := r.due(true)
		if len(ended) == 0 {
			return
		}
		r.end(ctx, ended)
	}
}

// write commits one refusal.
func (r *Refusals) write(ctx context.Context, req Request, d Decision) error {
	entry, err := refusal(req, d, 1)
	if err != nil {
		return err
	}
	_, err = r.Journal.Submit(ctx, &journal.Call{From: req.Caller.System, Entries: []journal.Entry{entry}})
	return err
}

// refusal makes the entry for count refusals; it shows purpose, person and case
// of the first of them.
func refusal(req Request, d Decision, count uint64) (journal.Entry, error) {
	refused := &ledgerv1.AccessRefused{
		Action: string(req.Action), Topic: d.Topic, Provider: d.Provider, Rule: d.Rule, Count: count,
		Subscription: req.Subscription,
	}
	if PurposeGood(req.Purpose) {
		refused.Purpose = req.Purpose
	}
	entry := journal.Entry{Leaf: &ledgerv1.LedgerEntry{
		Actor: req.Caller.System, ActorCertificate: req.Caller.Fingerprint[:],
		Body: &ledgerv1.LedgerEntry_Refused{Refused: refused},
	}}
	person, number := clip(req.Person), clip(req.Case)
	if person == "" && number == "" {
		return entry, nil
	}
	secret := make([]byte, verify.SecretSize)
	if _, err := rand.Read(secret); err != nil {
		return entry, err
	}
	refused.PersonCommitment = verify.CommitText(verify.Person, 0, secret, person)
	refused.CaseCommitment = verify.CommitText(verify.Case, 0, secret, number)
	entry.Opening = &ledgerv1.ReadOpening{Secret: secret, Person: person, CaseNumber: number}
	return entry, nil
}

// clip bounds what a refused caller may have stored.
func clip(s string) string {
	return strings.ToValidUTF8(s[:min(len(s), maxReference)], "")
}
