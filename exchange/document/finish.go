package document

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	"github.com/huitong-bus/huitong/exchange/store"
	"github.com/huitong-bus/huitong/exchange/store/crashpoint"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// errStored says that the document is there already.
var errStored = errors.New("the document is there already")

// Finish reads back what is stored, finds it to be the document, and commits the
// entry that says that it is there. Done again, it gives the first answer.
func (u *Upload) Finish(ctx context.Context) (*exchangev1.UploadDone, error) {
	if u.stored {
		return u.first(ctx)
	}
	if err := u.settle(ctx, 0); err != nil {
		return nil, err
	}
	if u.durable != int64(u.document.Size) {
		return nil, u.refused(ctx, fault.Field("chunk", "document.short", "the document was said to have %d bytes and has %d; open the upload again and bring the rest", u.document.Size, u.durable))
	}
	if err := u.readBack(ctx); err != nil {
		return nil, err
	}
	// A crash here leaves a whole document without an entry: whoever opens the
	// upload again and closes it finishes it.
	crashpoint.Here("document.before-entry")
	var salt [verify.SaltSize]byte
	commit, err := u.of.Journal.Submit(ctx, &journal.Call{From: u.caller.System, Build: func(ctx context.Context, tx store.Tx, slot journal.Slot) ([]journal.Entry, error) {
		entry, err := u.store(ctx, tx, slot)
		if err != nil {
			return nil, err
		}
		salt = verify.Salt(verify.Document, 0, entry.Opening.Secret)
		return []journal.Entry{entry}, nil
	}})
	if errors.Is(err, errStored) {
		return u.first(ctx)
	}
	if err != nil {
		return nil, err
	}
	return &exchangev1.UploadDone{Receipt: receipt(commit.Index, commit.At, commit.Leaves[0]), Proof: commit.Proof, Salt: salt[:]}, nil
}

func receipt(index uint64, at int64, leaf []byte) *exchangev1.Receipt {
	return &exchangev1.Receipt{Index: index, At: timestamppb.New(timeOf(at)), Leaf: leaf}
}

// readBack hashes what is stored. A document that is not what was said is dropped
// whole, so that its id can be used again.
func (u *Upload) readBack(ctx context.Context) error {
	hash := sha256.New()
	r := &Reader{of: u.of, document: u.document, chunks: u.chunks}
	for {
		_, data, err := r.Next(ctx)
		if err != nil {
			return err
		}
		if data == nil {
			break
		}
		hash.Write(data)
	}
	if bytes.Equal(hash.Sum(nil), u.document.Sha256) {
		return nil
	}
	if err := u.of.drop(ctx, u.document.Id); err != nil {
		return err
	}
	return u.refused(ctx, fault.Field("document.sha256", "document.digest", "what came has another SHA-256; nothing of it is kept; bring it again from its beginning"))
}

// store makes the document be there, in the journal's transaction.
func (u *Upload) store(ctx context.Context, tx store.Tx, slot journal.Slot) (journal.Entry, error) {
	d := u.of
	if caller, err := d.Standing.Actor(ctx, tx, u.caller); err != nil {
		return journal.Entry{}, err
	} else if !caller.Roles.Has(identity.Department) {
		return journal.Entry{}, fault.New(fault.Denied, "role.department", "documents are for department systems; the caller has no such role")
	}
	r, err := readRow(ctx, tx, u.document.Id, d.DB.Journal.LockRow())
	switch {
	case err != nil:
		return journal.Entry{}, err
	case r == nil || r.system != u.caller.System || r.durable != r.size:
		return journal.Entry{}, unknown()
	case r.stored != 0:
		return journal.Entry{}, errStored
	}
	if _, err := tx.ExecContext(ctx, "UPDATE documents SET stored = $1, touched = $2 WHERE id = $3", int64(slot.Index)+1, slot.At, u.document.Id); err != nil {
		return journal.Entry{}, err
	}
	secret, err := newSecret()
	if err != nil {
		return journal.Entry{}, err
	}
	return journal.Entry{
		Leaf: &ledgerv1.LedgerEntry{
			Actor: u.caller.System, ActorCertificate: u.caller.Fingerprint[:],
			Body: &ledgerv1.LedgerEntry_DocumentStored{DocumentStored: &ledgerv1.DocumentStored{DocumentCommitment: verify.CommitDocument(secret, u.document)}},
		},
		Opening: &ledgerv1.ReadOpening{Secret: secret, Document: u.document},
	}, nil
}

func newSecret() ([]byte, error) {
	secret := make([]byte, verify.SecretSize)
	_, err := rand.Read(secret)
	return secret, err
}

// first gives the answer of the first time.
func (u *Upload) first(ctx context.Context) (*exchangev1.UploadDone, error) {
	d := u.of
	var leaf, body []byte
	err := d.DB.Reader().QueryRowContext(ctx, `SELECT l.leaf, s.body FROM documents d JOIN ledger l ON l.idx = d.stored - 1 JOIN sealed s ON s.idx = l.idx
		WHERE d.id = $1 AND d.stored > 0`, u.document.Id).Scan(&leaf, &body)
	if err != nil {
		return nil, err
	}
	if body == nil {
		return nil, errErased()
	}
	opening, err := journal.OpenEntry(d.Sealer, d.Journal.Head().Origin, body)
	if err != nil {
		return nil, fmt.Errorf("the opening of a document's entry: %w", err)
	}
	entry := &ledgerv1.LedgerEntry{}
	if err := proto.Unmarshal(leaf, entry); err != nil {
		return nil, err
	}
	salt := verify.Salt(verify.Document, 0, opening.Secret)
	done := &exchangev1.UploadDone{Receipt: receipt(entry.Index, entry.AtUs, leaf), Salt: salt[:]}
	done.Receipt.Repeat = true
	return done, nil
}
