package identity

import (
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/huitong-bus/huitong/exchange/fault"
)

// Files of the data directory. Those with keys are readable by their owner only.
const (
	CAFile       = "ca.pem"
	caKeyFile    = "ca.key"
	OperatorFile = "operator.pem"
	OperatorKey  = "operator.key"
	serverFile   = "server.pem"
	serverKey    = "server.key"
	settingsFile = "identity.json"
	// keyringFileName is written last: where it is, the directory is complete.
	keyringFileName = "keyring.json"
)

// Options is what a new data directory is made from.
type Options struct {
	// Operator is the first system: the data authority's own.
	Operator Name
	// Origin names the ledger; made of the operator's participant code and a
	// random epoch if empty. Never use one twice.
	Origin string
	// Hosts are the exchange's host names and addresses, beside localhost.
	Hosts []string
	// CABundle, PEM, is an outside CA's; with it ServerCertificate, ServerKey
	// and OperatorCertificate are needed, PEM, all issued by that CA.
	CABundle            []byte
	ServerCertificate   []byte
	ServerKey           []byte
	OperatorCertificate []byte
	// Clock tells the time; time.Now if nil.
	Clock func() time.Time
}

// Directory is a loaded data directory.
type Directory struct {
	Path      string
	Authority *Authority
	Keyring   *Keyring
	// Operator is the first system and its certificate.
	Operator            Name
	OperatorCertificate *x509.Certificate

	hosts []string
	clock func() time.Time
	mu    sync.Mutex
	own   *tls.Certificate
}

// settings is what the directory remembers beside its keys.
type settings struct {
	Operator string   `json:"operator"`
	Hosts    []string `json:"hosts"`
}

// Init makes the keys and certificates of a new exchange in a directory. What an
// Init that was cut off left behind is made anew; a complete directory is
// refused.
func Init(dir string, o Options) (*Directory, error) {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if err := o.Operator.check(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, keyringFileName)); err == nil {
		return nil, fault.New(fault.AlreadyExists, "directory.exists", "%s holds an exchange already", dir)
	}
	var err error
	if len(o.CABundle) > 0 {
		err = initOutside(dir, &o)
	} else {
		err = initPrivate(dir, &o)
	}
	if err != nil {
		return nil, err
	}
	if err := initKeyring(dir, &o); err != nil {
		return nil, err
	}
	return load(dir, o.Clock)
}

func initPrivate(dir string, o *Options) error {
	now := o.Clock()
	ca, err := newPrivate(now)
	if err != nil {
		return err
	}
	caKey, err := EncodeKey(ca.key)
	if err != nil {
		return err
	}
	key, err := NewKey()
	if err != nil {
		return err
	}
	operator, err := ca.Issue(o.Operator, key.Public(), MaxDays, now)
	if err != nil {
		return err
	}
	operatorKey, err := EncodeKey(key)
	if err != nil {
		return err
	}
	return writeAll(dir, []file{
		{CAFile, ca.PEM(), 0o644}, {caKeyFile, caKey, 0o600},
		{OperatorFile, EncodeCertificate(operator), 0o644}, {OperatorKey, operatorKey, 0o600},
	})
}

func initOutside(dir string, o *Options) error {
	bundle, err := parseBundle(o.CABundle)
	if err != nil {
		return err
	}
	ca, err := newAuthority(bundle, nil)
	if err != nil {
		return err
	}
	operator, err := ParseCertificate(o.OperatorCertificate)
	if err != nil {
		return err
	}
	if err := ca.Verify(operator, nil, o.Clock()); err != nil {
		return err
	}
	if name, err := NameOf(operator); err != nil || name != o.Operator {
		return errors.Join(err, fault.Field("operator", "certificate.name", "the operator's certificate does not name %s", o.Operator))
	}
	if _, err := tls.X509KeyPair(o.ServerCertificate, o.ServerKey); err != nil {
		return fmt.Errorf("with an outside CA the exchange needs a server certificate of that CA: %w", err)
	}
	return writeAll(dir, []file{
		{CAFile, ca.PEM(), 0o644}, {OperatorFile, EncodeCertificate(operator), 0o644},
		{serverFile, o.ServerCertificate, 0o644}, {serverKey, o.ServerKey, 0o600},
	})
}

