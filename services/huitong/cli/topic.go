package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/huitong-bus/huitong/exchange/fault"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/huitong/listing"
)

func (a *app) topicCommand() *cobra.Command {
	return noun("topic", "Keep the catalogue of records",
		a.topicCreate(), a.topicEdit(), a.topicSubmit(), a.topicReview(), a.topicWithdraw(), a.topicList(), a.topicShow())
}

func (a *app) topicCreate() *cobra.Command {
	var e entryFlags
	var provider string
	var dry bool
	c := &cobra.Command{
		Use:   "create [NAME] [--file FILE]",
		Short: "Write an entry of the catalogue; an operator's is published at once",
		Long: `Drafts a catalogue entry of one's own department, which is then submitted (huitong topic
submit). What an operator creates is published at once.

` + entryFile,
		Example: `  huitong topic create person --provider 11999900MB0000019D --title 人口基本信息 \
      --contract huitong.records.v1.Person --class conditional --conditions 社会救助核对
  huitong topic create marriage --file marriage.yaml --item registrar_name,class=not-shared,legal-basis=…`,
		Args: cobra.MaximumNArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			t, err := e.entry(args)
			if err != nil {
				return err
			}
			if provider != "" {
				t.Provider = provider
			} else if t.Provider == "" {
				t.Provider = c.Participant()
			}
			resp, err := catalogue(c).CreateTopic(ctx, &cataloguev1.CreateTopicRequest{Topic: t, ValidateOnly: dry})
			if err != nil {
				return fault.FromStatus(err)
			}
			return a.topicChanged(ctx, c, resp, dry, "created")
		}),
	}
	e.add(c)
	c.Flags().StringVar(&provider, "provider", "", "the organisation that publishes; the caller's own if not given")
	return dryRunFlag(c, &dry)
}

// entry gives a new entry of file and flags.
func (e *entryFlags) entry(args []string) (*cataloguev1.Topic, error) {
	name := strings.Join(args, "")
	t, err := e.read(name)
	switch {
	case err != nil:
		return nil, err
	case t != nil:
		return t, e.put(t, false)
	case name == "":
		return nil, usageError("name the topic, or a --file that describes it")
	case e.said.Contract == "":
		return nil, usageError("--contract names the message that its records are, unless a --file does")
	}
	t = &cataloguev1.Topic{Name: name}
	return t, e.put(t, true)
}

func (a *app) topicEdit() *cobra.Command {
	var e entryFlags
	var dry bool
	c := &cobra.Command{
		Use:   "edit NAME",
		Short: "Change an entry; what is published stays in force until the change is reviewed",
		Long: `Changes what the file and the flags mention of an entry, and shows what changes. Of a
published entry this drafts a revision, which is submitted and reviewed like the first;
an operator's change is in force at once. An edit that says what is in force drops the
revision.

` + entryFile,
		Example: `  huitong topic edit marriage --conditions 用于政务服务事项核对婚姻状况 --dry-run
  huitong topic edit marriage --item registrar_name,sensitivity=3 --unlink 000711004000`,
		Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			if !e.given() {
				return usageError("say what to change, by flags or in a --file")
			}
			before, err := editable(ctx, c, args[0])
			if err != nil {
				return err
			}
			t, err := e.over(before, args[0])
			if err != nil {
				return err
			}
			resp, err := catalogue(c).UpdateTopic(ctx, &cataloguev1.UpdateTopicRequest{Topic: t, ValidateOnly: dry})
			if err != nil {
				return fault.FromStatus(err)
			}
			if !a.json() {
				after, err := editedOf(ctx, c, resp.GetTopic())
				if err != nil {
					return err
				}
				a.printChanges(listing.TopicChanges(before, after))
			}
			return a.topicChanged(ctx, c, resp, dry, "edited")
		}),
	}
	e.add(c)
	// What is not given stays as it is.
	for flag, none := range map[string]string{"class": "", "mode": "[]", "signature-required": "false"} {
		c.Flags().Lookup(flag).DefValue = none
	}
	c.Flags().StringArrayVar(&e.unlinked, "unlink", nil, "code of a service item that it no longer serves; repeat it")
	return dryRunFlag(c, &dry)
}

// over gives an entry with what file and flags say over it.
func (e *entryFlags) over(have *cataloguev1.Topic, name string) (*cataloguev1.Topic, error) {
	file, err := e.read(name)
	if err != nil {
		return nil, err
	}
	t := listing.Overlay(&cataloguev1.Topic{}, have)
	if file != nil {
		t = listing.Overlay(file, have)
	}
	return t, e.put(t, false)
}

// editable gives what an edit of a topic would change, as its writer states it:
// to a department its revision, if there is one; to an operator what is in force.
func editable(ctx context.Context, c *sdk.Client, name string) (*cataloguev1.Topic, error) {
	resp, err := catalogue(c).GetTopic(ctx, &cataloguev1.GetTopicRequest{Name: name})
	if err != nil {
		return nil, fault.FromStatus(err)
	}
	return editedOf(ctx, c, resp.GetTopic())
}

func editedOf(ctx context.Context, c *sdk.Client, t *cataloguev1.Topic) (*cataloguev1.Topic, error) {
	operator, err := operates(ctx, c)
	if err != nil {
		return nil, err
	}
	if t.GetRevision() != nil && !operator {
		t = t.GetRevision()
	}
	return listing.Stated(ctx, catalogue(c), t)
}

// operates says whether the caller is an operator, who reviews what it writes.
func operates(ctx context.Context, c *sdk.Client) (bool, error) {
	caller, err := c.Caller(ctx)
	return slices.Contains(caller.GetSystem().GetRoles(), cataloguev1.Role_ROLE_OPERATOR), err
}

// printChanges prints fields with what they had and have.
func (a *app) printChanges(fields []listing.FieldChange) {
	for _, f := range fields {
		a.printf("    %s: %s -> %s\n", f.Field, orElse(f.From, "none"), orElse(f.To, "none"))
	}
}
