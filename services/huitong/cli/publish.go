package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/huitong-bus/huitong/exchange/fault"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	"github.com/huitong-bus/huitong/sdk"
)

type publishFlags struct {
	template
	operation string
	rejects   string
	source    string
	restart   bool
	dry       bool
	unsigned  bool
	full      fullFlags
	// named are the documents that the record has, by their ids.
	named []string
}

const longPublish = `Publishes records from a file, one JSON object a line (protobuf-JSON of the topic's
contract). "-" reads standard input.

Each record is accepted or refused alone. Refused lines go to --rejects, a file of
JSON lines with the line's number, the rule, the field and the input; it can hold
personal data and is readable by its owner alone. At the end the refusals are
counted by rule and field.

A run that was broken off goes on where it stopped: the exchange keeps, together
with the records, how far the file was published. A file that only grew goes on
after its old end; another file under the same name begins anew. Standard input
does so if --source names it.

With --full the file is everything that the source holds: records that are held and
that it does not mention are removed at the end. If a line is refused, nothing is
removed: correct it and publish the file again. If more would go than the exchange
lets go unasked, it says how many; "huitong full-load end" confirms the number.

A version that is put with a --reason corrects the one before: whoever queried,
checked or collected the record hears of it, with its own cases.

Other operations than put take the record's --key, or a file with one
{"key": …, "reason": …, "successor": …, "effective_at": …} a line.`

func (a *app) publishCommand() *cobra.Command {
	var f publishFlags
	c := &cobra.Command{
		Use:   "publish TOPIC [FILE|-]",
		Short: "Publish records from a file of JSON lines",
		Long:  longPublish,
		Example: `  huitong publish person persons.jsonl --rejects rejects.jsonl
  huitong publish person persons.jsonl --dry-run
  huitong publish person everybody.jsonl --full
  huitong publish person corrected.jsonl --reason 登记错误更正
  huitong publish person --operation revoke --key 999999199001010016 --reason 登记错误
  huitong publish person revocations.jsonl --operation revoke`,
		Args: cobra.RangeArgs(1, 2),
		RunE: a.connected(func(ctx context.Context, c *sdk.Client, args []string) error {
			f.topic = args[0]
			var err error
			if f.template.operation, err = parseOperation(f.operation); err != nil {
				return err
			}
			if err := f.full.check(&f); err != nil {
				return err
			}
			if f.template.documents, err = describeDocuments(ctx, c, f.named); err != nil {
				return err
			}
			if len(args) == 1 {
				return a.publishOne(ctx, c, &f)
			}
			return a.publishFile(ctx, c, &f, args[1])
		}),
	}
	fs := c.Flags()
	fs.StringVar(&f.operation, "operation", "put", "put, remove, suspend, resume, revoke, cancel, supersede or erase")
	fs.StringVar(&f.key, "key", "", "the record, for operations other than put")
	fs.StringVar(&f.reason, "reason", "", "why; required for revoke, cancel and erase; a version that is put with one corrects the one before")
	fs.StringVar(&f.successor, "successor", "", "with supersede: key of the record that takes its place")
	fs.StringVar(&f.effective, "effective-at", "", "from when it holds: a time (RFC 3339) or a day; from now if not given")
	fs.Uint32Var(&f.contract, "contract-version", 0, "the contract version the records are written by; the newest if 0")
	fs.StringSliceVar(&f.named, "document", nil, "id of a document that belongs to the record, of a file of one record; may be repeated")
	fs.StringVar(&f.rejects, "rejects", "", "file for the lines that are refused")
	fs.StringVar(&f.source, "source", "", "name of the source whose position is kept; made of topic and file name if not given")
	fs.BoolVar(&f.restart, "restart", false, "begin at the first line, whatever was published before")
	fs.BoolVar(&f.unsigned, "unsigned", false, "do not sign; topics that require signatures refuse that")
	fs.BoolVar(&f.dry, "dry-run", false, "check every line, publish nothing")
	f.full.add(fs)
	return c
}

