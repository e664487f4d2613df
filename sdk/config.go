package sdk

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/huitong-bus/huitong/exchange/fault"
)

// Defaults of Config.
const (
	DefaultConnections = 1
	// DefaultMaxMessage bounds one message from the exchange: a delivery batch
	// holds at most 256 records of 256 KiB each.
	DefaultMaxMessage = 80 << 20
	// DefaultKeepalive is how long a connection may be silent before the SDK
	// asks whether the other side is still there.
	DefaultKeepalive = 30 * time.Second
)

// Config says how to reach the exchange and as whom. The certificate comes
// either from files or from memory; so do the CA certificates.
type Config struct {
	// Address is host:port of the exchange, or a gRPC target such as
	// "dns:///exchange.example.gov.cn:7443".
	Address string
	// CertFile and KeyFile are the system's certificate (with its chain) and
	// private key, PEM.
	CertFile string
	KeyFile  string
	// Certificate takes the place of the two files.
	Certificate *tls.Certificate
	// CAFile holds the CA certificates by which the exchange is recognised, PEM.
	CAFile string
	// CAs takes the place of that file.
	CAs *x509.CertPool
	// ServerName is the name that the exchange's certificate must carry; the
	// host of Address if empty.
	ServerName string
	// LedgerKey is the key that checkpoints are checked by, a C2SP vkey. If
	// empty, the key that the exchange names on this first connection is trusted
	// and kept for the life of the Client: good against a later change, not
	// against an exchange that lies from the start. Get the key from the data
	// authority by another way where that matters.
	LedgerKey string
	// Connections is how many connections calls are spread over. One carries
	// about 20,000 records a second in batches; more help plain unary calls.
	Connections int
	// MaxMessage bounds one message from the exchange, in bytes.
	MaxMessage int
	// Wait makes Connect wait for an exchange that is not up yet, until the
	// context ends, instead of failing at once.
	Wait bool
}

func (c Config) withDefaults() Config {
	if c.Connections == 0 {
		c.Connections = DefaultConnections
	}
	if c.MaxMessage == 0 {
		c.MaxMessage = DefaultMaxMessage
	}
	return c
}

func (c Config) validate() error {
	switch {
	case c.Address == "":
		return fault.Field("Address", "sdk.config", "name the exchange as host:port")
	case c.Certificate == nil && (c.CertFile == "" || c.KeyFile == ""):
		return fault.Field("CertFile", "sdk.config", "a certificate and its key are needed: every system is known by its certificate")
	case c.CAs == nil && c.CAFile == "":
		return fault.Field("CAFile", "sdk.config", "the CA certificates of the exchange are needed")
	case c.Connections < 0 || c.Connections > 64:
		return fault.Field("Connections", "sdk.config", "1 to 64 connections")
	}
	return nil
}

// identity is the system's certificate and what the SDK signs with.
type identity struct {
	tls    *tls.Config
	signer crypto.Signer
}

func (c Config) identity() (*identity, error) {
	cert, err := c.certificate()
	if err != nil {
		return nil, err
	}
	cas, err := c.pool()
	if err != nil {
		return nil, err
	}
	signer, ok := cert.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, fault.Field("Certificate", "sdk.config", "the private key cannot sign")
	}
	name := c.ServerName
	if name == "" {
		if host, _, err := net.SplitHostPort(c.Address); err == nil {
			name = host
		}
	}
	return &identity{
		signer: signer,
		tls: &tls.Config{
			MinVersion:   tls.VersionTLS13,
			Certificates: []tls.Certificate{*cert},
			RootCAs:      cas,
			ServerName:   name,
		},
	}, nil
}

func (c Config) certificate() (*tls.Certificate, error) {
	if c.Certificate != nil {
		return c.Certificate, nil
	}
	cert, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("certificate and key: %w", err)
	}
	return &cert, nil
}

func (c Config) pool() (*x509.CertPool, error) {
	if c.CAs != nil {
		return c.CAs, nil
	}
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("CA certificates: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("CA certificates: %w", errors.New("no certificate in "+c.CAFile))
	}
	return pool, nil
}
