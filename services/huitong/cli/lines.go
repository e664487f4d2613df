package cli

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
)

// maxLine bounds one line. The exchange bounds a record at 256 KiB of protobuf,
// which is no more than a few times that as JSON.
const maxLine = 4 << 20

// line is one line of a file.
type line struct {
	number int64 // from 1
	raw    []byte
	// long says that the line is longer than maxLine; raw holds its beginning.
	long bool
	// end is where the file stands after the line; only on every so many lines.
	end *mark
}

// mark is a place in a file, with the digest of everything before it.
type mark struct {
	line, offset int64
	digest       []byte
}

// lineReader reads lines in bounded memory, and knows where it stands: how many
// lines, how many bytes, and the digest of everything read.
type lineReader struct {
	in    *bufio.Reader
	limit int
	// every is on which lines their end is marked; on none if 0.
	every  int64
	number int64
	offset int64
	digest hash.Hash
}

func newLineReader(in io.Reader, limit int) *lineReader {
	return &lineReader{in: bufio.NewReaderSize(in, 64<<10), limit: limit, digest: sha256.New()}
}

// next gives the next line that is not empty, without its end; io.EOF after the
// last. The line is the caller's.
func (r *lineReader) next() (*line, error) {
	for {
		l, err := r.read()
		if err != nil {
			return nil, err
		}
		if l.number == 1 {
			l.raw = bytes.TrimPrefix(l.raw, []byte("\xef\xbb\xbf"))
		}
		if l.raw = bytes.TrimSpace(l.raw); l.long || len(l.raw) > 0 {
			return l, nil
		}
	}
}

func (r *lineReader) read() (*line, error) {
	l := &line{number: r.number + 1}
	for {
		part, err := r.in.ReadSlice('\n')
		r.offset += int64(len(part))
		_, _ = r.digest.Write(part)
		room := r.limit - len(l.raw)
		l.raw = append(l.raw, part[:min(len(part), room)]...)
		// The end of the line itself may go over the limit.
		l.long = l.long || len(bytes.TrimRight(part, "\r\n")) > room
		switch {
		case err == nil, errors.Is(err, io.EOF) && (len(l.raw) > 0 || l.long):
			r.number++
			if r.every > 0 && r.number%r.every == 0 {
				l.end = r.mark()
			}
			return l, nil
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		}
		return nil, err
	}
}

// mark gives where the reader stands.
func (r *lineReader) mark() *mark { return &mark{r.number, r.offset, r.digest.Sum(nil)} }

// skip reads over what was published before. It gives false where the input does
// not begin with that; the input is then used up to some point, and the caller
// opens it anew.
func (r *lineReader) skip(to *sourcePosition) (bool, error) {
	n, err := io.CopyN(r.digest, r.in, to.Offset)
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read: %w", err)
	}
	r.number, r.offset = to.Line, n
	return bytes.Equal(r.mark().digest, to.Digest), nil
}
