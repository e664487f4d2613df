package cli

import (
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/huitong-bus/huitong/exchange/fault"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	"github.com/huitong-bus/huitong/sdk"
)

func ledger(c *sdk.Client) ledgerv1.LedgerServiceClient {
	return ledgerv1.NewLedgerServiceClient(c.Conn())
}

func (a *app) ledgerCommand() *cobra.Command {
	return noun("ledger", "Read, prove and check the ledger",
		a.ledgerList(), a.ledgerGet(), a.ledgerWatch(), a.ledgerProve(), a.ledgerVerify(),
		a.ledgerCheckpoint(), a.ledgerExport(), a.ledgerFsck(), a.ledgerErasures(), a.ledgerRebuild())
}

// filterFlags narrow a list of entries.
type filterFlags struct {
	filter      ledgerv1.EntryFilter
	from, until string
	subject     string
}

func (f *filterFlags) add(c *cobra.Command) {
	fs := c.Flags()
	fs.StringVar(&f.filter.Participant, "participant", "", "only entries this organisation is party to")
	fs.StringVar(&f.filter.System, "system", "", "only entries this system is party to")
	fs.StringVar(&f.filter.Topic, "topic", "", "only entries on this topic")
	fs.StringSliceVar(&f.filter.Kinds, "kind", nil, "only these kinds: published, released, received, refused, queried, changed, certificate, erased, read")
	fs.StringVar(&f.from, "from", "", "not before: a time (RFC 3339) or a day")
	fs.StringVar(&f.until, "until", "", "before: a time (RFC 3339) or a day")
	fs.StringVar(&f.subject, "subject", "", "only entries about TYPE:NUMBER")
	fs.StringVar(&f.filter.CaseNumber, "case", "", "only entries of this case")
	fs.Uint64Var(&f.filter.FromIndex, "from-index", 0, "only entries from this index on")
}

func (f *filterFlags) parse() (*ledgerv1.EntryFilter, error) {
	for _, t := range []struct {
		text string
		into **timestamppb.Timestamp
	}{{f.from, &f.filter.From}, {f.until, &f.filter.Until}} {
		if t.text == "" {
			continue
		}
		at, err := parseTime(t.text)
		if err != nil {
			return nil, err
		}
		*t.into = timestamppb.New(at)
	}
	if f.subject != "" {
		s, err := parseSubject(f.subject)
		if err != nil {
			return nil, err
		}
		f.filter.Subject = &ledgerv1.Subject{Type: s.Type, Number: s.Number, Role: s.Role}
	}
	return &f.filter, nil
}

func (a *app) ledgerList() *cobra.Command {
	var f filterFlags
	var limit int
	var newest bool
	c := &cobra.Command{
		Use: "list", Short: "List entries that the caller may see",
		Example: `  huitong ledger list --topic person --kind published,queried
  huitong ledger list --subject 111:999999199001010016
  huitong ledger list --newest --limit 20`,
		Args: cobra.NoArgs,
		RunE: a.with(func(ctx context.Context, c *sdk.Client, _ []string) error {
			filter, err := f.parse()
			if err != nil {
				return err
			}
			all := pages(func(token string) ([]*ledgerv1.Entry, string, error) {
				r := &ledgerv1.ListEntriesRequest{Filter: filter, PageSize: pageSize, PageToken: token, Descending: newest}
				if limit > 0 {
					r.PageSize = uint32(min(limit, pageSize))
				}
				resp, err := ledger(c).ListEntries(ctx, r)
				return resp.GetEntries(), resp.GetNextPageToken(), fault.FromStatus(err)
			})
			return list(a, func(yield func(*ledgerv1.Entry, error) bool) {
				n := 0
				for e, err := range all {
					if !yield(e, err) {
						return
					}
					if n++; n == limit {
						return
					}
				}
			}, entryColumns()...)
		}),
	}
	f.add(c)
	c.Flags().IntVar(&limit, "limit", 0, "no more entries than this; all if 0")
	c.Flags().BoolVar(&newest, "newest", false, "newest first")
	return c
}

func entryColumns() []column[*ledgerv1.Entry] {
	type E = *ledgerv1.Entry
	return []column[E]{
		{"ENTRY", func(e E) string { return itoa(e.GetEntry().GetIndex()) }},
		{"AT", func(e E) string { return clock(time.UnixMicro(e.GetEntry().GetAtUs())) }},
		{"KIND", func(e E) string { return kindOf(e.GetEntry()) }},
		{"BY", func(e E) string { return orElse(e.GetEntry().GetActor(), "the exchange") }},
		{"WHAT", func(e E) string { return what(e.GetEntry()) }},
	}
}

