package cli

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"io"
	"os"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	"github.com/huitong-bus/huitong/sdk"
)

func (a *app) ledgerProve() *cobra.Command {
	var out string
	var opening bool
	c := &cobra.Command{
		Use: "prove ENTRY", Short: "Prove that an entry is in the ledger, and keep the proof",
		Long: `Fetches an entry with its inclusion proof and, of a publication, the publisher's
signature and certificate, checks them, and prints all as one document that "huitong ledger verify FILE" checks offline.`,
		Example: `  huitong ledger prove 42 > entry-42.json
  huitong ledger verify entry-42.json`,
		Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			index, err := parseIndex(args[0])
			if err != nil {
				return err
			}
			evidence, err := c.Evidence(ctx, index, opening)
			if err != nil {
				return err
			}
			if out == "" {
				return a.printJSON(evidence)
			}
			text, err := compact(evidence)
			if err != nil {
				return err
			}
			if err := os.WriteFile(out, append(text, '\n'), 0o600); err != nil {
				return err
			}
			if a.json() {
				return a.printValue(map[string]any{"index": index, "file": out})
			}
			a.printf("entry %d is in the ledger; the proof is in %s\n", index, out)
			return nil
		}),
	}
	c.Flags().StringVar(&out, "out", "", "file for the proof; standard output if not given")
	c.Flags().BoolVar(&opening, "opening", false, "keep what the entry's commitments commit to as well, as far as the caller may see it")
	return c
}

func (a *app) ledgerExport() *cobra.Command {
	c := &cobra.Command{
		Use: "export FILE", Short: "Write the whole ledger to a file, for checks that need no exchange; for auditors",
		Long: `Writes every entry, and beside it FILE.checkpoint with the signed checkpoint that
covers them. "huitong ledger verify FILE" checks both offline.`,
		Args: cobra.ExactArgs(1),
		RunE: a.connected(func(ctx context.Context, c *sdk.Client, args []string) error {
			f, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
			if err != nil {
				return err
			}
			checkpoint, err := c.Export(ctx, f)
			if err := errors.Join(err, f.Close()); err != nil {
				return err
			}
			if err := os.WriteFile(args[0]+".checkpoint", []byte(checkpoint.Signed), 0o644); err != nil {
				return err
			}
			if a.json() {
				return a.printValue(map[string]any{"entries": checkpoint.Size, "file": args[0], "checkpoint": args[0] + ".checkpoint"})
			}
			a.printf("%d entries in %s, their checkpoint in %s.checkpoint\n", checkpoint.Size, args[0], args[0])
			return nil
		}),
	}
	return c
}

type verifyFlags struct{ key, checkpoint, leaf, certificate string }

func (a *app) ledgerVerify() *cobra.Command {
	var f verifyFlags
	c := &cobra.Command{
		Use:   "verify [FILE]",
		Short: "Check the ledger, or what was kept of it",
		Long: `Without a file: fetches every entry as an auditor, recomputes the tree, and checks it
against the signed checkpoint, and every publisher's signature by the certificates
that the ledger itself records.

With a file, offline: an export with its checkpoint (huitong ledger export), the proof
of one entry (huitong ledger prove), or a C2SP tlog-proof with its leaf.

The ledger's key is what all stands on: it is taken from --ledger-key or the context,
never from the file. Exit code 6 says that a check found something wrong.`,
		Example: `  huitong ledger verify --context auditor
  huitong ledger verify ledger.bin --ledger-key huitong/11999900MB0000086B/…+…
  huitong ledger verify entry-42.json
  huitong ledger verify proof.txt --leaf leaf.bin`,
		Args: cobra.MaximumNArgs(1),
		RunE: a.do(func(ctx context.Context, args []string) error {
			if len(args) == 0 {
				return a.verifyOnline(ctx)
			}
			key, err := a.ledgerKey(f.key)
			if err != nil {
				return err
			}
			return found(a.verifyFile(args[0], key, &f))
		}),
	}
	c.Flags().StringVar(&f.key, "ledger-key", "", "the ledger's key, a C2SP vkey; the context's if not given")
	c.Flags().StringVar(&f.checkpoint, "checkpoint", "", "with an export: file of the signed checkpoint; FILE.checkpoint if not given")
	c.Flags().StringVar(&f.certificate, "certificate", "", "with the proof of one entry: the publisher's certificate, PEM; it has to be by this one")
	c.Flags().StringVar(&f.leaf, "leaf", "", "with a tlog-proof: file of the leaf")
	return c
}

// found gives what a check found its own exit code. What kept the check from
// being made, a file that cannot be read, is no finding.
func found(err error) error {
	if err == nil {
		return nil
	}
	var path *os.PathError
	var u *usage
	if errors.As(err, &path) || errors.As(err, &u) {
		return err
	}
	return &coded{advise(err, "keep the file as it is and tell the auditor"), exitUnproven}
}

func (a *app) ledgerKey(given string) (string, error) {
	if given != "" {
		return given, nil
	}
	c, err := a.chosen()
	if err != nil {
		return "", advise(err, "without a connection, name the ledger's key with --ledger-key")
	}
	if c.LedgerKey == "" {
		return "", usageError("the context holds no ledger key; give it with --ledger-key")
	}
	return c.LedgerKey, nil
}

