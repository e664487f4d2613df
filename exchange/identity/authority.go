package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"time"

	"github.com/huitong-bus/huitong/exchange/fault"
)

// Validity of certificates.
const (
	DefaultDays = 365
	// MaxDays is the longest that a client certificate is issued for.
	MaxDays   = 825
	authority = 20 * 365 * 24 * time.Hour
	server    = 90 * 24 * time.Hour
	// backdate allows for callers whose clocks are behind.
	backdate = 5 * time.Minute
)

// Authority is the CA that the exchange trusts: its own private one, which can
// issue, or the bundle of an outside one, which only verifies.
type Authority struct {
	certificates []*x509.Certificate
	roots        *x509.CertPool
	between      *x509.CertPool
	key          crypto.Signer // nil with an outside CA
}

// newPrivate makes a private CA.
func newPrivate(now time.Time) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "Huitong private CA " + serial.Text(16)[:8]},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(authority),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return newAuthority([]*x509.Certificate{c}, key)
}

// newAuthority trusts what of a bundle is self-issued; the rest are
// intermediates. A bundle of intermediates alone is trusted as it stands.
func newAuthority(bundle []*x509.Certificate, key crypto.Signer) (*Authority, error) {
	a := &Authority{certificates: bundle, roots: x509.NewCertPool(), between: x509.NewCertPool(), key: key}
	roots := 0
	for _, c := range bundle {
		if !c.IsCA {
			return nil, fmt.Errorf("the CA bundle holds %q, which is no CA certificate", c.Subject.CommonName)
		}
		if c.CheckSignatureFrom(c) == nil {
			a.roots.AddCert(c)
			roots++
		} else {
			a.between.AddCert(c)
		}
	}
	if len(bundle) == 0 {
		return nil, errors.New("the CA bundle holds no certificate")
	}
	if roots == 0 {
		for _, c := range bundle {
			a.roots.AddCert(c)
		}
	}
	if key != nil && !samePublic(bundle[0].PublicKey, key.Public()) {
		return nil, errors.New("the CA key is not that of the CA certificate")
	}
	return a, nil
}

func samePublic(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}

// parseBundle reads PEM certificates.
func parseBundle(raw []byte) ([]*x509.Certificate, error) {
	var bundle []*x509.Certificate
	for {
		var block *pem.Block
		if block, raw = pem.Decode(raw); block == nil {
			return bundle, nil
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("CA bundle: %w", err)
		}
		bundle = append(bundle, c)
	}
}

// Issues says whether the authority can issue certificates, or only knows those
// of an outside CA.
func (a *Authority) Issues() bool { return a.key != nil }

// PEM gives the certificates to trust.
func (a *Authority) PEM() []byte { return EncodeCertificate(a.certificates...) }

// Pool gives the certificates to trust.
func (a *Authority) Pool() *x509.CertPool { return a.roots.Clone() }

// Issue certifies a system's public key for a number of days; DefaultDays if 0.
func (a *Authority) Issue(name Name, key crypto.PublicKey, days int, now time.Time) (*x509.Certificate, error) {
	if days == 0 {
		days = DefaultDays
	}
	if days < 1 || days > MaxDays {
		return nil, fault.Field("days", "certificate.days", "a certificate is valid for 1 to %d days", MaxDays)
	}
	if err := name.check(); err != nil {
		return nil, err
	}
	if err := CheckKey(key); err != nil {
		return nil, err
	}
	return a.sign(&x509.Certificate{
		Subject:     pkix.Name{CommonName: name.String()},
		NotAfter:    now.Add(time.Duration(days) * 24 * time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		URIs:        []*url.URL{name.URI()},
	}, key, now)
}

// issueServer certifies the exchange's own key for its host names and addresses.
func (a *Authority) issueServer(hosts []string, key crypto.PublicKey, now time.Time) (*x509.Certificate, error) {
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "Huitong exchange"},
		NotAfter:    now.Add(server),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	return a.sign(template, key, now)
}

func (a *Authority) sign(template *x509.Certificate, key crypto.PublicKey, now time.Time) (*x509.Certificate, error) {
	if a.key == nil {
		return nil, fault.New(fault.Unsupported, "authority.outside",
			"this exchange trusts an outside CA and issues no certificates; send the certificate that CA issued")
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	template.NotBefore = now.Add(-backdate)
	template.BasicConstraintsValid = true
	if template.NotAfter.After(a.certificates[0].NotAfter) {
		template.NotAfter = a.certificates[0].NotAfter
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificates[0], key, a.key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// newSerial gives a positive random number of 126 bits (RFC 5280, section
// 4.1.2.2, allows 20 bytes).
func newSerial() (*big.Int, error) {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	if err != nil {
		return nil, err
	}
	return n.SetBit(n, 126, 1), nil
}

// Verify checks that a client certificate was issued by this authority for
// client authentication and is valid now, with the key of an accepted kind.
// others are further certificates that the client sent.
func (a *Authority) Verify(c *x509.Certificate, others []*x509.Certificate, now time.Time) error {
	between := a.between
	if len(others) > 0 {
		between = between.Clone()
		for _, o := range others {
			between.AddCert(o)
		}
	}
	_, err := c.Verify(x509.VerifyOptions{
		Roots: a.roots, Intermediates: between, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	var invalid x509.CertificateInvalidError
	switch {
	case now.After(c.NotAfter):
		return fault.New(fault.Unauthenticated, "certificate.expired", "the certificate expired on %s; renew it", c.NotAfter.UTC().Format(time.DateOnly))
	case now.Before(c.NotBefore):
		return fault.New(fault.Unauthenticated, "certificate.not_yet_valid", "the certificate is not valid yet; compare the clocks")
	case errors.As(err, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		return fault.New(fault.Unauthenticated, "certificate.usage", "the certificate is not for client authentication")
	case err != nil:
		return fault.New(fault.Unauthenticated, "certificate.foreign", "the certificate was not issued by a CA that this exchange trusts")
	}
	return CheckKey(c.PublicKey)
}
