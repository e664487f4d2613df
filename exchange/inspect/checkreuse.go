package inspect

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"

	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// materialsEntry is what the entries on materials have in common.
type materialsEntry interface {
	GetConsumer() string
	GetPersonCommitment() []byte
	GetCaseCommitment() []byte
	GetSubjectCommitment() []byte
}

func materialsOf(e *ledgerv1.LedgerEntry) materialsEntry {
	switch b := e.Body.(type) {
	case *ledgerv1.LedgerEntry_Prepared:
		return b.Prepared
	case *ledgerv1.LedgerEntry_Collected:
		return b.Collected
	case *ledgerv1.LedgerEntry_Submitted:
		return b.Submitted
	case *ledgerv1.LedgerEntry_Papers:
		return b.Papers
	}
	return nil
}

// chosen is a row of choices as the ledger says it has to be.
type chosen struct {
	idx, copies, first uint64
}

// reuseEntries are the rows of the once-only step that the ledger asks for, by the
// case's and the subject's token, and the material.
type reuseEntries struct {
	prepared    map[string]uint64
	choices     map[string]chosen
	papers      map[string]uint64
	submissions map[uint64]uint64
	copies      map[uint64]string // the copies' materials, by their entries
	previews    map[uint64]bool   // entries of records that were shown, and no preparation behind them yet
}

func newReuseEntries() *reuseEntries {
	return &reuseEntries{
		prepared: map[string]uint64{}, choices: map[string]chosen{}, papers: map[string]uint64{},
		submissions: map[uint64]uint64{}, copies: map[uint64]string{}, previews: map[uint64]bool{},
	}
}

// take takes an entry on materials, with its opening.
func (k *reuseEntries) take(keys tokens, e *ledgerv1.LedgerEntry, o *ledgerv1.ReadOpening) error {
	switch q := e.GetQueried(); {
	case q.GetPreview():
		k.previews[e.Index] = true
	case q.GetMaterial() != "":
		k.copies[e.Index] = q.Material
	}
	shown := uint64(e.GetPrepared().GetPreviews())
	for at := e.Index - min(shown, e.Index); at < e.Index; at++ {
		if !k.previews[at] {
			return fmt.Errorf("entry %d is no preview of this preparation", at)
		}
		delete(k.previews, at)
	}
	m := materialsOf(e)
	if m == nil || o.Subject == nil {
		return nil
	}
	of := string(keys.Token(identity.TokenCase, verify.ParticipantOf(m.GetConsumer()), o.CaseNumber)) +
		string(keys.Token(identity.TokenSubject, o.Subject.Type, o.Subject.Number))
	switch b := e.Body.(type) {
	case *ledgerv1.LedgerEntry_Prepared:
		if !b.Prepared.Again {
			k.prepared[of] = e.Index
		}
	case *ledgerv1.LedgerEntry_Collected:
		k.collected(of, e.Index, b.Collected)
	case *ledgerv1.LedgerEntry_Submitted:
		k.submissions[b.Submitted.Publication] = e.Index
	case *ledgerv1.LedgerEntry_Papers:
		for _, paper := range b.Papers.Papers {
			k.papers[of+paper.Material] = e.Index
		}
	}
	return nil
}

// collected takes the choices that a collection made: of the materials that were
// collected those are new whose copies stand right before it.
func (k *reuseEntries) collected(of string, index uint64, c *ledgerv1.MaterialsCollected) {
	copies := map[string]chosen{}
	for at := index - uint64(c.Copies); at < index; at++ {
		one, known := copies[k.copies[at]]
		if !known {
			one = chosen{idx: index, first: at}
		}
		one.copies++
		copies[k.copies[at]] = one
	}
	for _, m := range c.Materials {
		if _, before := k.choices[of+m.Code]; before {
			continue
		}
		switch m.State {
		case ledgerv1.MaterialState_MATERIAL_STATE_COLLECTED:
			k.choices[of+m.Code] = copies[m.Code]
		case ledgerv1.MaterialState_MATERIAL_STATE_DECLINED:
			k.choices[of+m.Code] = chosen{idx: index}
		}
	}
}

// tokens makes the tokens that rows hold.
type tokens interface {
	Token(kind byte, parts ...string) []byte
}

// checkReuse compares the rows of the once-only step with the ledger.
func (c *checker) checkReuse(ctx context.Context) error {
	if err := c.checkChoices(ctx); err != nil {
		return err
	}
	for at := range c.reuse.previews {
		return wrong("ledger", at, "a record was shown, and no preparation stands behind it")
	}
	err := c.checkIndexed(ctx, "preparations", "SELECT case_token, subject_token, '', idx FROM preparations ORDER BY case_token, subject_token", c.reuse.prepared)
	if err != nil {
		return err
	}
	err = c.checkIndexed(ctx, "papers", "SELECT case_token, subject_token, material, idx FROM papers ORDER BY case_token, subject_token, material", c.reuse.papers)
	if err != nil {
		return err
	}
	rows := 0
	err = c.each(ctx, "submissions", "SELECT publication, idx FROM submissions ORDER BY publication", func(row *sql.Rows) error {
		var publication, idx uint64
		if err := row.Scan(&publication, &idx); err != nil {
			return err
		}
		if rows++; c.reuse.submissions[publication] != idx || idx == 0 {
			return wrong("submissions", publication, "entry %d does not say that it was submitted", idx)
		}
		return nil
	})
	return complete(err, "submissions", rows, len(c.reuse.submissions))
}

// checkIndexed compares rows that name the entry which made them.
func (c *checker) checkIndexed(ctx context.Context, table, query string, want map[string]uint64) error {
	rows := 0
	err := c.each(ctx, table, query, func(row *sql.Rows) error {
		var of, subject []byte
		var material string
		var idx uint64
		if err := row.Scan(&of, &subject, &material, &idx); err != nil {
			return err
		}
		rows++
		if entry, known := want[string(of)+string(subject)+material]; !known || entry != idx {
			return wrong(table, hex.EncodeToString(of)+material, "the row is not what the ledger says")
		}
		return nil
	})
	return complete(err, table, rows, len(want))
}

func (c *checker) checkChoices(ctx context.Context) error {
	rows := 0
	err := c.each(ctx, "choices", "SELECT case_token, subject_token, material, idx, copies, first FROM choices ORDER BY case_token, subject_token, material", func(row *sql.Rows) error {
		var of, subject []byte
		var material string
		var have chosen
		if err := row.Scan(&of, &subject, &material, &have.idx, &have.copies, &have.first); err != nil {
			return err
		}
		rows++
		if want, known := c.reuse.choices[string(of)+string(subject)+material]; !known || want != have {
			return wrong("choices", hex.EncodeToString(of)+material, "the row is not what the ledger says")
		}
		return nil
	})
	return complete(err, "choices", rows, len(c.reuse.choices))
}

// complete adds to a table's check that no row is missing.
func complete(err error, table string, rows, want int) error {
	if err == nil && rows != want {
		return wrong(table, nil, "there are %d rows, the ledger asks for %d", rows, want)
	}
	return err
}