func (a *app) verifyFile(path, key string, f *verifyFlags) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	head := make([]byte, 512)
	n, err := io.ReadFull(file, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return err
	}
	head = head[:n]
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	switch {
	case bytes.HasPrefix(head, []byte("c2sp.org/tlog-proof")):
		return a.verifyProof(file, key, f.leaf)
	case bytes.HasPrefix(bytes.TrimSpace(head), []byte(`{"`)):
		return a.verifyEvidence(file, key, f.certificate)
	}
	checkpoint, err := os.ReadFile(orElse(f.checkpoint, path+".checkpoint"))
	if err != nil {
		return advise(err, "an export is checked against its checkpoint; name that with --checkpoint")
	}
	audit, err := sdk.AuditExport(file, string(checkpoint), key)
	if err != nil {
		return err
	}
	return a.printAudit(audit)
}

// maxProof bounds a file with one entry and its proof.
const maxProof = 64 << 20

func (a *app) verifyEvidence(r io.Reader, key, certificate string) error {
	text, err := io.ReadAll(io.LimitReader(r, maxProof))
	if err != nil {
		return err
	}
	e := &ledgerv1.Evidence{}
	if err := protojson.Unmarshal(text, e); err != nil {
		return fault.New(fault.Invalid, "evidence.json", "the file is no proof as huitong ledger prove writes it")
	}
	proven, err := sdk.VerifyEvidence(e, key)
	if err != nil {
		return err
	}
	if certificate != "" {
		if proven.Entry.GetPublished() == nil {
			return usageError("entry %d is no publication, so its proof holds no signature; the steps of grants are checked in an export: huitong ledger export, huitong ledger verify", proven.Entry.GetIndex())
		}
		if err := signedBy(e, certificate); err != nil {
			return err
		}
	}
	a.printf("the entry is in the ledger; its signed checkpoint says so\n")
	switch {
	case proven.Signed:
		a.printf("its publisher's signature is right, by the certificate that the entry names\n")
	case proven.Entry.GetPublished() != nil:
		a.printf("no signature of its publisher is in the file\n")
	}
	switch {
	case proven.Opened:
		a.printf("what the opening in the file shows is what the entry commits to\n")
	case e.GetRecordOpening() != nil || e.GetReadOpening() != nil:
		a.printf("the opening in the file is NOT proven: nothing in the file ties it to the entry\n")
	}
	return a.showEntry(&ledgerv1.Entry{Leaf: e.GetLeaf(), Entry: proven.Entry})
}

// signedBy says whether it was signed by the certificate of a file.
func signedBy(e *ledgerv1.Evidence, path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return usageError("%s holds no certificate as PEM", path)
	}
	if !bytes.Equal(block.Bytes, e.GetCertificate()) {
		return fault.New(fault.Conflict, "evidence.certificate", "the entry is not signed by the certificate of %s", path)
	}
	return nil
}

func (a *app) verifyProof(r io.Reader, key, leafFile string) error {
	text, err := io.ReadAll(io.LimitReader(r, maxProof))
	if err != nil {
		return err
	}
	if leafFile == "" {
		return usageError("a tlog-proof proves a leaf; name the leaf's file with --leaf")
	}
	leaf, err := os.ReadFile(leafFile)
	if err != nil {
		return err
	}
	return a.verifyLeaf(leaf, string(text), key)
}

func (a *app) verifyLeaf(leaf []byte, proof, key string) error {
	receipt, err := sdk.ReadReceipt(leaf, proof)
	if err != nil {
		return err
	}
	if err := receipt.Verify(key); err != nil {
		return err
	}
	entry := &ledgerv1.LedgerEntry{}
	if err := proto.Unmarshal(leaf, entry); err != nil {
		return err
	}
	a.printf("the entry is in the ledger; its signed checkpoint says so\n")
	return a.showEntry(&ledgerv1.Entry{Leaf: leaf, Entry: entry})
}

// verifyOnline exports the ledger to a file that is gone afterwards, and audits
// it.
func (a *app) verifyOnline(ctx context.Context) error {
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	f, err := os.CreateTemp("", "huitong-ledger-*")
	if err != nil {
		return err
	}
	defer func() { _ = errors.Join(f.Close(), os.Remove(f.Name())) }()
	checkpoint, err := c.Export(ctx, f)
	if err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	audit, err := sdk.AuditExport(f, checkpoint.Signed, c.LedgerKey())
	if err != nil {
		return found(err)
	}
	return a.printAudit(audit)
}

func (a *app) printAudit(audit *sdk.Audit) error {
	if a.json() {
		return a.printValue(map[string]any{
			"ok": true, "entries": audit.Entries, "kinds": audit.Kinds, "certificates": audit.Certificates,
			"signed_calls": audit.SignedCalls, "unsigned_calls": audit.UnsignedCalls, "snapshot_calls": audit.SnapshotCalls,
			"own_calls": audit.OwnCalls, "persons": audit.Persons, "steps": audit.Steps,
		})
	}
	a.printf("%d entries make the tree of the signed checkpoint\n%d signatures of publishers are right, %d calls are unsigned; %d certificates were issued\n"+
		"%d steps of agreements are signed by both system and official, in order; %d officials proved their keys\n",
		audit.Entries, audit.SignedCalls, audit.UnsignedCalls, audit.Certificates, audit.Steps, audit.Persons)
	t := newTable(a.out, "KIND", "ENTRIES")
	for _, kind := range sortedKeys(audit.Kinds) {
		if err := t.row(kind, itoa(audit.Kinds[kind])); err != nil {
			return err
		}
	}
	return t.flush()
}
