// Package exchange_test holds every package of the module to its layer.
package exchange_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/huitong-bus/huitong/"

// A rule bans imports of the packages that it is for. Patterns are package paths;
// "…" at the end stands for anything. Those of this module are written without
// it.
type rule struct {
	of     []string // packages it is for
	except []string // but not these
	// Exactly one of ban and allow is set; allow bans everything else of this
	// module.
	ban    []string
	allow  []string
	direct bool // only what a package imports itself, not what that imports
	why    string
}

var drivers = []string{"modernc.org/sqlite…", "github.com/jackc/pgx…", "github.com/cockroachdb/…", "database/sql/driver"}

var layers = []rule{
	{
		of: []string{"proto/gen/…"}, allow: []string{"proto/gen/…"},
		why: "the contracts are compiled by programs that have nothing else of the exchange",
	},
	{
		of: []string{"exchange/fault"}, allow: []string{"exchange/fault", "proto/gen/…"},
		why: "every layer speaks of errors, the SDK too, so this is at the bottom",
	},
	{
		of: []string{"exchange/ledger/verify"}, allow: []string{"exchange/ledger/verify", "proto/gen/…"},
		why: "an auditor checks proofs with this package and need not trust anything else of the exchange",
	},
	{
		of: []string{"exchange/ledger/verify"}, direct: true,
		ban: []string{"os", "os/…", "net", "net/…", "database/…", "time", "io/fs", "log", "log/…", "syscall", "path/filepath"},
		why: "what it says depends on the bytes it is given, and on no file, network or clock",
	},
	{
		of: []string{"exchange/…"}, ban: []string{"services/…", "sdk…"},
		why: "the domain does not know how it is reached",
	},
	{
		of: []string{"exchange/…"}, except: []string{"exchange/fault"}, direct: true, ban: []string{"google.golang.org/grpc…", "net/http…"},
		why: "the domain has no transport; faults know their gRPC code in one place",
	},
	{
		of: []string{"sdk…", "services/departments…"}, allow: []string{"sdk…", "services/departments…", "proto/gen/…", "exchange/fault", "exchange/ledger/verify"},
		why: "a department compiles the SDK and what it verifies with, nothing of the server",
	},
	{
		of: []string{"sdk…"}, ban: []string{"services/…"},
		why: "services stand on the SDK",
	},
	{
		of: []string{"services/rpc…"}, ban: []string{"services/huitong…", "services/departments…", "sdk…"},
		why: "services are put together in services/huitong only",
	},
	{
		of: []string{"services/departments…"}, ban: []string{"services/huitong…", "services/rpc…"},
		why: "a department's system reaches the exchange as anybody does",
	},
	{
		of: []string{"…"}, except: []string{"exchange/store…"}, direct: true, ban: drivers,
		why: "what differs between databases sits in store",
	},
	{
		of: []string{"services/rpc…", "sdk…", "services/departments…"}, direct: true, ban: []string{"database/…"},
		why: "transport converts, it does not query",
	},
	{
		of: []string{"…"}, except: []string{"exchange/bus…", "services/huitong/bench…"}, direct: true, ban: []string{"github.com/nats-io/…"},
		why: "nobody but the bus gets into JetStream; the bench measures beside it",
	},
}

// listed is what `go list` says of a package.
type listed struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
	Deps         []string
}

func packages(t *testing.T) (all []listed) {
	t.Helper()
	list := exec.Command("go", "list", "-json=ImportPath,Imports,TestImports,XTestImports,Deps", "./...")
	list.Dir = ".."
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// TestLayers holds every package to the table above: what it is made of, and
// what the tests inside it import. Tests from outside (package x_test) may
// import what they like: they take nobody's place.
func TestLayers(t *testing.T) {
	all := packages(t)
	for _, r := range layers {
		met := false
		for _, p := range all {
			name := short(p.ImportPath)
			if !matches(r.of, name) || matches(r.except, name) {
				continue
			}
			met = true
			imports := slices.Concat(p.Imports, p.TestImports)
			if !r.direct {
				imports = slices.Concat(imports, p.Deps)
			}
			slices.Sort(imports)
			for _, i := range slices.Compact(imports) {
				if r.bans(i) {
					t.Errorf("%s imports %s: %s", name, short(i), r.why)
				}
			}
		}
		if !met {
			t.Errorf("no package is meant by %v: %s", r.of, r.why)
		}
	}
}

func (r *rule) bans(path string) bool {
	name := short(path)
	if r.allow != nil {
		return name != path && !matches(r.allow, name)
	}
	return matches(r.ban, name)
}

// short leaves this module's name away.
func short(path string) string { return strings.TrimPrefix(path, module) }

func matches(patterns []string, name string) bool {
	for _, p := range patterns {
		if prefix, open := strings.CutSuffix(p, "…"); open && strings.HasPrefix(name, prefix) || p == name {
			return true
		}
	}
	return false
}
