package identity_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io/fs"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
)

var operator = identity.Name{Participant: "11999900MB0000019D", System: "console"}

func newDirectory(t testing.TB, change ...func(*identity.Options)) *identity.Directory {
	t.Helper()
	o := identity.Options{Operator: operator}
	for _, c := range change {
		c(&o)
	}
	d, err := identity.Init(filepath.Join(t.TempDir(), "data"), o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestInitAndLoad(t *testing.T) {
	d := newDirectory(t, func(o *identity.Options) { o.Hosts = []string{"exchange.example", "10.1.2.3"} })
	again, err := identity.Load(d.Path)
	if err != nil {
		t.Fatal(err)
	}
	if again.Keyring.VerifierKey() != d.Keyring.VerifierKey() || again.Operator != operator || !again.Authority.Issues() {
		t.Errorf("loaded %+v", again)
	}
	if _, err := identity.Init(d.Path, identity.Options{Operator: operator}); fault.RuleOf(err) != "directory.exists" {
		t.Errorf("a second init gave %v", err)
	}
	if _, err := identity.Load(t.TempDir()); fault.RuleOf(err) != "directory.empty" {
		t.Errorf("an empty directory gave %v", err)
	}
	err = filepath.WalkDir(d.Path, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil && (strings.HasSuffix(path, ".key") || strings.HasSuffix(path, "keyring.json")) && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := again.ServerTLS().GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"localhost", "127.0.0.1", "exchange.example", "10.1.2.3"} {
		if _, err := c.Leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: again.Authority.Pool()}); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
}

func TestAnInitThatWasCutOffIsMadeAnew(t *testing.T) {
	d := newDirectory(t)
	if err := os.Remove(filepath.Join(d.Path, "keyring.json")); err != nil {
		t.Fatal(err)
	}
	again, err := identity.Init(d.Path, identity.Options{Operator: operator})
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Authority.Verify(again.OperatorCertificate, nil, time.Now()); err != nil {
		t.Error(err)
	}
}

func TestServerCertificateIsMadeAnewInTime(t *testing.T) {
	now := time.Now()
	d := newDirectory(t, func(o *identity.Options) { o.Clock = func() time.Time { return now } })
	get := d.ServerTLS().GetCertificate
	first, err := get(nil)
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(24 * time.Hour)
	if same, err := get(nil); err != nil || same != first {
		t.Errorf("made anew after a day: %v", err)
	}
	now = now.Add(70 * 24 * time.Hour)
	if next, err := get(nil); err != nil || next == first {
		t.Errorf("not made anew: %v", err)
	}
}

func TestSealing(t *testing.T) {
	d := newDirectory(t)
	sealed, err := d.Keyring.Seal([]byte("plain"), []byte("here"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Keyring.Open(sealed, []byte("elsewhere")); err == nil {
		t.Error("it opens elsewhere")
	}
	if err := d.RotateSealing(); err != nil {
		t.Fatal(err)
	}
	again, err := identity.Load(d.Path)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []*identity.Keyring{d.Keyring, again.Keyring} {
		if plain, err := k.Open(sealed, []byte("here")); err != nil || string(plain) != "plain" {
			t.Errorf("after rotation: %q, %v", plain, err)
		}
	}
	next, err := again.Keyring.Seal([]byte("plain"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(next[:5], sealed[:5]) {
		t.Error("the new seal is by the old key")
	}
}

func TestTokens(t *testing.T) {
	k := newDirectory(t).Keyring
	token := k.Token(identity.TokenSubject, "111", "999999199001010016")
	if len(token) != identity.TokenSize || token[0] != 1 {
		t.Errorf("token %x", token)
	}
	for _, other := range [][]byte{
		k.Token(identity.TokenRecord, "111", "999999199001010016"),
		k.Token(identity.TokenSubject, "1119", "99999199001010016"),
		k.Token(identity.TokenSubject, "111", "999999199001010016", ""),
		newDirectory(t).Keyring.Token(identity.TokenSubject, "111", "999999199001010016"),
	} {
		if bytes.Equal(token, other) {
			t.Error("two values have one token")
		}
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				if !bytes.Equal(token, k.Token(identity.TokenSubject, "111", "999999199001010016")) {
					t.Error("tokens of one value differ")
				}
			}
		})
	}
	wg.Wait()
}

func TestCheckpointKey(t *testing.T) {
	k := newDirectory(t, func(o *identity.Options) { o.Origin = "example/log" }).Keyring
	signed, err := note.Sign(&note.Note{Text: "example/log\n0\n\n"}, k.Signer())
	if err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(k.VerifierKey())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := note.Open(signed, note.VerifierList(v)); err != nil || k.Origin() != "example/log" {
		t.Errorf("%q: %v", k.Origin(), err)
	}
}

func keys(t testing.TB) map[string]crypto.Signer {
	t.Helper()
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must(t, err)
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	must(t, err)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	old, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	return map[string]crypto.Signer{"P-256": p256, "P-384": p384, "P-521": p521, "Ed25519": ed, "RSA": old}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestRequestsOfAllKeys(t *testing.T) {
	d := newDirectory(t)
	name := identity.Name{Participant: operator.Participant, System: "relief"}
	for kind, key := range keys(t) {
		request, err := identity.NewRequest(name, key)
		must(t, err)
		public, err := identity.ParseRequest(request)
		if kind == "P-521" || kind == "RSA" {
			if fault.RuleOf(err) != "key.algorithm" {
				t.Errorf("%s: %v", kind, err)
			}
			continue
		}
		must(t, err)
		c, err := d.Authority.Issue(name, public, 0, time.Now())
		must(t, err)
		must(t, d.Authority.Verify(c, nil, time.Now()))
		if got, err := identity.NameOf(c); err != nil || got != name {
			t.Errorf("%s: named %v, %v", kind, got, err)
		}
		if err := d.Authority.Verify(c, nil, time.Now().Add(366*24*time.Hour)); fault.RuleOf(err) != "certificate.expired" {
			t.Errorf("%s: a year later %v", kind, err)
		}
		if err := newDirectory(t).Authority.Verify(c, nil, time.Now()); fault.RuleOf(err) != "certificate.foreign" {
			t.Errorf("%s: elsewhere %v", kind, err)
		}
	}
	_, err := d.Authority.Issue(name, keys(t)["P-256"].Public(), 826, time.Now())
	if fault.RuleOf(err) != "certificate.days" {
		t.Errorf("826 days: %v", err)
	}
}

// What a request asks for beside its key is passed over: names, CA rights.
func TestOnlyTheKeyIsTakenFromARequest(t *testing.T) {
	d := newDirectory(t)
	key := keys(t)["P-256"]
	evil, err := url.Parse("huitong://" + operator.Participant + "/console")
	must(t, err)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: operator.String()}, URIs: []*url.URL{evil}, DNSNames: []string{"localhost"},
		ExtraExtensions: []pkix.Extension{{Id: []int{2, 5, 29, 19}, Critical: true, Value: []byte{0x30, 3, 1, 1, 0xff}}},
	}, key)
	must(t, err)
	public, err := identity.ParseRequest(der)
	must(t, err)
	name := identity.Name{Participant: "11999900MB00000278", System: "relief"}
	c, err := d.Authority.Issue(name, public, 1, time.Now())
	must(t, err)
	if c.IsCA || len(c.URIs) != 1 || c.URIs[0].String() != name.URI().String() || len(c.DNSNames) != 0 || c.Subject.CommonName != name.String() {
		t.Errorf("issued %v %v %v", c.Subject, c.URIs, c.DNSNames)
	}
	der[len(der)-1] ^= 1
	if _, err := identity.ParseRequest(der); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a wrong signature gave %v", err)
	}
}

