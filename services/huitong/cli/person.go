package cli

import (
	"context"
	"encoding/hex"

	"github.com/spf13/cobra"

	"github.com/huitong-bus/huitong/exchange/fault"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	"github.com/huitong-bus/huitong/sdk"
)

func persons(c *sdk.Client) cataloguev1.PersonServiceClient {
	return cataloguev1.NewPersonServiceClient(c.Conn())
}

func (a *app) personCommand() *cobra.Command {
	return noun("person", "Keep the officials who sign for a department",
		noun("key", "Make an official's key", a.personKeyNew()), a.personEnrol(), a.personList(), a.personChange(),
		a.personSuspend(), a.personResume(), a.personRemove())
}

func (a *app) personKeyNew() *cobra.Command {
	return &cobra.Command{
		Use: "new FILE", Short: "Make an official's key, on this machine",
		Long:    `Makes a private key, which stays where the official works. Every official has a key of its own.`,
		Example: `  huitong person key new wang.key`, Args: cobra.ExactArgs(1),
		RunE: a.do(func(_ context.Context, args []string) error {
			key, err := sdk.NewPersonKey()
			if err != nil {
				return err
			}
			if err := key.WriteFile(args[0]); err != nil {
				return advise(err, "a key is never replaced; choose another file")
			}
			fingerprint := key.Fingerprint()
			if a.json() {
				return a.printValue(map[string]string{"key": args[0], "person": hex.EncodeToString(fingerprint[:])})
			}
			a.printf("key     %s (keep it on this machine)\nperson  %x\n", args[0], fingerprint)
			return nil
		}),
	}
}

func (a *app) personEnrol() *cobra.Command {
	var name, participant, keyFile string
	var capacities []string
	var dry bool
	c := &cobra.Command{
		Use: "enrol REFERENCE --name NAME --key FILE --capacity LIST", Short: "Enrol an official of the department",
		Long: `Enrols an official by the department's own staff reference. The key signs that it is
held here, and stays where it is. Reference and name do not stand in the ledger.`,
		Example: `  huitong person enrol MZ-0107 --name 王建国 --key wang.key --capacity handler`, Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			list, err := enumValues[cataloguev1.Capacity]("--capacity", capacities)
			if err != nil {
				return err
			}
			key, err := sdk.LoadPersonKey(keyFile)
			if err != nil {
				return err
			}
			participant := orElse(participant, c.Participant())
			possession, err := key.Possession(c.Origin(), participant)
			if err != nil {
				return err
			}
			resp, err := persons(c).EnrolPerson(ctx, &cataloguev1.EnrolPersonRequest{
				Participant: participant, Reference: args[0], Name: name, Capacities: list,
				PublicKey: key.PublicKey(), Possession: possession, ValidateOnly: dry,
			})
			if err != nil {
				return fault.FromStatus(err)
			}
			return a.changed(resp, dry, "%s enrolled as %x", args[0], resp.GetPerson().GetFingerprint())
		}),
	}
	f := c.Flags()
	f.StringVar(&name, "name", "", "the official's name")
	f.StringVar(&keyFile, "key", "", "the official's key file (huitong person key new)")
	f.StringSliceVar(&capacities, "capacity", nil, "what the official may sign: handler, head, clerk")
	f.StringVar(&participant, "participant", "", "for an operator: the department, if it is not the caller's own")
	_ = c.MarkFlagRequired("key")
	_ = c.MarkFlagRequired("capacity")
	return dryRunFlag(c, &dry)
}

func (a *app) personList() *cobra.Command {
	var participant string
	c := &cobra.Command{
		Use: "list", Short: "List the officials who sign for the department", Args: cobra.NoArgs,
		RunE: a.with(func(ctx context.Context, c *sdk.Client, _ []string) error {
			type P = *cataloguev1.Person
			return list(a, pages(func(token string) ([]P, string, error) {
				resp, err := persons(c).ListPersons(ctx, &cataloguev1.ListPersonsRequest{Participant: participant, PageSize: pageSize, PageToken: token})
				return resp.GetPersons(), resp.GetNextPageToken(), fault.FromStatus(err)
			}),
				column[P]{"REFERENCE", P.GetReference}, column[P]{"NAME", P.GetName}, column[P]{"DEPARTMENT", P.GetParticipant},
				column[P]{"SIGNS AS", func(p P) string { return joined(p.GetCapacities()) }},
				column[P]{"STATE", func(p P) string { return enumText(p.GetState()) }},
				column[P]{"SINCE", func(p P) string { return when(p.GetEnrolledAt()) }},
				column[P]{"PERSON", func(p P) string { return hex.EncodeToString(p.GetFingerprint()) }})
		}),
	}
	c.Flags().StringVar(&participant, "participant", "", "only officials of this department")
	return c
}

