package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/huitong-bus/huitong/sdk"
	"github.com/huitong-bus/huitong/services/huitong/listing"
)

func (a *app) catalogueCommand() *cobra.Command {
	return noun("catalogue", "Keep the catalogue as files", a.catalogueApply(), a.catalogueDiff())
}

const longCatalogue = `Reads all .yaml, .yml and .json files of a directory: participants, contracts (with
their .proto files) and topics, as huitong.catalogue.v1.CatalogueFile spells them.
What they do not mention is left as it is, and nothing is ever withdrawn because a
file no longer has it.

Records are not part of it: a system of their provider publishes them. Service items
are records of the topic service-items; a system enrolled for the data authority
publishes them, again without effect if the file did not change:
  huitong --context items item publish deploy/items/service-items.jsonl`

func (a *app) catalogueDiff() *cobra.Command {
	return &cobra.Command{
		Use: "diff DIR", Short: "Show what applying a directory would change", Long: longCatalogue,
		Example: "  huitong catalogue diff deploy/catalogue",
		Args:    cobra.ExactArgs(1),
		RunE: a.connected(func(ctx context.Context, c *sdk.Client, args []string) error {
			plan, err := planOf(ctx, c, args[0])
			if err != nil {
				return err
			}
			return a.printPlan(plan)
		}),
	}
}

func (a *app) catalogueApply() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use: "apply DIR", Short: "Bring the catalogue to what the files of a directory say",
		Long: longCatalogue + `

What would change is shown first, and asked about unless --yes is given. All of it is
tried before any of it is done; applying a directory again changes nothing.`,
		Example: "  huitong catalogue apply deploy/catalogue",
		Args:    cobra.ExactArgs(1),
		RunE: a.connected(func(ctx context.Context, c *sdk.Client, args []string) error {
			plan, err := planOf(ctx, c, args[0])
			if err != nil {
				return err
			}
			if err := a.printPlan(plan); err != nil {
				return err
			}
			created, changed := plan.Changes()
			if created+changed == 0 {
				return nil
			}
			if !yes {
				if err := a.confirm(fmt.Sprintf("Create %d and change %d?", created, changed)); err != nil {
					return err
				}
			}
			return plan.Apply(ctx, func(s *listing.Step) { a.printf("%s %s: %sd\n", s.Kind, s.ID, s.Change) })
		}),
	}
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return c
}

func planOf(ctx context.Context, c *sdk.Client, dir string) (listing.Plan, error) {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, usageError("%s is no directory", dir)
	}
	wanted, err := listing.Load(os.DirFS(dir))
	if err != nil {
		return nil, err
	}
	return listing.Make(ctx, c.Conn(), wanted)
}

// printPlan prints what is to be created (+) and changed (~), field by field.
func (a *app) printPlan(plan listing.Plan) error {
	unchanged := 0
	for _, s := range plan {
		if a.json() {
			if err := a.printValue(s); err != nil {
				return err
			}
			continue
		}
		switch s.Change {
		case listing.Create:
			a.printf("+ %s %s  %s\n", s.Kind, s.ID, s.Title)
		case listing.Update:
			a.printf("~ %s %s  %s\n", s.Kind, s.ID, s.Title)
			for _, f := range s.Fields {
				a.printf("    %s: %s -> %s\n", f.Field, orElse(f.From, "none"), orElse(f.To, "none"))
			}
		default:
			unchanged++
		}
	}
	created, changed := plan.Changes()
	a.printf("%d to create, %d to change, %d as they should be\n", created, changed, unchanged)
	return nil
}

// confirm asks for a yes.
func (a *app) confirm(question string) error {
	a.notef("%s [y/N] ", question)
	answer, err := bufio.NewReader(a.in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes", "是":
		return nil
	}
	return errors.New("nothing was changed; answer y, or give --yes")
}
