package inspect

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"database/sql"
	"iter"
	"math/bits"

	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/store"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// replay is the state of the journal as the entries so far make it.
type replay struct {
	at        int64
	policy    uint64
	sequences []uint64
	// live are the publications that stand in a record's chain of versions, gone
	// those of erased records; a chain that is walked takes its own out.
	live, gone marks
	sealed     uint64
	keys       uint64
	erasures   []erasure
	// erasedBy gives the entry that says that a version was erased.
	erasedBy map[uint64]erasure
	disputes map[uint64]*disputed
	// muted are the entries whose openings lack the reason that they commit to.
	muted  marks
	topics map[int64]string
	// again are the publications by which the exchange itself erased what a restored
	// backup brought back; served is the last by a department.
	again  []*ledgerv1.LedgerEntry
	served uint64
}

// erasure is a RecordErased entry and where its record stood.
type erasure struct {
	index, requestedBy uint64
	versions           uint32
}

func (r *replay) begin(head *journal.Head) {
	r.policy, r.sequences = 1, make([]uint64, len(head.Sequences))
	r.topics, r.erasedBy, r.disputes = map[int64]string{}, map[uint64]erasure{}, map[uint64]*disputed{}
}

// marks is a set of entries, one bit each.
type marks []uint64

func (m *marks) set(i uint64) {
	for uint64(len(*m)) <= i/64 {
		*m = append(*m, 0)
	}
	(*m)[i/64] |= 1 << (i % 64)
}

// take takes an entry out and says whether it was in.
func (m marks) take(i uint64) bool {
	if i/64 >= uint64(len(m)) || m[i/64]&(1<<(i%64)) == 0 {
		return false
	}
	m[i/64] &^= 1 << (i % 64)
	return true
}

// all gives the entries of the set, ascending.
func (m marks) all() iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		for w, word := range m {
			for ; word != 0; word &= word - 1 {
				if !yield(uint64(w*64 + bits.TrailingZeros64(word))) {
					return
				}
			}
		}
	}
}

// first gives the lowest entry of the set.
func (m marks) first() (uint64, bool) {
	for index := range m.all() {
		return index, true
	}
	return 0, false
}

// checkEntry checks one entry against what came before it, and its sealed row.
func (c *checker) checkEntry(ctx context.Context, r *row) error {
	entry, err := decode(r.leaf)
	if err != nil {
		return wrong("ledger", r.index, "the entry does not decode")
	}
	r.entry = entry
	switch {
	case entry.Index != r.index:
		return wrong("ledger", r.index, "the entry says that its index is %d", entry.Index)
	case entry.AtUs <= c.replay.at:
		return wrong("ledger", r.index, "its time is not after that of the entry before")
	case entry.Body == nil:
		return wrong("ledger", r.index, "the entry says nothing")
	}
	c.replay.at = entry.AtUs
	if err := c.verify.issuedTo(entry); err != nil {
		return err
	}
	if err := c.verify.snapshots.Entry(entry); err != nil {
		return wrong("ledger", r.index, "%v", err)
	}
	if published := entry.GetPublished(); published != nil {
		return c.checkPublication(ctx, r, published)
	}
	if err := c.verify.endCall(c.report); err != nil {
		return err
	}
	if err := c.checkBody(r); err != nil {
		return err
	}
	return c.checkOpening(ctx, r)
}

