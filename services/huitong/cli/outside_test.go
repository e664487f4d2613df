package cli

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// outside makes an outside CA and what it issued: its certificate, the server's,
// and one for each name=participant/system.
func outside(ts *testscript.TestScript, _ bool, args []string) {
	key := newTestKey(ts)
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "City CA"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
	}
	issue := func(path string, c, by *x509.Certificate, k crypto.Signer) {
		der, err := x509.CreateCertificate(rand.Reader, c, by, k.Public(), key)
		ts.Check(err)
		writePEM(ts, path, "CERTIFICATE", der)
	}
	issue(args[0], ca, ca, key)
	for i, arg := range args[1:] {
		name, system, isSystem := strings.Cut(arg, "=")
		k := newTestKey(ts)
		der, err := x509.MarshalPKCS8PrivateKey(k)
		ts.Check(err)
		writePEM(ts, name+".key", "PRIVATE KEY", der)
		c := &x509.Certificate{
			SerialNumber: big.NewInt(int64(i) + 2), Subject: pkix.Name{CommonName: name}, KeyUsage: x509.KeyUsageDigitalSignature,
			NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		}
		if isSystem {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
			c.URIs = []*url.URL{{Scheme: "huitong", Host: system[:strings.Index(system, "/")], Path: system[strings.Index(system, "/"):]}}
		} else {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
			c.DNSNames, c.IPAddresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)}
		}
		issue(name+".pem", c, ca, k)
	}
}

func newTestKey(ts *testscript.TestScript) *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	return k
}

func writePEM(ts *testscript.TestScript, path, kind string, der []byte) {
	ts.Check(os.WriteFile(ts.MkAbs(path), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}