func TestNames(t *testing.T) {
	for text, good := range map[string]bool{
		"huitong://11999900MB0000019D/console":       true,
		"huitong://11999900MB0000019D/a-b_9":         true,
		"huitong://11999900MB0000019E/console":       false,
		"huitong://11999900MB0000019D/Console":       false,
		"huitong://11999900MB0000019D/":              false,
		"huitong://11999900MB0000019D/a/b":           false,
		"huitong://11999900MB0000019D:1/console":     false,
		"huitong://u@11999900MB0000019D/console":     false,
		"huitong://11999900MB0000019D/console?x":     false,
		"huitong://11999900MB0000019D/console#x":     false,
		"huitong://11999900MB0000019D/%63onsole":     false,
		"http://11999900MB0000019D/console":          false,
		"huitong:11999900MB0000019D/console":         false,
		"huitong://11999900mb0000019d/console":       false,
		"huitong://11999900MB0000019D//console":      false,
		"huitong://11999900MB0000019D/console/":      false,
		"huitong://11999900MB0000019D/consol\u00e9":  false,
		"huitong://11999900MB0000019D/" + long(64):   false,
		"huitong://11999900MB0000019D/console?":      false,
		"huitong://11999900MB0000019D/../console":    false,
		"huitong://11999900MB0000019D/console%00":    false,
		"huitong://11999900MB0000019D/console%2fa":   false,
		"huitong://11999900MB0000019D/console;a=b":   false,
		"huitong://[11999900MB0000019D]/console":     false,
		"huitong://11999900MB0000019D.local/console": false,
	} {
		u, err := url.Parse(text)
		if err != nil {
			if good {
				t.Errorf("%q: %v", text, err)
			}
			continue
		}
		if n, err := identity.ParseURI(u); (err == nil) != good {
			t.Errorf("%q gave %v, %v", text, n, err)
		}
	}
}

