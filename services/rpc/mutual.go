package rpc

import (
	"crypto/sha256"
	"net"
	"time"

	"google.golang.org/grpc/credentials"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
)

// mutual is TLS that looks at the client's certificate once a connection. A
// certificate that does not verify lets the connection stand, and each call on
// it is told why it is refused.
type mutual struct {
	credentials.TransportCredentials
	authority *identity.Authority
	clock     func() time.Time
}

func newMutual(d *identity.Directory, clock func() time.Time) *mutual {
	return &mutual{credentials.NewTLS(d.ServerTLS()), d.Authority, clock}
}

// peerCertificate is what a connection showed.
type peerCertificate struct {
	credentials.TLSInfo
	fingerprint [32]byte
	err         error
}

// ServerHandshake makes a connection and verifies the client's certificate.
func (m *mutual) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := m.TransportCredentials.ServerHandshake(raw)
	if err != nil {
		return nil, nil, err
	}
	tlsInfo := info.(credentials.TLSInfo)
	shown := &peerCertificate{TLSInfo: tlsInfo}
	chain := tlsInfo.State.PeerCertificates
	if len(chain) == 0 {
		shown.err = fault.New(fault.Unauthenticated, "certificate.required", "every call needs a client certificate; ask the operator to enrol the system")
		return conn, shown, nil
	}
	shown.fingerprint = sha256.Sum256(chain[0].Raw)
	shown.err = m.authority.Verify(chain[0], chain[1:], m.clock())
	return conn, shown, nil
}

// Clone copies the credentials.
func (m *mutual) Clone() credentials.TransportCredentials {
	return &mutual{m.TransportCredentials.Clone(), m.authority, m.clock}
}
