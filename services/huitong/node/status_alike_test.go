package node_test

import (
	"context"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/store"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	exchangev1 "github.com/huitong-bus/huitong/proto/gen/huitong/exchange/v1"
	recordsv1 "github.com/huitong-bus/huitong/proto/gen/huitong/records/v1"
	"github.com/huitong-bus/huitong/services/departments/sample"
)

// question is one about how a record stands.
type question struct{ topic, key string }

// alike issues what may not be told from what is not held: a record that was erased,
// one on a topic that is not shared, one whose contract offers no status. It gives
// questions for these and for what is not held.
func (in *issuing) alike(t *testing.T) []question {
	t.Helper()
	hidden := unconditional("hidden", "Certificate", sample.DisabledPersons)
	hidden.SharingClass, hidden.LegalBasis = cataloguev1.SharingClass_SHARING_CLASS_NOT_SHARED, "《政务数据共享条例》第十四条"
	ok(t, in.CreateTopic(t.Context(), hidden))
	ok(t, in.CreateTopic(t.Context(), unconditional("persons", "Person", sample.DisabledPersons)))
	id, erased := certificateID(1, 1), certificateID(2, 1)
	in.issue(t, certificateOf(erased))
	_, err := in.publisher.Erase(t.Context(), certificates, erased, "登记有误")
	ok(t, err)
	_, err = in.publisher.Publish(t.Context(), "hidden", certificateOf(id))
	ok(t, err)
	person := &recordsv1.Person{IdType: "111", IdNumber: earner, Name: "王小明", Sex: recordsv1.Sex_SEX_MALE}
	_, err = in.publisher.Publish(t.Context(), "persons", person)
	ok(t, err)
	return []question{
		{certificates, id}, {certificates, erased}, {certificates, "另一证件"}, {"hidden", id}, {"hidden", erased}, {"persons", earner}, {"persons", "无"},
	}
}

func (in *issuing) ask(t *testing.T, q question) (*exchangev1.GetStatusResponse, error) {
	t.Helper()
	client := exchangev1.NewStatusServiceClient(in.hall.Conn())
	return client.GetStatus(t.Context(), &exchangev1.GetStatusRequest{Topic: q.topic, Key: q.key})
}

// TestUnknownAndNotOfferedAreAlike: what is not held, was erased or is on a topic
// that offers no status gets one answer, and leaves one kind of entry.
func TestUnknownAndNotOfferedAreAlike(t *testing.T) {
	in := newIssuing(t)
	id := certificateID(1, 1)
	for _, q := range in.alike(t) {
		before := in.Node.Journal.Head().Size
		answer, err := in.ask(t, q)
		ok(t, err)
		if answer.Receipt.GetIndex() != before {
			t.Errorf("%v is proven by entry %d, not %d", q, answer.Receipt.GetIndex(), before)
		}
		// What is left is all that an answer says of the record.
		answer.QuestionSalt, answer.AnswerSalt, answer.Receipt, answer.Proof = nil, nil, nil, nil
		if !proto.Equal(answer, &exchangev1.GetStatusResponse{Standing: exchangev1.Standing_STANDING_UNKNOWN}) {
			t.Errorf("%v: %v", q, answer)
		}
		if left := entriesFrom(t, in.Exchange, before); len(left) != 1 || left[0].GetStatusAsked().GetTopic() != q.topic {
			t.Errorf("%v left %v", q, left)
		}
	}
	for rule, q := range map[string]question{
		"topic.required": {"", id}, "key.size": {certificates, ""}, "topic.unknown": {"nothing", id},
	} {
		if _, err := in.ask(t, q); fault.RuleOf(fault.FromStatus(err)) != rule {
			t.Errorf("%v is answered %v", q, err)
		}
	}
	fsck(t, in.Exchange)
}

// TestUnknownAndNotOfferedAreAsMuchWork: the present version is looked for whatever
// is asked, and of what may not be told nothing more is read, so that the time of an
// answer says no more than the answer. What would be read is taken away to see that.
func TestUnknownAndNotOfferedAreAsMuchWork(t *testing.T) {
	in := newIssuing(t)
	first := in.Node.Journal.Head().Size
	questions := in.alike(t)
	told := in.issue(t, certificateOf(certificateID(3, 1)))
	execute := func(text string, args ...any) {
		t.Helper()
		ok(t, in.Node.DB.Journal.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
			_, err := tx.ExecContext(ctx, text, args...)
			return err
		}))
	}
	execute("UPDATE ledger SET leaf = $1 WHERE idx BETWEEN $2 AND $3", []byte("unreadable"), int64(first), int64(told.Index))
	if answer, err := in.ask(t, question{certificates, certificateID(3, 1)}); err == nil {
		t.Fatalf("what may be told is told without reading its entry: %v", answer)
	}
	for _, q := range questions {
		if _, err := in.ask(t, q); err != nil {
			t.Errorf("%v is answered %v: more was read than for what is not held", q, err)
		}
	}
	execute("ALTER TABLE records RENAME TO records_away")
	for _, q := range questions {
		if answer, err := in.ask(t, q); err == nil {
			t.Errorf("%v is answered %v without looking", q, answer.Standing)
		}
	}
}