func long(n int) string { return strings.Repeat("a", n) }

// outside is a CA of its own, with an intermediate.
type outside struct {
	bundle []byte
	issue  func(name string, usage x509.ExtKeyUsage, uri *url.URL) (certificate, key []byte)
}

func newOutside(t *testing.T) *outside {
	t.Helper()
	k := keys(t)
	template := func(cn string, serial int64) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: cn},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		}
	}
	rootTemplate, middleTemplate := template("outside root", 1), template("outside issuing", 2)
	for _, c := range []*x509.Certificate{rootTemplate, middleTemplate} {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	}
	sign := func(c, parent *x509.Certificate, public crypto.PublicKey, by crypto.Signer) *x509.Certificate {
		der, err := x509.CreateCertificate(rand.Reader, c, parent, public, by)
		must(t, err)
		parsed, err := x509.ParseCertificate(der)
		must(t, err)
		return parsed
	}
	root := sign(rootTemplate, rootTemplate, k["P-384"].Public(), k["P-384"])
	middle := sign(middleTemplate, root, k["P-256"].Public(), k["P-384"])
	return &outside{
		bundle: identity.EncodeCertificate(middle, root),
		issue: func(name string, usage x509.ExtKeyUsage, uri *url.URL) ([]byte, []byte) {
			key := keys(t)["P-256"]
			c := template(name, time.Now().UnixNano())
			c.ExtKeyUsage, c.DNSNames = []x509.ExtKeyUsage{usage}, []string{"localhost"}
			if uri != nil {
				c.URIs = []*url.URL{uri}
			}
			pemKey, err := identity.EncodeKey(key)
			must(t, err)
			return identity.EncodeCertificate(sign(c, middle, key.Public(), k["P-256"])), pemKey
		},
	}
}

