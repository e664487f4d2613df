package node

import (
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/huitong-bus/huitong/exchange/intake"
)

// Defaults of Config.
const (
	DefaultListen = "127.0.0.1:7443"
	// stopWithin bounds an ordered stop.
	stopWithin = 15 * time.Second
)

// Config is what a node is made of. The zero value of everything but Dir is the
// default.
type Config struct {
	// Dir is the data directory that Init made.
	Dir string
	// Database is the URL of the database; DefaultDatabase(Dir) if empty.
	Database string
	// NATS is the URL of an external NATS; an embedded server if empty.
	NATS string
	// Replicas of each stream in an external NATS.
	Replicas int
	// Listen is the address to serve on.
	Listen string
	// Erasures is a list of erasures that was kept elsewhere, to be made good after
	// a restore; the data directory's own is always looked at.
	Erasures string
	// Instance names this process among those that share the database; made of
	// the host's name if empty.
	Instance string
	// Retention is how long JetStream keeps records; older ones are read from
	// the journal.
	Retention time.Duration
	// StreamBytes is how much JetStream keeps of a partition; 0 for the bus's own
	// choice.
	StreamBytes int64
	// MaxRecordBytes, MaxCallBytes and MaxCallRecords bound what is published.
	MaxRecordBytes int
	MaxCallBytes   int
	MaxCallRecords int
	// DocumentKeep is how long an unfinished upload is kept, DocumentUnfinished how
	// many bytes of these a participant may have under way; DocumentUnnamed is how
	// long a document is kept that no publication names.
	DocumentKeep       time.Duration
	DocumentUnnamed    time.Duration
	DocumentUnfinished int64
	// Hosts are further names and addresses that the server's certificate names.
	Hosts []string
	// Clock tells the time; time.Now if nil.
	Clock func() time.Time
	Log   *slog.Logger
}

// DefaultDatabase is the embedded database of a data directory.
func DefaultDatabase(dir string) string { return "sqlite:" + filepath.Join(dir, "db") }

// embedded says whether a database is for one process alone.
func embedded(database string) bool { return strings.HasPrefix(database, "sqlite:") }

func (c *Config) fillIn() {
	if c.Database == "" {
		c.Database = DefaultDatabase(c.Dir)
	}
	if c.Listen == "" {
		c.Listen = DefaultListen
	}
	if c.Instance == "" && !embedded(c.Database) {
		c.Instance = instanceName()
	}
	if c.MaxRecordBytes == 0 {
		c.MaxRecordBytes = intake.DefaultMaxRecordBytes
	}
	if c.MaxCallBytes == 0 {
		c.MaxCallBytes = intake.DefaultMaxCallBytes
	}
	if c.MaxCallRecords == 0 {
		c.MaxCallRecords = intake.DefaultMaxRecords
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}

// instanceName is new for each process: a lease that a dead process left is not
// taken for this one's.
func instanceName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "exchange"
	}
	unique := make([]byte, 6)
	// crypto/rand does not fail (Go 1.24 and later end the process instead).
	_, _ = rand.Read(unique)
	return host + "-" + hex.EncodeToString(unique)
}
