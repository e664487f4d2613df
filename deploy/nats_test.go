// Tests that the files that run an exchange for real do what they say.
package deploy_test

import (
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

// TestNATSConfigurationLetsTheExchangeInAlone reads the file as nats-server does.
func TestNATSConfigurationLetsTheExchangeInAlone(t *testing.T) {
	t.Setenv("NATS_PASSWORD", "a-password-for-the-test")
	o, err := server.ProcessConfigFile("nats/nats.conf")
	if err != nil {
		t.Fatal(err)
	}
	if !o.JetStream || o.Host != "127.0.0.1" || o.MaxPayload < 8<<20 {
		t.Errorf("JetStream %v, host %s, payload %d", o.JetStream, o.Host, o.MaxPayload)
	}
	if len(o.Users) != 1 || o.Users[0].Username != "exchange" || o.NoAuthUser != "" {
		t.Errorf("users %v", o.Users)
	}
}