func TestAnOutsideCATakesThePrivateOnesPlace(t *testing.T) {
	ca := newOutside(t)
	o := identity.Options{Operator: operator, CABundle: ca.bundle}
	o.ServerCertificate, o.ServerKey = ca.issue("exchange", x509.ExtKeyUsageServerAuth, nil)
	o.OperatorCertificate, _ = ca.issue("operator", x509.ExtKeyUsageClientAuth, operator.URI())
	dir := t.TempDir()
	d, err := identity.Init(dir, o)
	must(t, err)
	if d.Authority.Issues() {
		t.Error("it issues")
	}
	if _, err := d.Authority.Issue(operator, keys(t)["P-256"].Public(), 1, time.Now()); fault.RuleOf(err) != "authority.outside" {
		t.Errorf("issuing gave %v", err)
	}
	must(t, d.Authority.Verify(d.OperatorCertificate, nil, time.Now()))
	if _, err := d.ServerTLS().GetCertificate(nil); err != nil {
		t.Error(err)
	}
	server, err := identity.ParseCertificate(o.ServerCertificate)
	must(t, err)
	if err := d.Authority.Verify(server, nil, time.Now()); fault.RuleOf(err) != "certificate.usage" {
		t.Errorf("a server's certificate as a client's gave %v", err)
	}
	o.OperatorCertificate, _ = newOutside(t).issue("operator", x509.ExtKeyUsageClientAuth, operator.URI())
	if _, err := identity.Init(t.TempDir(), o); fault.RuleOf(err) != "certificate.foreign" {
		t.Errorf("an operator of another CA gave %v", err)
	}
}

func TestTLSProvesTheKey(t *testing.T) {
	d := newDirectory(t)
	pair, err := tls.LoadX509KeyPair(filepath.Join(d.Path, identity.OperatorFile), filepath.Join(d.Path, identity.OperatorKey))
	must(t, err)
	if pair.Leaf == nil || !pair.Leaf.Equal(d.OperatorCertificate) {
		t.Error("the operator's files do not belong together")
	}
	if d.ServerTLS().MinVersion != tls.VersionTLS13 {
		t.Error("the check of the client's key rests on TLS 1.3")
	}
}

func FuzzParseRequest(f *testing.F) {
	key, err := identity.NewKey()
	must(f, err)
	request, err := identity.NewRequest(operator, key)
	must(f, err)
	block, _ := pem.Decode(request)
	f.Add(request)
	f.Add(block.Bytes)
	f.Add([]byte("-----BEGIN CERTIFICATE REQUEST-----\n-----END CERTIFICATE REQUEST-----"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		public, err := identity.ParseRequest(raw)
		if err != nil {
			if fault.KindOf(err) != fault.Invalid || fault.RuleOf(err) == "" {
				t.Errorf("refused as %v", err)
			}
			return
		}
		if identity.CheckKey(public) != nil {
			t.Errorf("took a key of type %T", public)
		}
	})
}

func FuzzParseURI(f *testing.F) {
	f.Add("huitong://11999900MB0000019D/console")
	f.Add("huitong://u:p@11999900MB0000019D:1/console?x#y")
	f.Fuzz(func(t *testing.T, text string) {
		u, err := url.Parse(text)
		if err != nil {
			return
		}
		n, err := identity.ParseURI(u)
		if err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Errorf("refused as %v", err)
			}
			return
		}
		if n.URI().String() != text && n.URI().String() != u.String() {
			t.Errorf("%q is taken for %v", text, n)
		}
		if again, err := identity.ParseName(n.String()); err != nil || again != n {
			t.Errorf("%v does not parse back: %v", n, err)
		}
	})
}

func FuzzParseCertificate(f *testing.F) {
	d, err := identity.Init(f.TempDir(), identity.Options{Operator: operator})
	must(f, err)
	f.Add(d.OperatorCertificate.Raw)
	f.Add(d.Authority.PEM())
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := identity.ParseCertificate(raw)
		if err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Errorf("refused as %v", err)
			}
			return
		}
		// Neither panics, whatever the certificate holds.
		_, _ = identity.NameOf(c)
		_ = d.Authority.Verify(c, nil, time.Now())
	})
}

func BenchmarkSeal(b *testing.B) {
	k := newDirectory(b).Keyring
	plain := make([]byte, 1024)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.Seal(plain, plain[:32]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkToken(b *testing.B) {
	k := newDirectory(b).Keyring
	b.ReportAllocs()
	for b.Loop() {
		k.Token(identity.TokenSubject, "111", "999999199001010016")
	}
}