// checkBody takes what an entry changes into the replay.
func (c *checker) checkBody(r *row) error {
	switch body := r.entry.Body.(type) {
	case *ledgerv1.LedgerEntry_Changed:
		c.objects.change(r.index, body.Changed)
		c.enrolments.ended(body.Changed)
		return c.policy(r.index, body.Changed.Policy)
	case *ledgerv1.LedgerEntry_Certificate:
		if err := c.verify.certificate(r.index, body.Certificate); err != nil {
			return err
		}
		return c.policy(r.index, body.Certificate.Policy)
	case *ledgerv1.LedgerEntry_Stepped:
		if err := c.steps.Entry(r.entry); err != nil {
			return wrong("ledger", r.index, "%v", err)
		}
		err := c.policy(r.index, body.Stepped.Policy)
		c.objects.step(r.index, c.replay.policy, body.Stepped)
		return err
	case *ledgerv1.LedgerEntry_Person:
		if err := c.persons.change(c.head.Origin, r.index, body.Person); err != nil {
			return err
		}
		return c.policy(r.index, body.Person.Policy)
	case *ledgerv1.LedgerEntry_Disputed:
		c.replay.disputes[r.index] = &disputed{RecordDisputed: body.Disputed}
	case *ledgerv1.LedgerEntry_DisputeAnswered:
		return c.replay.answered(r.index, body.DisputeAnswered)
	case *ledgerv1.LedgerEntry_Erased:
		e := body.Erased
		if e.RequestedBy >= r.index {
			return wrong("ledger", r.index, "the erasure was asked for by a later entry")
		}
		c.report.Erased++
		c.replay.erasures = append(c.replay.erasures, erasure{r.index, e.RequestedBy, e.Versions})
		return c.policy(r.index, e.Policy)
	}
	return nil
}

// policy takes a change of policy: those of one call have one count.
func (c *checker) policy(index, count uint64) error {
	if count == 0 || count == c.replay.policy {
		return nil
	}
	if count != c.replay.policy+1 {
		return wrong("ledger", index, "the count of policy changes is %d after %d", count, c.replay.policy)
	}
	c.replay.policy = count
	return nil
}

// checkEnd compares the replay with the head.
func (c *checker) checkEnd(ctx context.Context) error {
	if err := c.tree.end(ctx, c); err != nil {
		return err
	}
	r, h := &c.replay, c.head
	switch {
	case h.At != r.at:
		return wrong("head", "at", "the head's time is not that of the last entry")
	case h.Policy != r.policy:
		return wrong("head", "policy", "the head counts %d changes of policy, the ledger %d", h.Policy, r.policy)
	}
	for p := range r.sequences {
		if h.Sequences[p] != r.sequences[p] {
			return wrong("head", "sequences", "partition %d stands at %d, its publications at %d", p, h.Sequences[p], r.sequences[p])
		}
	}
	for _, table := range []struct {
		name string
		want uint64
	}{{"ledger", h.Size}, {"sealed", r.sealed}, {"idempotency", r.keys}} {
		n, err := c.count(ctx, table.name)
		if err != nil {
			return err
		}
		if n != table.want {
			return wrong(table.name, nil, "there are %d rows, the ledger has %d for them", n, table.want)
		}
	}
	return nil
}

var lookupKeys = &store.Lookup{Select: "SELECT system, key, idx FROM idempotency", Keys: [2]string{"system", "key"}}

// checkKeys checks that the idempotency key of each publication leads to it.
func (c *checker) checkKeys(ctx context.Context, rows []row) error {
	type id struct {
		system int64
		key    string
	}
	want := map[id]uint64{}
	var order []id
	var systems store.Ints
	var keys store.Blobs
	for i := range rows {
		entry, err := decode(rows[i].leaf)
		if err != nil || entry.GetPublished() == nil {
			continue // checkEntry says what is wrong
		}
		one := id{journal.Number(entry.Actor), string(entry.GetPublished().IdempotencyKey)}
		want[one] = rows[i].index
		order = append(order, one)
		systems, keys = append(systems, one.system), append(keys, []byte(one.key))
	}
	c.replay.keys += uint64(len(order))
	found := map[id]uint64{}
	err := lookupKeys.Run(ctx, c.db.Journal, c.db.Reader(), systems, keys, func(rows *sql.Rows) error {
		var one id
		var key []byte
		var idx uint64
		err := rows.Scan(&one.system, &key, &idx)
		one.key = string(key)
		found[one] = idx
		return err
	})
	if err != nil {
		return unreadable(ctx, c.db, err, "idempotency", nil)
	}
	for _, one := range order {
		if idx, ok := found[one]; !ok || idx != want[one] {
			return wrong("idempotency", want[one], "the key of the publication of that entry does not lead to it")
		}
	}
	return nil
}

// certificate is what the ledger says of one.
type certificate struct {
	system  string
	parsed  *x509.Certificate
	der     []byte
	revoked bool
	reason  string
	policy  uint64
}

