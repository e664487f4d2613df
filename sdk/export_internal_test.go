package sdk

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"math/big"
	"slices"
	"testing"

	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

func sha(b []byte) []byte {
	d := sha256.Sum256(b)
	return d[:]
}

func TestExportIsVerifiedOffline(t *testing.T) {
	l := newTree(t)
	l.pad(100)
	checkpoint := l.checkpoint()
	write := func(leaves [][]byte) *bytes.Buffer {
		var out bytes.Buffer
		for _, leaf := range leaves {
			if err := writeLeaf(&out, leaf); err != nil {
				t.Fatal(err)
			}
		}
		return &out
	}
	seen := 0
	n, err := VerifyExport(write(l.leaves), checkpoint, l.key, func(*ledgerv1.LedgerEntry) error { seen++; return nil })
	if err != nil || n != 100 || seen != 100 {
		t.Fatalf("%d entries, %d seen, %v", n, seen, err)
	}
	changed := slices.Clone(l.leaves)
	changed[40] = slices.Clone(changed[40])
	changed[40][len(changed[40])-1] ^= 1
	swapped := slices.Clone(l.leaves)
	swapped[3], swapped[4] = swapped[4], swapped[3]
	cut := write(l.leaves)
	cut.Truncate(cut.Len() - 3)
	for name, export := range map[string]*bytes.Buffer{
		"a byte changed": write(changed), "two entries swapped": write(swapped), "one entry gone": write(l.leaves[:99]), "cut short": cut, "empty": {},
	} {
		if _, err := VerifyExport(export, checkpoint, l.key, nil); !errors.Is(err, ErrUnproven) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := VerifyExport(write(l.leaves), checkpoint, newTree(t).key, nil); !errors.Is(err, ErrUnproven) {
		t.Errorf("another ledger's key: %v", err)
	}
}

func FuzzVerifyExport(f *testing.F) {
	l := newTree(f)
	l.pad(3)
	checkpoint := l.checkpoint()
	var good bytes.Buffer
	for _, leaf := range l.leaves {
		if err := writeLeaf(&good, leaf); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(good.Bytes())
	f.Add(good.Bytes()[:7])
	f.Add([]byte{0, 2, 8, 1})
	f.Fuzz(func(t *testing.T, export []byte) {
		n, err := VerifyExport(bytes.NewReader(export), checkpoint, l.key, nil)
		if (err == nil) != bytes.Equal(export, good.Bytes()) {
			t.Errorf("%d entries, %v", n, err)
		}
	})
}

func TestAuditChecksEverySignature(t *testing.T) {
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Signer().Public(), key.Signer())
	if err != nil {
		t.Fatal(err)
	}
	fingerprint := sha(der)
	issue := &ledgerv1.LedgerEntry{Body: &ledgerv1.LedgerEntry_Certificate{Certificate: &ledgerv1.CertificateChanged{
		System: testSystem, Change: "issue", Certificate: der, Fingerprint: fingerprint,
	}}}
	call := func(actor string) []*ledgerv1.LedgerEntry {
		records := []*ledgerv1.RecordPublished{
			{Topic: testTopic, IdempotencyKey: bytes.Repeat([]byte{1}, 16), Call: &ledgerv1.CallPart{Statements: 3}},
			{Topic: testTopic, IdempotencyKey: bytes.Repeat([]byte{2}, 16), Call: &ledgerv1.CallPart{Back: 1, Position: 2}},
		}
		refused := [32]byte{7}
		records[0].Call.Omitted = []*ledgerv1.OmittedStatement{{Position: 1, LeafHash: refused[:]}}
		signature, err := verify.Sign(key.Signer(), verify.CallStatement(testSystem, [][32]byte{
			verify.StatementOf(records[0]).LeafHash(), refused, verify.StatementOf(records[1]).LeafHash(),
		}))
		if err != nil {
			t.Fatal(err)
		}
		records[0].Call.Signature = signature
		entries := make([]*ledgerv1.LedgerEntry, len(records))
		for i, r := range records {
			entries[i] = &ledgerv1.LedgerEntry{Actor: actor, ActorCertificate: fingerprint, Body: &ledgerv1.LedgerEntry_Published{Published: r}}
		}
		return entries
	}
	audit := func(entries ...*ledgerv1.LedgerEntry) (*Audit, error) {
		l := newTree(t)
		var out bytes.Buffer
		for _, e := range entries {
			if err := writeLeaf(&out, l.append(e)); err != nil {
				t.Fatal(err)
			}
		}
		return AuditExport(&out, l.checkpoint(), l.key)
	}
	good := call(testSystem)
	a, err := audit(issue, good[0], good[1])
	if err != nil || a.SignedCalls != 1 || a.Kinds["published"] != 2 || a.Certificates != 1 {
		t.Fatalf("%+v, %v", a, err)
	}
	other := call("another/system")
	changed := call(testSystem)
	changed[1].GetPublished().SourceVersion++
	half := call(testSystem)
	for name, entries := range map[string][]*ledgerv1.LedgerEntry{
		"never issued":           good,
		"another's name":         {issue, other[0], other[1]},
		"a record changed":       {issue, changed[0], changed[1]},
		"a record missing":       {issue, half[0]},
		"the call's head gone":   {issue, half[1]},
		"nothing said in it":     {{Actor: testSystem}},
		"another's record in it": {issue, good[0], other[1]},
	} {
		if _, err := audit(entries...); !errors.Is(err, ErrUnproven) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
