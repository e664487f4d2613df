package sdk_test

import (
	"context"
	"database/sql"
	"fmt"
	"log"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // the department's own database

	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/sdk"
)

// register is a department's own database: what it received, and beside it how
// far it has received.
type register struct{ *sql.DB }

func openRegister(path string) (register, error) {
	db, err := sql.Open("sqlite", path+"?_pragma=busy_timeout(5000)")
	if err != nil {
		return register{}, err
	}
	_, err = db.Exec(`
		CREATE TABLE IF NOT EXISTS marriages (certificate TEXT PRIMARY KEY, status TEXT NOT NULL, changes INTEGER NOT NULL);
		CREATE TABLE IF NOT EXISTS position (one INTEGER PRIMARY KEY CHECK (one = 1), sequence INTEGER NOT NULL);
		INSERT INTO position VALUES (1, 0) ON CONFLICT DO NOTHING`)
	return register{db}, err
}

// position is how far everything is written down.
func (r register) position(ctx context.Context) (through uint64, err error) {
	err = r.QueryRowContext(ctx, "SELECT sequence FROM position").Scan(&through)
	return through, err
}

// keep writes a delivery down, and in the same transaction the position. Whether
// the process dies before or after COMMIT: both are there, or neither is.
func (r register) keep(ctx context.Context, d *sdk.Delivery) error {
	tx, err := r.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(ctx, `
		INSERT INTO marriages VALUES (?1, ?2, 1)
		ON CONFLICT (certificate) DO UPDATE SET status = ?2, changes = changes + 1`, d.Key, d.Status.String()); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "UPDATE position SET sequence = max(sequence, ?)", d.Sequence); err != nil {
		return err
	}
	return tx.Commit()
}

// A subscriber may keep its position beside its own data, in one transaction
// with it: then each delivery takes effect once, whatever breaks in between.
func ExampleWithPosition() {
	exchange := startExample()
	defer exchange.end()
	exchange.publish(
		exampleMarriage("J999999-2025-000001", "999999199001010016"),
		exampleMarriage("J999999-2025-000002", "999999195003010038"),
	)
	ctx := context.Background()
	client, err := sdk.Connect(ctx, exchange.hall)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	dir, err := os.MkdirTemp("", "register-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	register, err := openRegister(filepath.Join(dir, "register.db"))
	if err != nil {
		log.Fatal(err)
	}
	defer register.Close()

	_, err = client.EnsureSubscription(ctx, sdk.NewSubscription{Name: "register", Topic: "marriage", Start: sdk.FromCurrent()})
	if err != nil {
		log.Fatal(err)
	}
	receive := func() {
		var subscription *sdk.Subscription
		caughtUp := make(chan struct{}, 1)
		subscription, err = client.Subscribe(ctx, "register", register.keep,
			sdk.WithPosition(register.position),
			sdk.WithCaughtUp(func() { caughtUp <- struct{}{} }))
		if err != nil {
			log.Fatal(err)
		}
		<-caughtUp
		subscription.Drain()
		<-subscription.Closed()
	}
	receive()
	exchange.publish(exampleMarriage("J999999-2025-000003", "999999197202290019"))
	receive()

	var marriages, changes int
	if err := register.QueryRow("SELECT count(*), sum(changes) FROM marriages").Scan(&marriages, &changes); err != nil {
		log.Fatal(err)
	}
	fmt.Println(marriages, "marriages, written down", changes, "times")
	// Output: 3 marriages, written down 3 times
}

// Handle decodes each record. Returning nil acknowledges it.
func ExampleClient_Subscribe() {
	exchange := startExample()
	defer exchange.end()
	exchange.publish(exampleMarriage("J999999-2025-000001", "999999199001010016"))
	ctx := context.Background()
	client, err := sdk.Connect(ctx, exchange.hall)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	_, err = client.EnsureSubscription(ctx, sdk.NewSubscription{Name: "marriages", Topic: "marriage", Start: sdk.FromCurrent()})
	if err != nil {
		log.Fatal(err)
	}
	received := make(chan string)
	subscription, err := client.Subscribe(ctx, "marriages", sdk.Handle(
		func(ctx context.Context, d *sdk.Delivery, m *recordsv1.Marriage) error {
			if m == nil { // a revocation or another change without content
				return nil
			}
			received <- m.PartyAName + "和" + m.PartyBName
			return nil
		}))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(<-received)
	subscription.Drain() // finish what is under way, acknowledge it, and stop
	<-subscription.Closed()
	fmt.Println(subscription.Err())
	// Output:
	// 张伟和李秀英
	// <nil>
}
