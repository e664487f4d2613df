package consent

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// Whatever bytes come as a consent are refused as such, or make sense.
func FuzzArtefact(f *testing.F) {
	good, err := proto.Marshal(&accessv1.Consent{
		Nonce: make([]byte, nonceSize), LedgerOrigin: "ledger", Subject: &ledgerv1.Subject{Type: "111", Number: "999999199001010016"},
		Topics: []*accessv1.ConsentedTopic{{Topic: "incomes", Fields: []string{"name"}}}, Recipient: "11999900MB00000353",
		ServiceItems: []string{"000711004000"}, ValidFrom: "2026-01-01", ValidUntil: "2026-12-31",
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte{0x1a, 0x00})
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, err := parseArtefact(raw)
		if err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Fatalf("refused otherwise than as invalid: %v", err)
			}
			return
		}
		if a.until < a.from || len(a.Topics) == 0 || len(a.ServiceItems) == 0 || len(a.Nonce) != nonceSize {
			t.Fatalf("%v was taken", a.Consent)
		}
	})
}

// No bytes are taken for a token of a provider but those that it signed.
func FuzzToken(f *testing.F) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	p := &provider{
		message: &accessv1.IdentityProvider{SubjectType: "111"},
		keys:    jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k1"}}},
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: other, KeyID: "k1"}}, nil)
	if err != nil {
		f.Fatal(err)
	}
	signed, err := signer.Sign([]byte(`{"iss":"i","aud":["ledger"],"sub":"999999199001010016","exp":4000000000,"cnf":{"jwk":{}}}`))
	if err != nil {
		f.Fatal(err)
	}
	forged, err := signed.CompactSerialize()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(forged)
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, raw string) {
		token, _, err := parseToken(raw)
		if err == nil {
			_, err = openToken(token, p, "ledger", time.Unix(1, 0))
		}
		if kind := fault.KindOf(err); err == nil || kind != fault.Denied && kind != fault.Invalid {
			t.Fatalf("%v", err)
		}
		if err := checkJWS(raw, []byte("bytes"), &p.keys.Keys[0], typeConsent); err == nil {
			t.Fatal("a signature was taken that nobody made")
		}
	})
}
