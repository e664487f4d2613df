package cli

import (
	"context"
	"os"
	"path/filepath"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/huitong-bus/huitong/exchange/store"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	"github.com/huitong-bus/huitong/services/huitong/node"
)

// flip changes one byte of a file: flip ledger.bin 5000.
func flip(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	place, err := strconv.Atoi(args[1])
	ts.Check(err)
	raw, err := os.ReadFile(path)
	ts.Check(err)
	raw[place] ^= 1
	ts.Check(os.WriteFile(path, raw, 0o600))
}

// spoil changes the database of a data directory behind the exchange's back: one
// byte of one entry.
func spoil(ts *testscript.TestScript, _ bool, args []string) {
	ctx := context.Background()
	db, err := store.Open(ctx, node.DefaultDatabase(filepath.Clean(ts.MkAbs(args[0]))))
	ts.Check(err)
	err = db.Journal.Update(ctx, func(ctx context.Context, tx store.Tx) error {
		var leaf []byte
		if err := tx.QueryRowContext(ctx, `SELECT leaf FROM ledger WHERE idx = 40`).Scan(&leaf); err != nil {
			return err
		}
		leaf[len(leaf)-1] ^= 1
		_, err := tx.ExecContext(ctx, `UPDATE ledger SET leaf = $1 WHERE idx = 40`, leaf)
		return err
	})
	ts.Check(err)
	ts.Check(db.Close())
}

// split takes what "ledger prove" wrote apart into a C2SP tlog-proof and its leaf,
// as other tools keep them: split entry.json proof.txt leaf.bin.
func split(ts *testscript.TestScript, _ bool, args []string) {
	text, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	e := &ledgerv1.Evidence{}
	ts.Check(protojson.Unmarshal(text, e))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(e.GetProof()), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), e.GetLeaf(), 0o600))
}
