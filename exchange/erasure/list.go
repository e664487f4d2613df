// Package erasure keeps erasures in force when a database is restored from a
// backup that is older than they are.
//
// Each erasure is a line of a file beside the keyring: topic, the record's token,
// the entry, the time. The file only grows and is on disk before its position
// moves. Where the exchange is opened, what the file has and the database does not
// show as erased is erased again, by entries of the exchange itself, before
// anybody is served. A token names no record to who has not the keyring.
package erasure

import (
	"bufio"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// FileName is the list's name in the data directory.
const FileName = "erasures.jsonl"

// Line is one erasure.
type Line struct {
	// List is on the first line alone: the name of the list.
	List string `json:"list,omitempty"`
	// Origin is the ledger's.
	Origin string `json:"origin,omitempty"`
	Topic  string `json:"topic,omitempty"`
	// Record is the record's token, in hexadecimal.
	Record string `json:"record,omitempty"`
	// Entry is the publication that asked for the erasure.
	Entry uint64    `json:"entry,omitempty"`
	At    time.Time `json:"at,omitzero"`
}

// file is an open list.
type file struct {
	f     *os.File
	name  string
	lines []Line
	has   map[Line]bool
}

// Read reads the list of a data directory; none is an empty one.
func Read(path string) ([]Line, error) {
	in, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer in.Close()
	lines, _, err := parse(in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return lines, nil
}

// parse reads lines and how many bytes whole lines take: a crash may have left
// the last in part.
func parse(in io.Reader) (lines []Line, whole int64, err error) {
	r := bufio.NewReader(in)
	for n := 1; ; n++ {
		raw, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return lines, whole, nil
		}
		if err != nil {
			return nil, 0, err
		}
		var l Line
		if err := json.Unmarshal(raw, &l); err != nil {
			return nil, 0, fmt.Errorf("line %d is no erasure", n)
		}
		lines, whole = append(lines, l), whole+int64(len(raw))
	}
}

// open opens a directory's list, and makes it if there is none.
func open(dir string) (*file, error) {
	f, err := os.OpenFile(filepath.Join(dir, FileName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	l := &file{f: f, has: map[Line]bool{}}
	lines, whole, err := parse(f)
	if err == nil {
		err = f.Truncate(whole)
	}
	if err == nil {
		_, err = f.Seek(whole, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", f.Name(), err), f.Close())
	}
	for _, one := range lines {
		l.take(one)
	}
	if l.name == "" {
		name := make([]byte, 16)
		_, _ = rand.Read(name) // never fails, by its documentation
		if err := l.add(Line{List: hex.EncodeToString(name)}); err != nil {
			return nil, errors.Join(err, f.Close())
		}
		err = syncDir(dir)
	}
	return l, err
}

func (l *file) take(one Line) {
	if one.List != "" {
		if l.name == "" {
			l.name = one.List
		}
		return
	}
	l.lines, l.has[one.key()] = append(l.lines, one), true
}

// key is the line without its time.
func (l Line) key() Line { l.At = time.Time{}; return l }

// add appends lines that are not there yet, and returns when they are on disk.
func (l *file) add(lines ...Line) error {
	var text []byte
	var fresh []Line
	for _, one := range lines {
		if l.has[one.key()] || one.List != "" && l.name != "" {
			continue
		}
		raw, err := json.Marshal(one)
		if err != nil {
			return err
		}
		text, fresh = append(append(text, raw...), '\n'), append(fresh, one)
	}
	if len(text) == 0 {
		return nil
	}
	if _, err := l.f.Write(text); err != nil {
		return err
	}
	if err := l.f.Sync(); err != nil {
		return err
	}
	for _, one := range fresh {
		l.take(one)
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