func kindOf(e *ledgerv1.LedgerEntry) string {
	m := e.ProtoReflect()
	if f := m.WhichOneof(m.Descriptor().Oneofs().ByName("body")); f != nil {
		return string(f.Name())
	}
	return ""
}

// what says in a few words what an entry says.
func what(e *ledgerv1.LedgerEntry) string {
	switch b := e.GetBody().(type) {
	case *ledgerv1.LedgerEntry_Published:
		return fmt.Sprintf("%s on %s", enumText(b.Published.GetOperation()), b.Published.GetTopic())
	case *ledgerv1.LedgerEntry_Released:
		r := b.Released
		return fmt.Sprintf("%s of %s to %s%s", counted(uint64(r.GetRecords())), r.GetTopic(), r.GetSubscription(), yesNo(r.GetPeek(), ", a dead letter looked at", ""))
	case *ledgerv1.LedgerEntry_Received:
		return fmt.Sprintf("%s of %s by %s, all to %d", counted(b.Received.GetRecords()), b.Received.GetTopic(), b.Received.GetSubscription(), b.Received.GetFloor())
	case *ledgerv1.LedgerEntry_Refused:
		r := b.Refused
		return fmt.Sprintf("%s%s, %s%s", r.GetAction(), prefix(" on ", r.GetTopic()), r.GetRule(), times(r.GetCount()))
	case *ledgerv1.LedgerEntry_Queried:
		return fmt.Sprintf("%s of %s for %s%s", counted(uint64(b.Queried.GetRecords())), b.Queried.GetTopic(), b.Queried.GetPurpose(), yesNo(b.Queried.GetPreview(), ", shown as a preview", ""))
	case *ledgerv1.LedgerEntry_Changed:
		c := b.Changed
		return fmt.Sprintf("%s %s: %s%s", c.GetObject(), c.GetId(), c.GetChange(), prefix(", ", c.GetReason()))
	case *ledgerv1.LedgerEntry_Certificate:
		c := b.Certificate
		return fmt.Sprintf("%s: %s%s", c.GetSystem(), c.GetChange(), prefix(", ", c.GetReason()))
	case *ledgerv1.LedgerEntry_Erased:
		return fmt.Sprintf("%d versions on %s, asked for in entry %d", b.Erased.GetVersions(), b.Erased.GetTopic(), b.Erased.GetRequestedBy())
	case *ledgerv1.LedgerEntry_Read:
		return b.Read.GetAction()
	}
	return whatOfPermission(e)
}

// counted says how many records there are.
func counted(records uint64) string {
	if records == 1 {
		return "1 record"
	}
	return fmt.Sprintf("%d records", records)
}

// times says how many refusals an entry stands for, where it is more than one.
func times(count uint64) string {
	if count == 1 {
		return ""
	}
	return fmt.Sprintf(", %d times", count)
}

