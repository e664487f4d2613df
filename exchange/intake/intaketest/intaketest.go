// Package intaketest gives tests an intake on an exchange, with what decides
// behind it.
package intaketest

import (
	"context"
	"testing"
	"time"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/catalog/catalogtest"
	"github.com/huitong-bus/huitong/exchange/intake"
)

// Intake is an intake with its usual limits.
type Intake struct {
	*intake.Intake
	Policy *access.Policy
	// Refused counts refusals in windows that outlast a test.
	Refused *access.Refusals
}

// Open opens an intake; the test's end closes what is behind it.
func Open(t testing.TB, x *catalogtest.Exchange) *Intake {
	t.Helper()
	policy, err := access.Open(t.Context(), access.Config{DB: x.DB, Journal: x.Journal, Catalogue: x.Catalogue})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(policy.Close)
	refusals := access.NewRefusals(access.RefusalsConfig{Journal: x.Journal, Window: time.Hour})
	t.Cleanup(func() { refusals.Stop(context.Background()) })
	return &Intake{Policy: policy, Refused: refusals, Intake: &intake.Intake{
		Journal: x.Journal, Topics: x.Catalogue, Access: policy, Refusals: refusals, Keys: x.Identity.Keyring,
		MaxRecords: intake.DefaultMaxRecords, MaxRecordBytes: intake.DefaultMaxRecordBytes, MaxCallBytes: intake.DefaultMaxCallBytes,
	}}
}
