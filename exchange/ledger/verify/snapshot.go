package verify

import (
	"crypto"
	"fmt"

	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Snapshots follows the full loads of a ledger, entry by entry from the first.
// It checks what ends them, and that each removal which no publisher signed is
// one of those that the signed end asks for. The zero value but for its two
// fields is the ledger before its first entry.
type Snapshots struct {
	Origin string
	// Key gives the public key of a certificate that was issued, by its
	// fingerprint; nil for others.
	Key func(fingerprint []byte) crypto.PublicKey

	topics map[string]*Snapshot
}

// Snapshot is the full load of a topic that was begun last.
type Snapshot struct {
	// System began it.
	System string
	Begun  uint64
	// EndedPlusOne is 0 while it is under way.
	EndedPlusOne uint64
	Abandoned    bool
	// Unmentioned is how many records its end asks to remove, and Removed how
	// many were. Those that were published meanwhile stay.
	Unmentioned, Removed uint64

	by, certificate string
}

// Topics gives the full load of each topic that had one.
func (s *Snapshots) Topics() map[string]*Snapshot { return s.topics }

// Entry takes the next entry; one that begins or ends no full load, or removes
// nothing for it, is passed over.
func (s *Snapshots) Entry(e *ledgerv1.LedgerEntry) error {
	switch b := e.Body.(type) {
	case *ledgerv1.LedgerEntry_SnapshotBegun:
		return s.begun(e, b.SnapshotBegun)
	case *ledgerv1.LedgerEntry_SnapshotEnded:
		return s.ended(e, b.SnapshotEnded)
	case *ledgerv1.LedgerEntry_Published:
		if b.Published.SnapshotPlusOne != 0 {
			return s.removed(e, b.Published)
		}
	}
	return nil
}

func (s *Snapshots) begun(e *ledgerv1.LedgerEntry, b *ledgerv1.SnapshotBegun) error {
	if old := s.topics[b.Topic]; old != nil && old.EndedPlusOne == 0 {
		return fmt.Errorf("it begins a full load while that of entry %d is under way", old.Begun)
	}
	if s.topics == nil {
		s.topics = map[string]*Snapshot{}
	}
	s.topics[b.Topic] = &Snapshot{System: e.Actor, Begun: e.Index}
	return nil
}

func (s *Snapshots) ended(e *ledgerv1.LedgerEntry, b *ledgerv1.SnapshotEnded) error {
	load := s.topics[b.Topic]
	switch {
	case load == nil || load.EndedPlusOne != 0 || load.Begun != b.Begun:
		return fmt.Errorf("it ends a full load of entry %d that is not under way", b.Begun)
	case b.Abandoned && b.Removed != 0, b.Removed > b.Held:
		return fmt.Errorf("it removes %d records of %d", b.Removed, b.Held)
	}
	if len(b.Signature) != 0 {
		key := s.Key(e.ActorCertificate)
		if key == nil {
			return fmt.Errorf("it is signed by a certificate that was not issued")
		}
		if err := CheckSignature(key, SnapshotStatement(s.Origin, e.Actor, b.Topic, b.Begun, b.Abandoned), b.Signature); err != nil {
			return err
		}
	}
	load.EndedPlusOne, load.Abandoned, load.Unmentioned = e.Index+1, b.Abandoned, b.Removed
	load.by, load.certificate = e.Actor, string(e.ActorCertificate)
	return nil
}

// removed checks a removal that the exchange made for the end of a full load, in
// the name of the system that ended it.
func (s *Snapshots) removed(e *ledgerv1.LedgerEntry, p *ledgerv1.RecordPublished) error {
	load := s.topics[p.Topic]
	switch {
	case load == nil || load.EndedPlusOne != p.SnapshotPlusOne || load.Abandoned:
		return fmt.Errorf("entry %d ended no full load that it could remove a record for", p.SnapshotPlusOne-1)
	case p.Operation != ledgerv1.Operation_OPERATION_REMOVE:
		return fmt.Errorf("the end of a full load removes records and does nothing else")
	case e.Actor != load.by || string(e.ActorCertificate) != load.certificate:
		return fmt.Errorf("it is not by the system that ended the full load")
	case p.IfIndexPlusOne == 0 || p.IfIndexPlusOne > load.Begun:
		return fmt.Errorf("it removes a version that is not older than the full load")
	}
	if load.Removed++; load.Removed > load.Unmentioned {
		return fmt.Errorf("more records are removed than entry %d says", p.SnapshotPlusOne-1)
	}
	return nil
}

// BySnapshot says whether the entries of a call are removals that the end of a
// full load asks for: its signature stands for theirs.
func BySnapshot(call []*ledgerv1.RecordPublished) bool {
	for _, p := range call {
		if p.GetSnapshotPlusOne() == 0 {
			return false
		}
	}
	return len(call) > 0
}