// personOf reads a person's fingerprint, or finds the one of the caller's own
// with that reference.
func (a *app) personOf(ctx context.Context, c *sdk.Client, text string) ([]byte, error) {
	if raw, err := hex.DecodeString(text); err == nil && len(raw) == 32 {
		return raw, nil
	}
	all, err := c.Persons(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range all {
		if p.GetReference() == text && p.GetState() != cataloguev1.PersonState_PERSON_STATE_REMOVED {
			return p.GetFingerprint(), nil
		}
	}
	return nil, usageError("%q is neither a person nor the reference of one (huitong person list)", text)
}

func (a *app) personChange() *cobra.Command {
	var name string
	var capacities []string
	var dry bool
	c := &cobra.Command{
		Use: "change REFERENCE --capacity LIST", Short: "Change what an official may sign", Args: cobra.ExactArgs(1),
		Example: `  huitong person change MZ-0107 --capacity handler,clerk`,
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			list, err := enumValues[cataloguev1.Capacity]("--capacity", capacities)
			if err != nil {
				return err
			}
			id, err := a.personOf(ctx, c, args[0])
			if err != nil {
				return err
			}
			resp, err := persons(c).ChangePerson(ctx, &cataloguev1.ChangePersonRequest{Fingerprint: id, Capacities: list, Name: name, ValidateOnly: dry})
			if err != nil {
				return fault.FromStatus(err)
			}
			return a.changed(resp, dry, "%s signs as %s", args[0], joined(list))
		}),
	}
	c.Flags().StringSliceVar(&capacities, "capacity", nil, "all that the official may sign: handler, head, clerk")
	c.Flags().StringVar(&name, "name", "", "the official's name, if it changed")
	_ = c.MarkFlagRequired("capacity")
	return dryRunFlag(c, &dry)
}

func (a *app) personSuspend() *cobra.Command {
	var reason string
	var dry bool
	c := &cobra.Command{
		Use: "suspend REFERENCE --reason TEXT", Short: "Let an official sign nothing for now", Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			id, err := a.personOf(ctx, c, args[0])
			if err != nil {
				return err
			}
			resp, err := persons(c).SuspendPerson(ctx, &cataloguev1.SuspendPersonRequest{Fingerprint: id, Reason: reason, ValidateOnly: dry})
			if err != nil {
				return fault.FromStatus(err)
			}
			return a.changed(resp, dry, "%s suspended", args[0])
		}),
	}
	return dryRunFlag(reasonFlag(c, &reason), &dry)
}

func (a *app) personResume() *cobra.Command {
	var dry bool
	c := &cobra.Command{
		Use: "resume REFERENCE", Short: "Let a suspended official sign again", Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			id, err := a.personOf(ctx, c, args[0])
			if err != nil {
				return err
			}
			resp, err := persons(c).ResumePerson(ctx, &cataloguev1.ResumePersonRequest{Fingerprint: id, ValidateOnly: dry})
			if err != nil {
				return fault.FromStatus(err)
			}
			return a.changed(resp, dry, "%s resumed", args[0])
		}),
	}
	return dryRunFlag(c, &dry)
}

func (a *app) personRemove() *cobra.Command {
	var reason string
	var dry bool
	c := &cobra.Command{
		Use: "remove REFERENCE --reason TEXT", Short: "End what an official may sign, for good", Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			id, err := a.personOf(ctx, c, args[0])
			if err != nil {
				return err
			}
			resp, err := persons(c).RemovePerson(ctx, &cataloguev1.RemovePersonRequest{Fingerprint: id, Reason: reason, ValidateOnly: dry})
			if err != nil {
				return fault.FromStatus(err)
			}
			return a.changed(resp, dry, "%s removed", args[0])
		}),
	}
	return dryRunFlag(reasonFlag(c, &reason), &dry)
}
