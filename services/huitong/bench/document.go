package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/huitong-bus/huitong/sdk"
)

// documentSize is that of the largest document there may be.
const documentSize = 100 << 20

// documents is how many go in and out.
const documents = 3

// document measures a large document on its way in and out, beside a plain copy of
// the same file.
func (s *settings) document(ctx context.Context) (*Report, error) {
	r, err := newReport("Document: 100 MiB in and out, by one caller; a record here is one MiB", s.dir)
	if err != nil {
		return nil, err
	}
	in, err := install(ctx, s.dir)
	if err != nil {
		return nil, err
	}
	return r, errors.Join(s.documents(ctx, r, in), in.close())
}

func (s *settings) documents(ctx context.Context, r *Report, in *installation) error {
	c, err := in.connect(ctx, in.hall, 1)
	if err != nil {
		return err
	}
	path := filepath.Join(in.dir, "document")
	if err := writeDocument(path); err != nil {
		return err
	}
	from, err := os.Open(path)
	if err != nil {
		return err
	}
	defer from.Close()
	var stored *sdk.Document
	up, err := moved("in: sealed, stored, read back and entered", func() error {
		if _, err := from.Seek(0, io.SeekStart); err != nil {
			return err
		}
		d, err := c.UploadDocument(ctx, from, sdk.DocumentInfo{MediaType: "application/octet-stream"})
		if err == nil {
			stored = d.Document
		}
		return err
	})
	if err != nil {
		return err
	}
	down, err := moved("out: opened, its SHA-256 checked, thrown away", func() error {
		_, err := c.DownloadDocument(ctx, sdk.DocumentQuery{Document: stored}, io.Discard)
		return err
	})
	if err != nil {
		return err
	}
	copied, err := moved("a copy of the file with fsync", func() error { return copyFile(from, path+"-copy") })
	if err != nil {
		return err
	}
	r.add(up)
	r.add(down)
	r.reference(copied)
	r.compare(up, copied)
	r.compare(down, copied)
	return nil
}

// writeDocument makes a file that no compression makes smaller.
func writeDocument(path string) error {
	content := make([]byte, 1<<20)
	random := rand.NewChaCha8([32]byte{1})
	f, err := os.Create(path)
	for n := 0; err == nil && n < documentSize; n += len(content) {
		_, _ = random.Read(content)
		_, err = f.Write(content)
	}
	return errors.Join(err, f.Close())
}

func copyFile(from io.ReadSeeker, path string) error {
	if _, err := from.Seek(0, io.SeekStart); err != nil {
		return err
	}
	to, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(struct{ io.Writer }{to}, from)
	return errors.Join(err, to.Sync(), to.Close())
}

// moved measures a document that is moved a few times, and how much the process
// grew meanwhile at most.
func moved(name string, move func() error) (Row, error) {
	before := residentMiB()
	var most atomic.Uint64
	watching, stop := context.WithCancel(context.Background())
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				most.Store(max(most.Load(), uint64(residentMiB())))
			case <-watching.Done():
				return
			}
		}
	}()
	m := newMeter()
	var err error
	for n := 0; n < documents && err == nil; n++ {
		began := time.Now()
		err = move()
		m.add(documentSize>>20, time.Since(began))
	}
	row := m.row(name)
	stop()
	<-watched
	row.Note = fmt.Sprintf("%.0f MiB/s; resident memory grew by %.0f MiB at most", row.Rate, max(0, float64(most.Load())-before))
	return row, err
}
