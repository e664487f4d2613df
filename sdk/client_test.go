package sdk_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/sdk"
)

func TestConnectSaysWhatIsMissing(t *testing.T) {
	for field, cfg := range map[string]sdk.Config{
		"Address":  {},
		"CertFile": {Address: "localhost:1"},
		"CAFile":   {Address: "localhost:1", CertFile: "a", KeyFile: "b"},
	} {
		_, err := sdk.Connect(context.Background(), cfg)
		var f *fault.Error
		if !errors.As(err, &f) || f.Kind != fault.Invalid || f.Violations[0].Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestKeyStaysPrivateAndIsNotReplaced(t *testing.T) {
	k, err := sdk.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "system.key")
	if err := k.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode is %v", info.Mode())
	}
	if err := k.WriteFile(path); !errors.Is(err, os.ErrExist) {
		t.Errorf("a second write: %v", err)
	}
}

func TestCertificateRequestIsSignedByItsKey(t *testing.T) {
	key, request, err := sdk.NewCertificateRequest("11999900MB0000019D", "register")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(key, []byte("-----BEGIN PRIVATE KEY-----")) {
		t.Error("the key is not PKCS #8 PEM")
	}
	block, _ := pem.Decode(request)
	parsed, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if err := parsed.CheckSignature(); err != nil {
		t.Error(err)
	}
	if public, ok := parsed.PublicKey.(*ecdsa.PublicKey); !ok || public.Curve != elliptic.P256() {
		t.Errorf("the key is %T", parsed.PublicKey)
	}
	if parsed.Subject.CommonName != "11999900MB0000019D/register" {
		t.Errorf("asks for %q", parsed.Subject.CommonName)
	}
}