// whatOfPermission says what an entry of permissions, cases and consents says.
func whatOfPermission(e *ledgerv1.LedgerEntry) string {
	switch b := e.GetBody().(type) {
	case *ledgerv1.LedgerEntry_Stepped:
		s := b.Stepped
		return fmt.Sprintf("grant %s version %d: %s by the %s", s.GetGrant(), s.GetVersion(), s.GetStep(), s.GetSide())
	case *ledgerv1.LedgerEntry_Person:
		return fmt.Sprintf("an official of %s: %s%s", b.Person.GetParticipant(), b.Person.GetChange(), prefix(", ", b.Person.GetReason()))
	case *ledgerv1.LedgerEntry_CaseOpened:
		return fmt.Sprintf("a case of %s for %d%s", b.CaseOpened.GetItem(), len(b.CaseOpened.GetSubjectCommitments()),
			yesNo(b.CaseOpened.GetAfterTheFact(), ", after the fact", ""))
	case *ledgerv1.LedgerEntry_CaseClosed:
		return fmt.Sprintf("a case of %s, opened in entry %d", b.CaseClosed.GetItem(), b.CaseClosed.GetOpenedBy())
	case *ledgerv1.LedgerEntry_ConsentGiven:
		return fmt.Sprintf("to %s by %s%s", b.ConsentGiven.GetRecipient(), b.ConsentGiven.GetMeans(), yesNo(b.ConsentGiven.GetWeaker(), ", weaker", ""))
	case *ledgerv1.LedgerEntry_ConsentRevoked:
		return fmt.Sprintf("to %s by %s", b.ConsentRevoked.GetRecipient(), b.ConsentRevoked.GetMeans())
	case *ledgerv1.LedgerEntry_Representation:
		return fmt.Sprintf("%s: %s", b.Representation.GetKind(), b.Representation.GetChange())
	case *ledgerv1.LedgerEntry_Checked:
		return fmt.Sprintf("%s on %s for %s", b.Checked.GetCheck(), b.Checked.GetTopic(), b.Checked.GetPurpose())
	case *ledgerv1.LedgerEntry_Enrolled:
		n := b.Enrolled
		return fmt.Sprintf("%d subjects %s %s, %s", len(n.GetSubjectCommitments()), yesNo(n.GetRemoved(), "removed from", "added to"), n.GetSubscription(), n.GetCause())
	case *ledgerv1.LedgerEntry_Disputed:
		return fmt.Sprintf("entry %d on %s", b.Disputed.GetIndex(), b.Disputed.GetTopic())
	case *ledgerv1.LedgerEntry_DisputeAnswered:
		return fmt.Sprintf("dispute of entry %d on %s: %s", b.DisputeAnswered.GetDispute(), b.DisputeAnswered.GetTopic(), b.DisputeAnswered.GetOutcome())
	case *ledgerv1.LedgerEntry_StatusAsked:
		return "how a record of " + b.StatusAsked.GetTopic() + " stands"
	case *ledgerv1.LedgerEntry_SnapshotBegun:
		return "a full load of " + b.SnapshotBegun.GetTopic()
	case *ledgerv1.LedgerEntry_SnapshotEnded:
		s := b.SnapshotEnded
		return fmt.Sprintf("a full load of %s: %d of %d removed%s", s.GetTopic(), s.GetRemoved(), s.GetHeld(), yesNo(s.GetAbandoned(), ", abandoned", ""))
	case *ledgerv1.LedgerEntry_Prepared:
		return fmt.Sprintf("%s: %d materials%s", b.Prepared.GetItem(), len(b.Prepared.GetMaterials()), yesNo(b.Prepared.GetAgain(), ", again", ""))
	case *ledgerv1.LedgerEntry_Collected:
		return fmt.Sprintf("%s: %d copies", b.Collected.GetItem(), b.Collected.GetCopies())
	case *ledgerv1.LedgerEntry_Submitted:
		s := b.Submitted
		return fmt.Sprintf("%s for %s, grade %s, in entry %d", s.GetMaterial(), s.GetItem(), s.GetGrade(), s.GetPublication())
	case *ledgerv1.LedgerEntry_Papers:
		return fmt.Sprintf("%s: %d papers accepted unasked", b.Papers.GetItem(), len(b.Papers.GetPapers()))
	case *ledgerv1.LedgerEntry_DocumentStored:
		return "a document is there"
	case *ledgerv1.LedgerEntry_DocumentReturned:
		return "a document to who brought it"
	}
	return ""
}

func prefix(before, text string) string {
	if text == "" {
		return ""
	}
	return before + text
}

func parseIndex(text string) (uint64, error) {
	index, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, usageError("%q is no entry; entries are counted from 0", text)
	}
	return index, nil
}

func (a *app) ledgerGet() *cobra.Command {
	var opening bool
	c := &cobra.Command{
		Use: "get ENTRY", Short: "Show one entry", Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			index, err := parseIndex(args[0])
			if err != nil {
				return err
			}
			resp, err := ledger(c).GetEntry(ctx, &ledgerv1.GetEntryRequest{Index: index, WithOpening: opening})
			if err != nil {
				return fault.FromStatus(err)
			}
			return a.showEntry(resp.GetEntry())
		}),
	}
	c.Flags().BoolVar(&opening, "opening", false, "with what its commitments commit to, as far as the caller may see it")
	return c
}

