package main_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/node"
)

// patience bounds every wait of these tests.
const patience = 60 * time.Second

// built holds the command with crash points, which all tests share.
var built struct {
	sync.Once
	dir string
	err error
}

// build builds the command with crash points, once: to link it takes longer than
// most tests.
func build(t *testing.T) string {
	t.Helper()
	built.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "huitong-crash-"); built.err != nil {
			return
		}
		command := exec.Command("go", "build", "-tags", "crashpoints", "-ldflags", "-s -w", "-o", built.dir, ".")
		if out, err := command.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("%w\n%s", err, out)
		}
	})
	must(t, built.err)
	return filepath.Join(built.dir, "huitong")
}

func TestMain(m *testing.M) {
	code := m.Run()
	_ = os.RemoveAll(built.dir) // empty if nothing was built
	os.Exit(code)
}

// city is an exchange of one or more processes.
type city struct {
	t         *testing.T
	command   string
	dir       string
	database  string
	nats      *server.Server // that several processes share; nil if embedded
	processes []*process
}

func newCity(t *testing.T, database string) *city {
	t.Helper()
	c := &city{t: t, command: build(t), dir: filepath.Join(t.TempDir(), "exchange"), database: database}
	_, err := node.Init(t.Context(), node.InitOptions{
		Dir: c.dir, Database: database, ParticipantName: sample.DataAuthority.Name, Region: sample.Region, OperatorTitle: "运营",
		Identity: identity.Options{Operator: identity.Name{Participant: sample.DataAuthority.Code, System: "console"}},
	})
	must(t, err)
	n := 1
	if !strings.HasPrefix(database, "sqlite:") {
		n = 2
		c.shareNATS()
	}
	for i := range n {
		p := &process{c: c, address: freeAddress(t), ready: filepath.Join(t.TempDir(), "ready"), name: strconv.Itoa(i)}
		c.processes = append(c.processes, p)
		p.start("")
	}
	return c
}

func (c *city) shareNATS() {
	c.t.Helper()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: c.t.TempDir(), NoSigs: true, NoLog: true,
		MaxPayload: 8 << 20, JetStreamMaxStore: 1 << 40, JetStreamMaxMemory: 64 << 20,
	})
	must(c.t, err)
	go s.Start()
	if !s.ReadyForConnections(patience) {
		c.t.Fatal("NATS does not come up")
	}
	c.t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	c.nats = s
}

// armed restarts every process so that it dies at a point, waits until one has,
// and gives that one; the others go on without.
func (c *city) armed(point string) *process {
	c.t.Helper()
	for _, p := range c.processes {
		p.kill()
		p.start(point + ":3")
	}
	deadline := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		for i, p := range c.processes {
			if p.isDead() {
				for _, other := range append(append([]*process(nil), c.processes[:i]...), c.processes[i+1:]...) {
					other.kill()
					other.start("")
				}
				return p
			}
		}
		select {
		case <-tick.C:
		case <-deadline:
			c.t.Fatalf("no process came to %s", point)
		}
	}
}

// stop ends every process in order.
func (c *city) stop() {
	c.t.Helper()
	for _, p := range c.processes {
		must(c.t, p.cmd.Process.Signal(syscall.SIGTERM))
	}
	for _, p := range c.processes {
		select {
		case <-p.exited:
		case <-time.After(patience):
			c.t.Fatal("an exchange does not stop")
		}
		if code := p.cmd.ProcessState.ExitCode(); code != 0 {
			c.t.Fatalf("an exchange ended with %d:\n%s", code, p.tail())
		}
	}
}

// process is one `huitong serve`.
type process struct {
	c       *city
	name    string
	address string
	ready   string
	armed   string // a file: its crash point counts only while that is there
	cmd     *exec.Cmd
	exited  chan struct{}
	log     bytes.Buffer
}

// start starts the process and waits until it takes calls, or dies where it is
// told to.
func (p *process) start(point string) {
	t := p.c.t
	t.Helper()
	_ = os.Remove(p.ready)
	args := []string{"serve", "--data", p.c.dir, "--listen", p.address, "--ready-file", p.ready, "--database", p.c.database, "--log-level", "warn"}
	if p.c.nats != nil {
		args = append(args, "--nats", p.c.nats.ClientURL())
	}
	p.cmd = exec.Command(p.c.command, args...)
	p.cmd.Env = append(os.Environ(), "HUITONG_CRASHPOINT="+point, "HUITONG_CRASHPOINT_WHILE="+p.armed)
	p.log.Reset()
	p.cmd.Stderr = &p.log
	must(t, p.cmd.Start())
	exited, cmd := make(chan struct{}), p.cmd
	p.exited = exited
	go func() {
		_ = cmd.Wait()
		close(exited)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-exited
	})
	p.await(point)
}

func (p *process) await(point string) {
	t := p.c.t
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; <-tick.C {
		if _, err := os.Stat(p.ready); err == nil {
			return
		}
		if p.isDead() {
			if point != "" && p.wasKilled() {
				return
			}
			t.Fatalf("the exchange ended while it started:\n%s", p.tail())
		}
		if time.Now().After(deadline) {
			t.Fatalf("the exchange is not ready:\n%s", p.tail())
		}
	}
}

func (p *process) isDead() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

func (p *process) wasKilled() bool {
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// kill ends the process as a power cut would, for all that it can do about it.
func (p *process) kill() {
	t := p.c.t
	t.Helper()
	if p.isDead() && !p.wasKilled() {
		t.Fatalf("the exchange ended by itself:\n%s", p.tail())
	}
	_ = p.cmd.Process.Kill()
	<-p.exited
}

// tail gives the end of a dead process's log.
func (p *process) tail() string {
	s := p.log.String()
	return s[max(0, len(s)-4000):]
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().String()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// everyMoment gives a wait of a moment, which ends the test once patience does.
func everyMoment(t *testing.T) func() {
	t.Helper()
	tick, deadline := time.NewTicker(5*time.Millisecond), time.After(patience)
	t.Cleanup(tick.Stop)
	return func() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("it does not come about")
		}
	}
}