// signatures checks who signed what, by the certificates known so far.
type signatures struct {
	certificates map[string]*certificate
	snapshots    verify.Snapshots
	// call holds the entries of the call being read, and who made it.
	call  []*ledgerv1.RecordPublished
	first uint64
	actor string
	by    string
}

// key gives the public key of a certificate that was issued.
func (s *signatures) key(fingerprint []byte) crypto.PublicKey {
	if known := s.certificates[string(fingerprint)]; known != nil {
		return known.parsed.PublicKey
	}
	return nil
}

// issuedTo checks that an entry's certificate was issued to its actor.
func (s *signatures) issuedTo(e *ledgerv1.LedgerEntry) error {
	if len(e.ActorCertificate) == 0 {
		return nil
	}
	known := s.certificates[string(e.ActorCertificate)]
	if known == nil || known.system != e.Actor {
		return wrong("ledger", e.Index, "its actor's certificate was not issued to it")
	}
	return nil
}

func (s *signatures) certificate(index uint64, c *ledgerv1.CertificateChanged) error {
	known := s.certificates[string(c.Fingerprint)]
	if len(c.Certificate) == 0 {
		if known == nil {
			return wrong("ledger", index, "it changes a certificate that was not issued")
		}
		known.revoked = known.revoked || c.Change == "revoke"
		known.reason, known.policy = c.Reason, c.Policy
		return nil
	}
	digest := sha256.Sum256(c.Certificate)
	parsed, err := x509.ParseCertificate(c.Certificate)
	if err != nil || !bytes.Equal(digest[:], c.Fingerprint) {
		return wrong("ledger", index, "its certificate is not the one of its fingerprint")
	}
	s.certificates[string(c.Fingerprint)] = &certificate{system: c.System, parsed: parsed, der: c.Certificate, policy: c.Policy}
	return nil
}

// publication takes one entry of a call.
func (s *signatures) publication(e *ledgerv1.LedgerEntry, p *ledgerv1.RecordPublished, report *Report) error {
	if p.GetCall().GetBack() == 0 {
		if err := s.endCall(report); err != nil {
			return err
		}
		s.first, s.actor, s.by = e.Index, e.Actor, string(e.ActorCertificate)
	}
	if int(p.GetCall().GetBack()) != len(s.call) || e.Actor != s.actor || string(e.ActorCertificate) != s.by {
		return wrong("ledger", e.Index, "it is not part of the call before it")
	}
	s.call = append(s.call, p)
	return nil
}

// endCall checks the signature of the call that was read.
func (s *signatures) endCall(report *Report) error {
	if len(s.call) == 0 {
		return nil
	}
	statements, signature, err := verify.CallOf(s.call)
	removals := verify.BySnapshot(s.call)
	s.call = s.call[:0]
	if err != nil {
		return wrong("ledger", s.first, "%v", err)
	}
	if len(signature) == 0 && removals {
		report.SnapshotCalls++
		return nil
	}
	if len(signature) == 0 {
		report.UnsignedCalls++
		return nil
	}
	known := s.certificates[s.by]
	if known == nil {
		return wrong("ledger", s.first, "the call is signed by a certificate that was not issued")
	}
	if err := verify.CheckSignature(known.parsed.PublicKey, verify.CallStatement(s.actor, statements), signature); err != nil {
		return wrong("ledger", s.first, "the publisher's signature over the call: %v", err)
	}
	report.SignedCalls++
	return nil
}

// acknowledgement checks a receiver's signature, if it signed.
func (s *signatures) acknowledgement(a *ledgerv1.Acknowledgement) string {
	known := s.certificates[string(a.Certificate)]
	switch {
	case known == nil || known.system != a.System:
		return "its certificate was not issued to the receiver"
	case len(a.Signature) == 0:
		return ""
	}
	statement, err := verify.AckStatement(a.Subscription, a.Sequences, a.DetailHashes)
	if err == nil {
		err = verify.CheckSignature(known.parsed.PublicKey, statement, a.Signature)
	}
	if err != nil {
		return err.Error()
	}
	return ""
}
