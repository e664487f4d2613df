package verify_test

import (
	"bytes"
	"crypto/ed25519"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// secret stands in for the 32 random bytes from which an entry's salts derive.
var secret = bytes.Repeat([]byte{0x07}, verify.SecretSize)

// A leaf hash is SHA-256 over a zero byte and the leaf as stored.
func ExampleLeafHash() {
	fmt.Printf("%x\n", verify.LeafHash([]byte("leaf")))
	fmt.Printf("%x\n", verify.LeafHash(nil))
	// Output:
	// 0d27e27f7827ccd745199e8eb3a6af368e1064af42ae9f83740e98121e2bc025
	// 6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d
}

// The root over three leaves: the first two are hashed together, then with the
// third.
func ExampleRoot() {
	a, b, c := verify.LeafHash([]byte("a")), verify.LeafHash([]byte("b")), verify.LeafHash([]byte("c"))
	root := verify.Root([][verify.HashSize]byte{a, b, c})
	fmt.Println(root == verify.NodeHash(verify.NodeHash(a, b), c))
	fmt.Printf("%x\n", root)
	// Output:
	// true
	// 36642e73c2540ab121e3a6bf9545b0a24982cd830eb13d3cd19de3ce6c021ec1
}

// The salt of field 3, and the commitment to its wire bytes: tag, length and
// "王芳".
func ExampleCommit() {
	value := protowire.AppendString(protowire.AppendTag(nil, 3, protowire.BytesType), "王芳")
	fmt.Printf("value      %x\n", value)
	fmt.Printf("salt       %x\n", verify.Salt(verify.Field, 3, secret))
	fmt.Printf("commitment %x\n", verify.Commit(verify.Field, 3, secret, value))
	// Output:
	// value      1a06e78e8be88ab3
	// salt       dd24d0cb10d823f426828722de54e826
	// commitment 2e356909782951df0edaf7f3b94b436fbb2d1708f6c2ee6c7b135977d55c6101
}

// A subject is committed to by type, number and role, each with its length
// before it.
func ExampleCommitSubject() {
	s := &ledgerv1.Subject{Type: "111", Number: "999999199001010016", Role: "holder"}
	fmt.Printf("%x\n", verify.CommitSubject(verify.Subject, 0, secret, s))
	// Output:
	// 7806b28467b2609478cb2f767054671f76bc5e425ea8a88c1339ffb07c5e5571
}

// A record with two fields, cut to the first: the salt of what is granted and
// the hash of what is not give the same commitment again.
func ExampleLayout_Cut() {
	layout := verify.Layout{Contract: "example.v1.Person", Version: 1, Fields: []uint32{1, 2, 9}}
	payload := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "王芳")
	payload = protowire.AppendVarint(protowire.AppendTag(payload, 2, protowire.VarintType), 42)
	commitment, err := layout.Commitment(secret, payload)
	if err != nil {
		fmt.Println(err)
		return
	}
	cut, proof, err := layout.Cut(secret, payload, []uint32{1})
	if err != nil {
		fmt.Println(err)
		return
	}
	withheld, err := verify.CheckCut(layout.Contract, layout.Version, cut, proof, commitment[:])
	fmt.Printf("commitment %x\n", commitment)
	fmt.Printf("cut        %x\n", cut)
	fmt.Println("withheld  ", withheld, err)
	// Output:
	// commitment ea26ff7b793c10615923ec1a71d4697d2f644896dfa0b37141c76524e3df3fd5
	// cut        0a06e78e8be88ab3
	// withheld   [2 9] <nil>
}

// What a publisher states of a record, and what it signs for a call of one.
func ExampleStatement() {
	s := verify.Statement{
		IdempotencyKey:    bytes.Repeat([]byte{0x01}, verify.KeySize),
		Topic:             "marriage",
		Operation:         ledgerv1.Operation_OPERATION_PUT,
		PayloadCommitment: bytes.Repeat([]byte{0x02}, verify.HashSize),
	}
	h := s.LeafHash()
	call := verify.CallStatement("11999900MB00000353/registry", [][verify.HashSize]byte{h})
	fmt.Printf("statement %x\n", h)
	fmt.Printf("call      %x\n", call)
	// Output:
	// statement f7f2edbe99e45d585d331e4abe3584efff475d6a84dd8488cef5e0ce6ca07e15
	// call      687569746f6e672f63616c6c2f7631001b31313939393930304d4230303030303335332f726567697374727900000001f7f2edbe99e45d585d331e4abe3584efff475d6a84dd8488cef5e0ce6ca07e15
}

// What a receiver signs for one delivery.
func ExampleAckStatement() {
	detail := verify.LeafHash([]byte("detail"))
	statement, err := verify.AckStatement("11999900MB00000353/hall/marriages", []uint64{7}, [][]byte{detail[:]})
	fmt.Printf("%x %v\n", statement, err)
	// Output:
	// 687569746f6e672f61636b2f7631002131313939393930304d4230303030303335332f68616c6c2f6d61727269616765730000000100000000000000078bd7ba2cb789dc7aee09b4877f6c0d81ce99be5660d8b7bafeda1c8ef62aafc0 <nil>
}

// Both sides of a signature.
func ExampleCheckSignature() {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{0x05}, ed25519.SeedSize))
	signature, err := verify.Sign(key, []byte("statement"))
	fmt.Println(err)
	fmt.Println(verify.CheckSignature(key.Public(), []byte("statement"), signature))
	fmt.Println(verify.CheckSignature(key.Public(), []byte("another"), signature))
	// Output:
	// <nil>
	// <nil>
	// the signature is not by this key over this statement
}

// The text of a checkpoint, before it is signed.
func ExampleCheckpoint_Text() {
	c := verify.Checkpoint{Origin: "huitong/11999900MB0000019D/0011223344556677", Size: 3, Root: verify.LeafHash(nil)}
	fmt.Print(c.Text())
	// Output:
	// huitong/11999900MB0000019D/0011223344556677
	// 3
	// bjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0=
}
