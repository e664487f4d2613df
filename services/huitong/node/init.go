package node

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	"github.com/huitong-bus/huitong/exchange/store"
)

// InitOptions is what a new exchange is made from.
type InitOptions struct {
	Dir string
	// Database is the URL of an empty database; DefaultDatabase(Dir) if empty.
	Database string
	// Partitions is how many streams the topics are dealt into, fixed for good;
	// 1 if 0.
	Partitions int
	Identity   identity.Options
	// ParticipantName, Region and OperatorTitle describe the data authority.
	ParticipantName string
	Region          string
	OperatorTitle   string
}

// pending stands in a data directory whose Init was begun and not finished.
const pending = "init.pending"

// Init makes a new exchange: keys and certificates in the data directory, the
// ledger and the founding catalogue in the database. An Init that was cut off is
// finished by the next; a directory that holds an exchange is refused.
func Init(ctx context.Context, o InitOptions) (*identity.Directory, error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	mark := filepath.Join(o.Dir, pending)
	resumed := Unfinished(o.Dir)
	d, err := identity.Load(o.Dir)
	if err != nil || !resumed {
		if err := writeMark(mark); err != nil {
			return nil, err
		}
		if d, err = identity.Init(o.Dir, o.Identity); err != nil {
			return nil, errors.Join(err, os.Remove(mark))
		}
	}
	if err := found(ctx, d, &o); err != nil {
		return nil, err
	}
	return d, os.Remove(mark)
}

// Unfinished says whether a directory's Init was begun and cut off.
func Unfinished(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, pending))
	return err == nil
}

func writeMark(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// found makes ledger and catalogue. What is there already is left as it is.
func found(ctx context.Context, d *identity.Directory, o *InitOptions) (err error) {
	database := o.Database
	if database == "" {
		database = DefaultDatabase(o.Dir)
	}
	db, err := store.Open(ctx, database)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	config := journal.Config{DB: db, Sealer: d.Keyring, Signer: d.Keyring.Signer()}
	j, err := journal.Open(ctx, config)
	if errors.Is(err, journal.ErrEmpty) {
		if err := journal.Create(ctx, db, d.Keyring.Signer(), max(o.Partitions, 1)); err != nil {
			return err
		}
		j, err = journal.Open(ctx, config)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.Close(ctx)) }()
	c, err := catalog.Open(ctx, catalog.Config{DB: db, Journal: j, Authority: d.Authority, Keyring: d.Keyring})
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Found(ctx, catalog.Founding{
		ParticipantName: o.ParticipantName, Region: o.Region, Operator: d.Operator,
		OperatorTitle: o.OperatorTitle, Certificate: d.OperatorCertificate,
	})
	return err
}
