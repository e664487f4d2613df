package node_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/services/huitong/node"
	"github.com/huitong-bus/huitong/services/huitong/node/nodetest"
)

// TestAnInitThatWasCutOffIsFinished: whatever it had made stays, keys above all,
// and it is not served before.
func TestAnInitThatWasCutOffIsFinished(t *testing.T) {
	options := identity.Options{Operator: identity.Name{Participant: nodetest.Operator, System: "console"}}
	for name, cut := range map[string]func(dir string) error{
		"before any key": func(string) error { return nil },
		"before the database": func(dir string) error {
			_, err := identity.Init(dir, options)
			return err
		},
		"behind the database": func(dir string) error {
			if err := os.Remove(filepath.Join(dir, "init.pending")); err != nil {
				return err
			}
			if _, err := node.Init(t.Context(), node.InitOptions{Dir: dir, ParticipantName: "样例市数据局", Identity: options}); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, "init.pending"), nil, 0o600)
		},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "init.pending"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := cut(dir); err != nil {
			t.Fatal(name, err)
		}
		before, _ := os.ReadFile(filepath.Join(dir, "keyring.json"))
		if _, err := node.Open(t.Context(), node.Config{Dir: dir, Listen: "127.0.0.1:0"}); err == nil {
			t.Errorf("%s: served unfinished", name)
		}
		x, err := nodetest.Open(t.Context(), dir, node.Config{})
		if err != nil {
			t.Fatal(name, err)
		}
		after, _ := os.ReadFile(filepath.Join(dir, "keyring.json"))
		if len(before) > 0 && string(before) != string(after) {
			t.Errorf("%s: the keys were made anew", name)
		}
		if err := x.Close(); err != nil {
			t.Error(name, err)
		}
		_, err = node.Init(t.Context(), node.InitOptions{Dir: dir, Identity: options})
		if fault.KindOf(err) != fault.AlreadyExists {
			t.Errorf("%s: a second Init: %v", name, err)
		}
	}
}
