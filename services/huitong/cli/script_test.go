package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/services/departments/sample"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"huitong": func() { os.Exit(Run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
	})
}

// TestScripts runs the command as its users do, against exchanges that the
// command itself runs.
func TestScripts(t *testing.T) {
	p := params()
	p.Dir = "testdata"
	testscript.Run(t, p)
}

// params are what all scripts have in common.
func params() testscript.Params {
	return testscript.Params{
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("HUITONG_CONFIG", e.WorkDir+"/contexts.json")
			e.Setenv("HOME", e.WorkDir)
			// Tables print times as they are here.
			e.Setenv("TZ", "Asia/Shanghai")
			sampleCity, err := filepath.Abs("../../../deploy")
			if err != nil {
				return err
			}
			e.Setenv("CATALOGUE", filepath.Join(sampleCity, "catalogue"))
			e.Setenv("ITEMS", filepath.Join(sampleCity, "items", "service-items.jsonl"))
			e.Setenv("DOCUMENTS", filepath.Join(sampleCity, "items", "documents"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"ready": ready, "exits": exits, "records": records, "join": join, "terminate": terminate, "protoset": protoset, "flip": flip, "spoil": spoil,
			"outside": outside, "until": until, "grantid": grantID, "capture": capture, "split": split,
		},
	}
}

// ready waits until the exchange has written its address, and lets the calls that
// follow use it.
func ready(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		if text, err := os.ReadFile(path); err == nil {
			ts.Setenv("HUITONG_ADDRESS", strings.TrimSpace(string(text)))
			ts.Check(os.Remove(path))
			return
		}
		<-time.After(10 * time.Millisecond)
	}
	ts.Fatalf("the exchange is not ready after 30 s")
}

// until runs a command again and again until what it prints matches.
func until(ts *testscript.TestScript, _ bool, args []string) {
	want, err := regexp.Compile("(?s)" + args[0])
	ts.Check(err)
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		if ts.Exec(args[1], args[2:]...) == nil && want.MatchString(ts.ReadFile("stdout")) {
			return
		}
	}
	ts.Fatalf("it does not come about within 30 s")
}

// grantID sets a variable to the id of the first grant that was printed.
func grantID(ts *testscript.TestScript, _ bool, args []string) {
	found := regexp.MustCompile(`(?m)^[0-9a-f]{20}`).FindString(ts.ReadFile("stdout"))
	if found == "" {
		ts.Fatalf("no grant was printed")
	}
	ts.Setenv(args[0], found)
}

// capture sets a variable to what a pattern's group matches first in what was
// printed: capture ENTRY 'in entry ([0-9]+)'.
func capture(ts *testscript.TestScript, _ bool, args []string) {
	match := regexp.MustCompile("(?m)" + args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(match) != 2 {
		ts.Fatalf("no match for `%s` in what was printed", args[1])
	}
	ts.Setenv(args[0], match[1])
}

// terminate sends SIGTERM to the last command that was started in the background.
func terminate(ts *testscript.TestScript, _ bool, _ []string) {
	running := ts.BackgroundCmds()
	ts.Check(running[len(running)-1].Process.Signal(syscall.SIGTERM))
}

// exits runs a command that is to end with a certain code: exits 4 huitong …
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var e *exec.ExitError
	if errors.As(err, &e) {
		got = e.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, not %d", got, want)
	}
}

// records writes sample records as JSON lines: records persons 20 persons.jsonl.
// The same number gives the same records.
func records(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	city := sample.NewCity(7, n)
	var all []proto.Message
	switch args[0] {
	case "persons":
		for _, p := range city.Persons() {
			all = append(all, p)
		}
	case "households":
		for _, h := range city.Households() {
			all = append(all, h)
		}
	default:
		ts.Fatalf("no records %q", args[0])
	}
	var b strings.Builder
	for _, m := range all[:min(n, len(all))] {
		line, err := compact(m)
		ts.Check(err)
		fmt.Fprintf(&b, "%s\n", line)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(b.String()), 0o600))
}

// join registers a department, enrols a system of it, and names the context
// after the system: join 11999900MB0000019D/register 示范市公安局 [role].
func join(ts *testscript.TestScript, _ bool, args []string) {
	code, system, _ := strings.Cut(args[0], "/")
	role := "department"
	if len(args) > 2 {
		role = args[2]
	}
	run := func(args ...string) { ts.Check(ts.Exec("huitong", args...)) }
	if !slices.Contains(args, "known") {
		run("participant", "register", code, "--name", args[1])
	}
	run("system", "request", args[0])
	run("system", "enrol", args[0], "--request", system+".csr", "--role", role)
	run("context", "add", system, "--cert", system+".pem", "--key", system+".key", "--ca", "ca.pem")
}