func (a *app) showEntry(e *ledgerv1.Entry) error {
	if a.json() {
		return a.printJSON(e)
	}
	m := e.GetEntry()
	pairs := []pair{
		{"entry", itoa(m.GetIndex())}, {"at", clock(time.UnixMicro(m.GetAtUs()))}, {"kind", kindOf(m)},
		{"by", orElse(m.GetActor(), "the exchange")}, {"certificate", hex.EncodeToString(m.GetActorCertificate())},
	}
	r := m.ProtoReflect()
	if f := r.WhichOneof(r.Descriptor().Oneofs().ByName("body")); f != nil {
		pairs = append(pairs, fieldPairs("", r.Get(f).Message())...)
	}
	for _, o := range []struct {
		name string
		m    protoreflect.Message
	}{{"opening: ", e.GetRecordOpening().ProtoReflect()}, {"opening: ", e.GetReadOpening().ProtoReflect()}} {
		if o.m.IsValid() {
			pairs = append(pairs, fieldPairs(o.name, o.m)...)
		}
	}
	return a.pairs(pairs...)
}

// fieldPairs gives a message's fields in the order of their numbers.
func fieldPairs(before string, m protoreflect.Message) []pair {
	var all []pair
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if !m.Has(f) {
			continue
		}
		name := before + strings.ReplaceAll(string(f.Name()), "_", " ")
		if !f.IsList() {
			all = append(all, pair{name, valueText(f, m.Get(f))})
			continue
		}
		var texts []string
		for n := range m.Get(f).List().Len() {
			texts = append(texts, valueText(f, m.Get(f).List().Get(n)))
		}
		all = append(all, pair{name, strings.Join(texts, ", ")})
	}
	return all
}

func valueText(f protoreflect.FieldDescriptor, v protoreflect.Value) string {
	switch {
	case f.Kind() == protoreflect.EnumKind:
		if value := f.Enum().Values().ByNumber(v.Enum()); value != nil {
			return spelled(value)
		}
	case f.Kind() == protoreflect.BytesKind:
		const shown = 64
		if b := v.Bytes(); len(b) > shown {
			return fmt.Sprintf("%d bytes", len(b))
		}
		return hex.EncodeToString(v.Bytes())
	case f.Message() != nil:
		if text, err := compact(v.Message().Interface()); err == nil {
			return string(text)
		}
	case strings.HasSuffix(string(f.Name()), "_us"):
		return clock(time.UnixMicro(v.Int()))
	}
	return v.String()
}

func (a *app) ledgerWatch() *cobra.Command {
	var f filterFlags
	var count int
	c := &cobra.Command{
		Use: "watch", Short: "Print entries as they are committed", Args: cobra.NoArgs,
		RunE: a.connected(func(ctx context.Context, c *sdk.Client, _ []string) error {
			filter, err := f.parse()
			if err != nil {
				return err
			}
			stream, err := ledger(c).WatchEntries(ctx, &ledgerv1.WatchEntriesRequest{Filter: filter})
			if err != nil {
				return fault.FromStatus(err)
			}
			for n := 0; count == 0 || n < count; n++ {
				resp, err := stream.Recv()
				if ctx.Err() != nil {
					return nil
				}
				if err != nil {
					return fault.FromStatus(err)
				}
				// A line at a time: a table would wait for more.
				if err := list(a, each([]*ledgerv1.Entry{resp.GetEntry()}), watchColumns()...); err != nil {
					return err
				}
			}
			return nil
		}),
	}
	f.add(c)
	c.Flags().IntVar(&count, "count", 0, "end after so many entries")
	return c
}

func watchColumns() []column[*ledgerv1.Entry] {
	columns := entryColumns()
	for i := range columns {
		columns[i].name = ""
	}
	return columns
}

func (a *app) ledgerCheckpoint() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use: "checkpoint", Short: "Fetch and check the newest signed checkpoint", Args: cobra.NoArgs,
		RunE: a.with(func(ctx context.Context, c *sdk.Client, _ []string) error {
			checkpoint, err := c.Checkpoint(ctx)
			if err != nil {
				return err
			}
			if out != "" {
				if err := os.WriteFile(out, []byte(checkpoint.Signed), 0o644); err != nil {
					return err
				}
			}
			if a.json() {
				return a.printValue(map[string]any{"origin": checkpoint.Origin, "size": checkpoint.Size, "root": checkpoint.Root[:],
					"signed": checkpoint.Signed, "ledger_key": c.LedgerKey()})
			}
			_, err = fmt.Fprint(a.out, checkpoint.Signed)
			return err
		}),
	}
	c.Flags().StringVar(&out, "out", "", "write it to this file too")
	return c
}
