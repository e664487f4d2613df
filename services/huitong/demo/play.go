package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/departments"
	"github.com/huitong-bus/huitong/services/departments/sample"
	"github.com/huitong-bus/huitong/services/huitong/authority"
)

const (
	clerk      = "clerk-017"
	caseNumber = "SF-2026-000042"
)

// Play plays the case on a running exchange, as its operator, and tells w what
// happened. The exchange is to be fresh.
func Play(ctx context.Context, operator *sdk.Client, address string, city *sample.City, w io.Writer) (err error) {
	all, err := prepare(ctx, authority.New(operator, address))
	defer func() { err = errors.Join(err, all.close()) }()
	if err != nil {
		return err
	}
	for _, source := range departments.Sources() {
		if err := publish(ctx, source, all.sources[source.Department.Code], city, w); err != nil {
			return err
		}
	}
	if err := ask(ctx, departments.NewHall(all.hall), city, w); err != nil {
		return err
	}
	if err := refused(ctx, departments.NewHall(all.stranger), city, w); err != nil {
		return err
	}
	return audit(ctx, all.auditor, w)
}

func publish(ctx context.Context, source departments.Source, client *sdk.Client, city *sample.City, w io.Writer) error {
	publisher := client.Publisher(sdk.PublisherConfig{})
	started := time.Now()
	done, err := source.Publish(ctx, publisher, city)
	if err = errors.Join(err, publisher.Close(ctx)); err != nil {
		return err
	}
	if err := done.Last.Verify(client.LedgerKey()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s 发布 %d 条，用时 %s\n", source.Department.Name, done.Records, time.Since(started).Round(time.Millisecond))
	return err
}

// ask queries what the first family's application needs.
func ask(ctx context.Context, hall *departments.Hall, city *sample.City, w io.Writer) error {
	applicant := city.Families[0].Holder
	for _, topic := range []string{departments.Households, departments.Marriages, departments.Incomes, departments.Disabilities} {
		answer, err := hall.Ask(ctx, topic, applicant.Number, clerk, caseNumber)
		if err != nil {
			return fmt.Errorf("query %s: %w", topic, err)
		}
		if len(answer.Records) != 1 {
			return fmt.Errorf("query %s: %d records, not 1", topic, len(answer.Records))
		}
		r := &answer.Records[0]
		if _, err := fmt.Fprintf(w, "查询 %s：1 条，未授权字段 %d 个，账本第 %d 条\n", topic, len(r.Withheld), answer.Release.Index); err != nil {
			return err
		}
	}
	return nil
}

// refused asks without a grant and expects the rule that says so.
func refused(ctx context.Context, stranger *departments.Hall, city *sample.City, w io.Writer) error {
	_, err := stranger.Ask(ctx, departments.Incomes, city.Families[0].Holder.Number, clerk, caseNumber)
	if err == nil {
		return errors.New("a system without a grant was answered")
	}
	if fault.KindOf(err) != fault.Denied {
		return fmt.Errorf("a system without a grant failed otherwise than by refusal: %w", err)
	}
	_, err = fmt.Fprintf(w, "无授权系统被拒绝，规则 %s\n", fault.RuleOf(err))
	return err
}

// audit exports the ledger and checks it from the export alone.
func audit(ctx context.Context, auditor *sdk.Client, w io.Writer) error {
	var export bytes.Buffer
	checkpoint, err := auditor.Export(ctx, &export)
	if err != nil {
		return err
	}
	found, err := sdk.AuditExport(&export, checkpoint.Signed, auditor.LedgerKey())
	if err != nil {
		return err
	}
	if found.UnsignedCalls > 0 {
		return fmt.Errorf("%d calls are unsigned", found.UnsignedCalls)
	}
	_, err = fmt.Fprintf(w, "审计离线核验 %d 条账目、%d 个签名，全部一致\n", found.Entries, found.SignedCalls)
	return err
}
