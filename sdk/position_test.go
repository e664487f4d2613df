package sdk_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/huitong-bus/huitong/sdk"
)

// killed names, to a process of this test's binary, the directory that it is to
// receive into, and where it is to kill itself.
const killed = "HUITONG_TEST_RECEIVE"

func TestMain(m *testing.M) {
	if order := os.Getenv(killed); order != "" {
		if err := receiveUntilKilled(order); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// receiving is what the receiving process is told.
type receiving struct {
	Dir, Address, LedgerKey string
	// Deliveries to take before it kills itself, before or after the commit of
	// the last; never if 0.
	Deliveries  int
	AfterCommit bool
}

func receiveUntilKilled(order string) error {
	var o receiving
	if err := json.Unmarshal([]byte(order), &o); err != nil {
		return err
	}
	ctx := context.Background()
	client, err := sdk.Connect(ctx, sdk.Config{
		Address: o.Address, LedgerKey: o.LedgerKey, CAFile: filepath.Join(o.Dir, "ca.pem"),
		CertFile: filepath.Join(o.Dir, "hall.pem"), KeyFile: filepath.Join(o.Dir, "hall.key"),
	})
	if err != nil {
		return err
	}
	register, err := openRegister(filepath.Join(o.Dir, "register.db"))
	if err != nil {
		return err
	}
	taken, caughtUp := 0, make(chan struct{}, 1)
	keep := func(ctx context.Context, d *sdk.Delivery) error {
		taken++
		if taken == o.Deliveries && !o.AfterCommit {
			return die()
		}
		if err := register.keep(ctx, d); err != nil {
			return err
		}
		if taken == o.Deliveries {
			return die()
		}
		return nil
	}
	s, err := client.Subscribe(ctx, "register", keep, sdk.WithPosition(register.position),
		sdk.WithCaughtUp(func() { caughtUp <- struct{}{} }))
	if err != nil {
		return err
	}
	select {
	case <-caughtUp:
		s.Drain()
		<-s.Closed()
	case <-s.Closed():
	}
	return errors.Join(s.Err(), register.Close(), client.Close())
}

// die kills this process as kill -9 does.
func die() error {
	if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
		return err
	}
	select {}
}

// TestPositionBesideOnesOwnData: a subscriber that keeps its position in its own
// transaction is killed before and after its commits. Every version takes effect
// once.
func TestPositionBesideOnesOwnData(t *testing.T) {
	w := newWorld(t)
	w.create(t, sdk.NewSubscription{Name: "register", Start: sdk.FromAll()})
	records := some(60)
	publishAll(t, w.publisher, records)
	o := receiving{Dir: t.TempDir(), Address: w.Node.Address(), LedgerKey: w.Node.LedgerKey()}
	writeHall(t, w, o.Dir)
	for _, o.Deliveries = range []int{1, 9, 15} {
		for _, o.AfterCommit = range []bool{false, true} {
			if err := receiveIn(t, o); err == nil {
				t.Fatal("the receiver was not killed")
			}
		}
	}
	publishAll(t, w.publisher, records[:20])
	o.Deliveries = 0
	if err := receiveIn(t, o); err != nil {
		t.Fatal(err)
	}
	register, err := openRegister(filepath.Join(o.Dir, "register.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer register.Close()
	for i, m := range records {
		want := 1
		if i < 20 {
			want = 2
		}
		var changes int
		row := register.QueryRow("SELECT changes FROM marriages WHERE certificate = ?", m.CertificateNumber)
		if err := row.Scan(&changes); err != nil || changes != want {
			t.Errorf("record %d took effect %d times, not %d: %v", i, changes, want, err)
		}
	}
}

// writeHall renews the hall's certificate for the receiving process.
func writeHall(t *testing.T, w *world, dir string) {
	t.Helper()
	key, err := sdk.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	if err := key.WriteFile(filepath.Join(dir, "hall.key")); err != nil {
		t.Fatal(err)
	}
	certificate, ca, err := w.hall.RenewCertificate(soon(t), key, 1)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"hall.pem": certificate, "ca.pem": ca} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func receiveIn(t *testing.T, o receiving) error {
	t.Helper()
	order, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(soon(t), os.Args[0])
	c.Env = append(os.Environ(), killed+"="+string(order))
	out, err := c.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && !exit.Sys().(syscall.WaitStatus).Signaled() {
		t.Fatalf("the receiver failed: %s", out)
	}
	return err
}

// TestSecondReceiverStandsBy: while one process keeps the position, another
// waits, and goes on where the first ended.
func TestSecondReceiverStandsBy(t *testing.T) {
	w := newWorld(t)
	w.create(t, sdk.NewSubscription{Name: "register", Start: sdk.FromAll()})
	register, err := openRegister(filepath.Join(t.TempDir(), "register.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer register.Close()
	first := w.subscribe(t, "register", register.keep, sdk.WithPosition(register.position))
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := w.hall.Subscribe(short, "register", register.keep, sdk.WithPosition(register.position)); err == nil {
		t.Fatal("two receive")
	}
	opened := make(chan *sdk.Subscription, 1)
	go func() {
		s, err := w.hall.Subscribe(t.Context(), "register", register.keep, sdk.WithPosition(register.position))
		if err != nil {
			t.Error(err)
		}
		opened <- s
	}()
	publishAll(t, w.publisher, some(30))
	through := func(want uint64) func() bool {
		return func() bool {
			got, err := register.position(t.Context())
			return err == nil && got == want
		}
	}
	await(t, "the first wrote all down", through(30))
	drain(t, first)
	publishAll(t, w.publisher, some(30)[:10])
	select {
	case second := <-opened:
		await(t, "the second wrote all down", through(40))
		drain(t, second)
	case <-soon(t).Done():
		t.Fatal("the second does not open")
	}
	var changes int
	if err := register.QueryRow("SELECT sum(changes) FROM marriages").Scan(&changes); err != nil || changes != 40 {
		t.Errorf("%d changes, not 40: %v", changes, err)
	}
}
