package demo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments"
	"github.com/huitong-bus/huitong/services/departments/sample"
)

// audit exports the ledger and checks it from the export alone: the tree against
// the signed checkpoint, and each publisher's signature.
func audit(ctx context.Context, s *story) error {
	if err := followCase(ctx, s); err != nil {
		return err
	}
	path := filepath.Join(s.dir, "ledger.export")
	checkpoint, err := export(ctx, s.systems.auditor, path)
	if err != nil {
		return err
	}
	began := time.Now()
	found, size, err := checkOffline(path, checkpoint.Signed, s.systems.auditor.LedgerKey())
	if err != nil {
		return err
	}
	took := time.Since(began)
	if found.UnsignedCalls > 0 || found.Entries != checkpoint.Size {
		return fmt.Errorf("%d calls are unsigned; %d of %d entries were checked", found.UnsignedCalls, found.Entries, checkpoint.Size)
	}
	s.tell("%s exports %s entries, %d KiB, with the signed checkpoint", sample.Audit.Name, count(found.Entries), size>>10)
	s.tell("checked without the exchange in %s: %s entries in one tree, %s calls signed by the certificates the ledger names",
		short(took), count(found.Entries), count(found.SignedCalls))
	s.tell("published %s, released %s, received %s, queried %s, refused %s, catalogue and permissions %s, certificates %s",
		count(found.Kinds["published"]), count(found.Kinds["released"]), count(found.Kinds["received"]), count(found.Kinds["queried"]),
		count(found.Kinds["refused"]), count(found.Kinds["changed"]), count(found.Kinds["certificate"]))
	return meetRefusal(s, path, checkpoint.Signed)
}

func export(ctx context.Context, auditor *sdk.Client, path string) (checkpoint *sdk.Checkpoint, err error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return auditor.Export(ctx, f)
}

func checkOffline(path, checkpoint, key string) (found *sdk.Audit, size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	found, err = sdk.AuditExport(bufio.NewReader(f), checkpoint, key)
	return found, info.Size(), err
}

// meetRefusal finds the refused query among the exported entries.
func meetRefusal(s *story, path, checkpoint string) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var met *ledgerv1.LedgerEntry
	_, err = sdk.VerifyExport(f, checkpoint, s.systems.auditor.LedgerKey(), func(e *ledgerv1.LedgerEntry) error {
		if r := e.GetRefused(); r != nil && r.GetRule() == withoutGrant && e.GetActor() == s.systems.stranger.System() {
			met = e
		}
		return nil
	})
	if err != nil {
		return err
	}
	if met == nil || met.GetRefused().GetTopic() != departments.Incomes {
		return errors.New("the refusal is not in the ledger")
	}
	s.tell("entry %s: %s asked for %s, refused by %s", count(met.GetIndex()), met.GetActor(), met.GetRefused().GetTopic(), met.GetRefused().GetRule())
	return nil
}

// followCase lists what the ledger has of the case.
func followCase(ctx context.Context, s *story) error {
	answer, err := ledgerv1.NewLedgerServiceClient(s.systems.auditor.Conn()).ListEntries(ctx, &ledgerv1.ListEntriesRequest{
		Filter: &ledgerv1.EntryFilter{CaseNumber: caseNumber},
	})
	if err != nil {
		return err
	}
	if answer.Entries[0].GetEntry().GetCaseOpened() == nil {
		return errors.New("the case's first entry is not its opening")
	}
	queries, copies, checks, means := 0, 0, 0, 0
	for _, e := range answer.Entries[1:] {
		switch {
		case e.GetEntry().GetChecked() != nil:
			checks++
			continue
		case e.GetEntry().GetQueried() == nil:
			continue // a refusal
		}
		if at := e.GetEntry().GetIndex(); at >= s.meansFrom && at < s.meansUntil {
			means++
			continue
		}
		if queries++; e.GetEntry().GetQueried().GetMaterial() != "" {
			queries, copies = queries-1, copies+1
		}
		if q := e.GetEntry().GetQueried(); q.GetConsumer() != s.systems.hall.System() || q.GetPurpose() != departments.HardshipSubsidy {
			return fmt.Errorf("entry %d is not a read of the hall for the case", e.GetEntry().GetIndex())
		}
	}
	// One query a material, the spouse's income, the household that is disputed, and
	// the certificate after its revocation; one check of each adult.
	if queries != len(materials)+3 || copies != 5 || checks != 3 || means == 0 {
		return fmt.Errorf("the ledger has %d queries, %d copies and %d checks for the case", queries, copies, checks)
	}
	s.tell("case %s: opened, then %d queries, %d copies collected and %d checks, all by %s for %s",
		caseNumber, queries, copies, checks, s.systems.hall.System(), departments.HardshipSubsidy)
	return nil
}
