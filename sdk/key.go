package sdk

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/huitong-bus/huitong/exchange/fault"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
)

// Key is a system's private key, made where it is used. It never travels: the
// data authority signs a request for its public half.
type Key struct {
	signer *ecdsa.PrivateKey
}

// NewKey makes an ECDSA P-256 key.
func NewKey() (*Key, error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	return &Key{k}, nil
}

// Signer gives the key for use in a tls.Certificate.
func (k *Key) Signer() crypto.Signer { return k.signer }

// PEM gives the key as PKCS #8 PEM.
func (k *Key) PEM() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k.signer)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// WriteFile writes the key for its owner alone (mode 0600). It does not replace
// a file: a key that was lost cannot be made again.
func (k *Key) WriteFile(path string) error {
	text, err := k.PEM()
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write key: %w", err)
	}
	_, err = bytes.NewReader(text).WriteTo(f)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write key: %w", err)
	}
	return nil
}

// CertificateRequest makes the request (PKCS #10, PEM) that the data authority
// enrols a system by. participant is the organisation's unified social credit
// code, system the system's name within it. Only the public key is taken from
// it; the authority enters the names that it verified.
func (k *Key) CertificateRequest(participant, system string) ([]byte, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{Organization: []string{participant}, CommonName: participant + "/" + system},
	}, k.signer)
	if err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), nil
}

// NewCertificateRequest makes a key and the request for its certificate, both
// PEM. Keep the key on this machine, readable by its owner alone.
func NewCertificateRequest(participant, system string) (keyPEM, requestPEM []byte, err error) {
	k, err := NewKey()
	if err != nil {
		return nil, nil, err
	}
	if keyPEM, err = k.PEM(); err != nil {
		return nil, nil, err
	}
	requestPEM, err = k.CertificateRequest(participant, system)
	return keyPEM, requestPEM, err
}

// RenewCertificate has the calling system certified anew, for the key given,
// which should be a new one. Write key and certificate down, Connect with them,
// and close this client: it stays on the certificate it connected with. days is
// how long the new one is valid; the authority's default if 0.
func (c *Client) RenewCertificate(ctx context.Context, k *Key, days int) (certificatePEM, caPEM []byte, err error) {
	participant, system, _ := strings.Cut(c.system, "/")
	request, err := k.CertificateRequest(participant, system)
	if err != nil {
		return nil, nil, err
	}
	resp, err := c.catalogue().RenewCertificate(ctx, &cataloguev1.RenewCertificateRequest{CertificateRequest: request, Days: uint32(days)})
	if err != nil {
		return nil, nil, fault.FromStatus(err)
	}
	block := &pem.Block{Type: "CERTIFICATE", Bytes: resp.GetCertificate().GetDer()}
	return pem.EncodeToMemory(block), resp.GetCaPem(), nil
}