// publishOne changes one record by its key.
func (a *app) publishOne(ctx context.Context, c *sdk.Client, f *publishFlags) error {
	if f.template.operation == sdk.Put {
		return usageError("name a file of JSON lines, or - for standard input")
	}
	if f.key == "" {
		return usageError("name the record with --key, or give a file of keys")
	}
	pub, err := f.publication()
	if err != nil {
		return err
	}
	p := c.Publisher(sdk.PublisherConfig{Unsigned: f.unsigned})
	defer func() { _ = p.Close(ctx) }()
	if f.dry {
		results, err := p.Validate(ctx, []sdk.Publication{pub})
		if err == nil {
			err = results[0].Err
		}
		if err == nil {
			a.printf("would %s the record; nothing was changed\n", f.operation)
		}
		return err
	}
	receipt, err := p.Do(ctx, pub)
	if err != nil {
		return err
	}
	if a.json() {
		return a.printValue(map[string]any{"topic": f.topic, "operation": f.operation, "index": receipt.Index, "at": receipt.At.UTC(), "leaf": receipt.Leaf})
	}
	a.printf("%s is published (ledger entry %d)\n", f.operation, receipt.Index)
	return nil
}

// publishFile publishes a file of lines.
func (a *app) publishFile(ctx context.Context, c *sdk.Client, f *publishFlags, file string) error {
	if f.key != "" {
		return usageError("--key names one record; the lines of a file name their own")
	}
	if _, err := f.publication(); err != nil {
		return err
	}
	// A topic that is not there is told before the first line is read.
	var err error
	if _, err = catalogue(c).GetTopic(ctx, &cataloguev1.GetTopicRequest{Name: f.topic}); err != nil {
		return fault.FromStatus(err)
	}
	source := f.source
	if source == "" && file != "-" && !f.full.on {
		source = sourceName(f.topic, filepath.Base(file))
	}
	l := &load{
		app: a, client: c, template: &f.template, source: source, dry: f.dry, unsigned: f.unsigned,
		refused: tally{}, warned: tally{}, started: time.Now(),
	}
	if f.full.on {
		if l.full, err = l.beginFull(ctx); err != nil {
			return err
		}
	}
	in, err := l.open(ctx, file, f.restart)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	if f.rejects != "" {
		if l.rejects, err = openRejects(f.rejects, l.begin.Line); err != nil {
			return err
		}
	}
	err = l.run(ctx)
	err = errors.Join(err, l.rejects.close())
	if l.full != nil {
		return l.endFull(ctx, &f.full, err, f.rejects)
	}
	return l.report(err, f.rejects)
}

// open opens the input and reads over what was published before.
func (l *load) open(ctx context.Context, file string, restart bool) (io.ReadCloser, error) {
	l.begin = newPosition()
	var before *sourcePosition
	if l.source != "" && !restart && !l.dry {
		var err error
		if before, err = lastPosition(ctx, l.client, l.source); err != nil {
			return nil, err
		}
	}
	in, err := l.openInput(file)
	if err != nil || before == nil || before.Line == 0 {
		if before != nil {
			l.begin = before
		}
		return in, err
	}
	same, err := l.lines.skip(before)
	if err != nil {
		return nil, errors.Join(err, in.Close())
	}
	if same {
		l.begin = before
		l.app.notef("going on after line %d, where an earlier run stopped\n", before.Line)
		return in, nil
	}
	if file == "-" {
		return nil, advise(fault.New(fault.Conflict, "source.changed", "standard input does not begin with what was published before from source %s", l.source),
			"name another source with --source, or begin anew with --restart")
	}
	l.app.notef("another file of this name was published before; this one begins anew\n")
	return l.openInput(file)
}

func (l *load) openInput(file string) (io.ReadCloser, error) {
	in := io.NopCloser(l.app.in)
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		in = f
	}
	l.lines = newLineReader(in, maxLine)
	l.lines.every = markEvery
	return in, nil
}
