package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/huitong-bus/huitong/exchange/inspect"
	"github.com/huitong-bus/huitong/exchange/store"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/node"
)

// tamper stops the exchange, copies its database, and changes one byte of one
// entry in the copy's file: the publication of an income.
func tamper(ctx context.Context, s *story) error {
	keyring, source := s.exchange.node.Identity.Keyring, filepath.Join(s.exchangeDir(), "db")
	if err := s.end(ctx); err != nil {
		return err
	}
	dir := filepath.Join(s.dir, "copy")
	if err := os.CopyFS(filepath.Join(dir, "db"), os.DirFS(source)); err != nil {
		return err
	}
	check := func() (*inspect.Report, error) {
		db, err := store.Open(ctx, node.DefaultDatabase(dir))
		if err != nil {
			return nil, err
		}
		report, err := inspect.Check(ctx, db, keyring, inspect.CheckOptions{})
		return report, errors.Join(err, db.Close())
	}
	began := time.Now()
	report, err := check()
	if err != nil {
		return err
	}
	if report.Wrong != nil {
		return fmt.Errorf("the copy as it was made: %w", report.Wrong)
	}
	s.tell("the exchange has stopped; a copy of its database is checked row by row in %s: nothing is wrong", short(time.Since(began)))
	file, err := flip(dir, s.doubted.Leaf)
	if err != nil {
		return err
	}
	s.tell("one byte of %s is changed: in entry %s, by which %s published the spouse's income", file, count(s.doubted.Index), sample.HumanResources.Name)
	began = time.Now()
	if report, err = check(); err != nil {
		return err
	}
	if report.Wrong == nil {
		return errors.New("the changed byte was not noticed")
	}
	if w := report.Wrong; w.Table != "ledger" || w.Row != strconv.FormatUint(s.doubted.Index, 10) {
		return fmt.Errorf("entry %d was changed, and the check says: %w", s.doubted.Index, w)
	}
	s.tell("checked again in %s: %v", short(time.Since(began)), report.Wrong)
	return nil
}

// flip changes the lowest bit of the byte in the middle of some bytes, in the
// one file of a directory that has them.
func flip(dir string, wanted []byte) (name string, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || name != "" {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		at := bytes.Index(content, wanted)
		if at < 0 {
			return nil
		}
		name = d.Name()
		content[at+len(wanted)/2] ^= 1
		return os.WriteFile(path, content, 0o600)
	})
	if err == nil && name == "" {
		err = errors.New("the entry is in no file of the database")
	}
	return name, err
}