// initKeyring writes the settings and, last, the keyring.
func initKeyring(dir string, o *Options) error {
	if o.Origin == "" {
		epoch := make([]byte, 8)
		if _, err := rand.Read(epoch); err != nil {
			return err
		}
		o.Origin = "huitong/" + o.Operator.Participant + "/" + hex.EncodeToString(epoch)
	}
	keys, err := newKeyring(o.Origin)
	if err != nil {
		return err
	}
	raw, err := keys.encode()
	if err != nil {
		return err
	}
	set, err := json.MarshalIndent(settings{Operator: o.Operator.String(), Hosts: o.Hosts}, "", "  ")
	if err != nil {
		return err
	}
	return writeAll(dir, []file{{settingsFile, set, 0o644}, {keyringFileName, raw, 0o600}})
}

// Load opens a data directory.
func Load(dir string) (*Directory, error) { return load(dir, time.Now) }

func load(dir string, clock func() time.Time) (*Directory, error) {
	raw, err := os.ReadFile(filepath.Join(dir, keyringFileName))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fault.New(fault.NotFound, "directory.empty", "%s holds no exchange; make one with huitong init", dir)
	}
	if err != nil {
		return nil, err
	}
	d := &Directory{Path: dir, clock: clock}
	if d.Keyring, err = parseKeyring(raw); err != nil {
		return nil, err
	}
	if err := d.loadAuthority(); err != nil {
		return nil, err
	}
	if raw, err = os.ReadFile(filepath.Join(dir, settingsFile)); err != nil {
		return nil, err
	}
	var s settings
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, fmt.Errorf("%s: %w", settingsFile, err)
	}
	d.hosts = s.Hosts
	if d.Operator, err = ParseName(s.Operator); err != nil {
		return nil, err
	}
	if raw, err = os.ReadFile(filepath.Join(dir, OperatorFile)); err != nil {
		return nil, err
	}
	d.OperatorCertificate, err = ParseCertificate(raw)
	return d, err
}

func (d *Directory) loadAuthority() error {
	raw, err := os.ReadFile(filepath.Join(d.Path, CAFile))
	if err != nil {
		return err
	}
	bundle, err := parseBundle(raw)
	if err != nil {
		return err
	}
	key, err := readKey(filepath.Join(d.Path, caKeyFile))
	if err != nil {
		return err
	}
	d.Authority, err = newAuthority(bundle, key)
	return err
}

// readKey reads a PKCS #8 key; nil if there is no such file.
func readKey(path string) (crypto.Signer, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, fmt.Errorf("%s is not PEM", path)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s is not PKCS #8", path)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%s holds no signing key", path)
	}
	return signer, nil
}

// RotateSealing adds a sealing key and seals by it from now on; exchanges that
// run take it up when they start again.
func (d *Directory) RotateSealing() error {
	k, err := d.Keyring.rotateSealing()
	if err != nil {
		return err
	}
	raw, err := k.encode()
	if err != nil {
		return err
	}
	if err := writeAll(d.Path, []file{{keyringFileName, raw, 0o600}}); err != nil {
		return err
	}
	d.Keyring = k
	return nil
}

// AddHosts lets the server's certificate name further hosts, for as long as the
// process runs.
func (d *Directory) AddHosts(hosts ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hosts, d.own = append(d.hosts, hosts...), nil
}

// ServerTLS gives the exchange's side of TLS. It asks for a client certificate
// and lets the handshake pass without one or with a wrong one, so that the
// caller is told what is wrong by the call it makes; TLS 1.3 has then proved
// that the client holds the key of the certificate it sent (RFC 8446, section
// 4.4.3). Whoever serves must check the certificate by Authority.Verify.
func (d *Directory) ServerTLS() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS13,
		ClientAuth:     tls.RequestClientCert,
		NextProtos:     []string{"h2"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return d.serverCertificate() },
	}
}

// serverCertificate gives the exchange's certificate. With a private CA it is
// made in memory, and anew when a third of its time is left.
func (d *Directory) serverCertificate() (*tls.Certificate, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.clock()
	if d.own != nil && (!d.Authority.Issues() || now.Before(d.own.Leaf.NotAfter.Add(-server/3))) {
		return d.own, nil
	}
	if !d.Authority.Issues() {
		pair, err := tls.LoadX509KeyPair(filepath.Join(d.Path, serverFile), filepath.Join(d.Path, serverKey))
		d.own = &pair
		if err != nil {
			d.own = nil
		}
		return d.own, err
	}
	key, err := NewKey()
	if err != nil {
		return nil, err
	}
	hosts := append([]string{"localhost", "127.0.0.1", "::1"}, d.hosts...)
	slices.Sort(hosts)
	c, err := d.Authority.issueServer(slices.Compact(hosts), key.Public(), now)
	if err != nil {
		return nil, err
	}
	d.own = &tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: key, Leaf: c}
	return d.own, nil
}
