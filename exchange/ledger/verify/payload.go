package verify

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Layout is what a payload commitment needs to know of a contract version.
type Layout struct {
	Contract string
	Version  uint32
	// Fields are the numbers of the top-level fields, ascending.
	Fields []uint32
}

const payloadDomain = "huitong/payload/v1"

// ErrMalformed says that a payload is not a protobuf message.
var ErrMalformed = errors.New("payload is not a protobuf message")

// Commitment gives the payload commitment.
func (l *Layout) Commitment(secret, payload []byte) ([HashSize]byte, error) {
	var room spanRoom
	spans, err := l.split(payload, &room)
	if err != nil {
		return [HashSize]byte{}, err
	}
	root := l.newRoot()
	for i, n := range l.Fields {
		root.add(n, Commit(Field, n, secret, spans[i]))
	}
	return root.sum(), nil
}

// Cut keeps the granted fields of a payload, copied on the wire, with the proof
// that they are part of what was committed to. granted is ascending; a field
// that is not granted is withheld whether it is there or not.
func (l *Layout) Cut(secret, payload []byte, granted []uint32) (cut []byte, proof *ledgerv1.CutProof, err error) {
	var stack spanRoom
	spans, err := l.split(payload, &stack)
	if err != nil {
		return nil, nil, err
	}
	size, kept := 0, 0
	for i, n := range l.Fields {
		if _, ok := slices.BinarySearch(granted, n); ok {
			size += len(spans[i])
			kept++
		}
	}
	cut = make([]byte, 0, size)
	room := make([]byte, 0, kept*SaltSize+(len(l.Fields)-kept)*HashSize)
	proof = &ledgerv1.CutProof{Fields: l.Fields, SaltsOrHashes: make([][]byte, len(l.Fields))}
	for i, n := range l.Fields {
		from := len(room)
		if _, ok := slices.BinarySearch(granted, n); ok {
			cut = append(cut, spans[i]...)
			salt := Salt(Field, n, secret)
			room = append(room, salt[:]...)
		} else {
			hash := Commit(Field, n, secret, spans[i])
			room = append(room, hash[:]...)
		}
		proof.SaltsOrHashes[i] = room[from:len(room):len(room)]
	}
	return cut, proof, nil
}

// CheckCut checks that a cut payload is part of what commitment commits to, and
// gives the numbers of the fields that were withheld.
func CheckCut(contract string, version uint32, cut []byte, proof *ledgerv1.CutProof, commitment []byte) (withheld []uint32, err error) {
	if len(proof.GetFields()) != len(proof.GetSaltsOrHashes()) {
		return nil, errors.New("cut proof: as many salts or hashes as fields are needed")
	}
	l := &Layout{Contract: contract, Version: version, Fields: proof.GetFields()}
	if !slices.IsSorted(l.Fields) {
		return nil, errors.New("cut proof: fields are not in order")
	}
	var room spanRoom
	spans, err := l.split(cut, &room)
	if err != nil {
		return nil, err
	}
	root := l.newRoot()
	for i, n := range l.Fields {
		part := proof.GetSaltsOrHashes()[i]
		switch len(part) {
		case SaltSize:
			root.add(n, CommitWith(Field, n, [SaltSize]byte(part), spans[i]))
		case HashSize:
			if len(spans[i]) != 0 {
				return nil, fmt.Errorf("cut proof: field %d is withheld but present", n)
			}
			withheld = append(withheld, n)
			root.add(n, [HashSize]byte(part))
		default:
			return nil, fmt.Errorf("cut proof: field %d has neither a salt nor a hash", n)
		}
	}
	if sum := root.sum(); !bytes.Equal(sum[:], commitment) {
		return nil, errors.New("the record is not what was committed to")
	}
	return withheld, nil
}

// spanRoom is room on the caller's stack for the fields of most contracts.
type spanRoom [32][]byte

// split gives the wire bytes of each field of the layout, in its order.
func (l *Layout) split(payload []byte, room *spanRoom) ([][]byte, error) {
	spans := room[:]
	if len(l.Fields) > len(spans) {
		spans = make([][]byte, len(l.Fields))
	}
	spans = spans[:len(l.Fields)]
	next, at := 0, 0
	last, lastEnd := -1, -1
	for at < len(payload) {
		number, _, n := protowire.ConsumeField(payload[at:])
		if n < 0 {
			return nil, ErrMalformed
		}
		i := l.find(uint32(number), next)
		if i < 0 {
			return nil, fmt.Errorf("field %d is not part of %s version %d", number, l.Contract, l.Version)
		}
		switch {
		case spans[i] == nil:
			spans[i] = payload[at : at+n : at+n]
		case i == last && lastEnd == at:
			start := at - len(spans[i])
			if bytesAt(payload, start, spans[i]) {
				spans[i] = payload[start : at+n : at+n]
				break
			}
			fallthrough
		default:
			// What is cut from the payload has no room behind it: this copies it.
			spans[i] = append(spans[i], payload[at:at+n]...)
		}
		next, last, lastEnd = i, i, at+n
		at += n
	}
	return spans, nil
}

// bytesAt reports whether part is the very memory at payload[start:].
func bytesAt(payload []byte, start int, part []byte) bool {
	return start >= 0 && len(part) > 0 && &payload[start] == &part[0]
}

func (l *Layout) find(number uint32, from int) int {
	if from < len(l.Fields) && l.Fields[from] == number {
		return from
	}
	if from+1 < len(l.Fields) && l.Fields[from+1] == number {
		return from + 1
	}
	if i, ok := slices.BinarySearch(l.Fields, number); ok {
		return i
	}
	return -1
}

type rootHash struct{ b []byte }

func (l *Layout) newRoot() rootHash {
	b := make([]byte, 0, len(payloadDomain)+2+len(l.Contract)+8+len(l.Fields)*(4+HashSize))
	b = append(b, payloadDomain...)
	b = appendText(b, l.Contract)
	b = binary.BigEndian.AppendUint32(b, l.Version)
	b = binary.BigEndian.AppendUint32(b, uint32(len(l.Fields)))
	return rootHash{b}
}

func (r *rootHash) add(number uint32, hash [HashSize]byte) {
	r.b = binary.BigEndian.AppendUint32(r.b, number)
	r.b = append(r.b, hash[:]...)
}

func (r *rootHash) sum() [HashSize]byte { return sha256.Sum256(r.b) }
