package cli

import (
	"context"
	"fmt"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/huitong-bus/huitong/exchange/fault"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	"github.com/huitong-bus/huitong/sdk"
)

func (a *app) contractCommand() *cobra.Command {
	return noun("contract", "Keep the contracts of records",
		a.contractRegister(), a.contractList(), a.contractShow())
}

func (a *app) contractRegister() *cobra.Command {
	var file, compatibility string
	var dry bool
	c := &cobra.Command{
		Use:   "register MESSAGE --descriptor-set FILE",
		Short: "Register a version of a contract from a descriptor set",
		Long: `Registers a protobuf message as a contract, from a FileDescriptorSet with all its
imports. No part of the exchange is built anew for it. What is wrong or would break
earlier versions is listed field by field, and nothing is registered then.`,
		Example: `  buf build -o records.binpb
  huitong contract register city.records.v1.Pension --descriptor-set records.binpb --dry-run

  protoc --include_imports --descriptor_set_out=records.binpb pension.proto
  huitong contract register city.records.v1.Pension --descriptor-set records.binpb`,
		Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			level, err := enumValue[cataloguev1.Compatibility]("--compatibility", compatibility)
			if err != nil {
				return err
			}
			set, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			resp, err := catalogue(c).RegisterContract(ctx, &cataloguev1.RegisterContractRequest{
				Name: args[0], DescriptorSet: set, Compatibility: level, ValidateOnly: dry,
			})
			if err != nil {
				return fault.FromStatus(err)
			}
			return a.verdict(resp, args[0], dry)
		}),
	}
	c.Flags().StringVar(&file, "descriptor-set", "", "file with a serialised google.protobuf.FileDescriptorSet")
	c.Flags().StringVar(&compatibility, "compatibility", "", "full-transitive (the default), backward, forward or none")
	_ = c.MarkFlagRequired("descriptor-set")
	return dryRunFlag(c, &dry)
}

// verdict prints what the exchange found in a contract.
func (a *app) verdict(resp *cataloguev1.RegisterContractResponse, name string, dry bool) error {
	findings := resp.GetFindings()
	if len(findings) == 0 {
		if resp.GetUnchanged() {
			return a.changed(resp, false, "contract %s version %d is the same already", name, resp.GetContract().GetVersion())
		}
		return a.changed(resp, dry, "contract %s version %d registered", name, resp.GetContract().GetVersion())
	}
	if a.json() {
		if err := a.printJSON(resp); err != nil {
			return err
		}
	} else {
		t := newTable(a.out, "FIELD", "AGAINST", "RULE", "WHY")
		for _, f := range findings {
			against := ""
			if f.GetAgainstVersion() > 0 {
				against = fmt.Sprintf("version %d", f.GetAgainstVersion())
			}
			if err := t.row(f.GetField(), against, f.GetRule(), f.GetMessage()); err != nil {
				return err
			}
		}
		if err := t.flush(); err != nil {
			return err
		}
	}
	return &coded{advise(
		fault.New(fault.Invalid, "contract.verdict", "contract %s was not registered: %d findings", name, len(findings)),
		"change what the findings name; a contract that breaks with its past on purpose gets a new name",
	), exitRefused}
}

func (a *app) contractList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List contracts, the newest version of each", Args: cobra.NoArgs,
		RunE: a.with(func(ctx context.Context, c *sdk.Client, _ []string) error {
			type C = *cataloguev1.Contract
			return list(a, pages(func(token string) ([]C, string, error) {
				resp, err := catalogue(c).ListContracts(ctx, &cataloguev1.ListContractsRequest{PageSize: pageSize, PageToken: token})
				return resp.GetContracts(), resp.GetNextPageToken(), fault.FromStatus(err)
			}),
				column[C]{"CONTRACT", C.GetName}, column[C]{"VERSION", func(c C) string { return itoa(c.GetVersion()) }},
				column[C]{"TITLE", C.GetTitle}, column[C]{"OWNER", func(c C) string { return orElse(c.GetOwner(), "standard pack") }},
				column[C]{"FIELDS", func(c C) string { return itoa(len(c.GetItems())) }})
		}),
	}
}

func itoa[N int | int32 | int64 | uint32 | uint64](n N) string {
	return strconv.FormatInt(int64(n), 10)
}

func (a *app) contractShow() *cobra.Command {
	var version uint32
	var file string
	c := &cobra.Command{
		Use: "show MESSAGE", Short: "Show a contract and its data items", Args: cobra.ExactArgs(1),
		Example: `  huitong contract show huitong.records.v1.Person`,
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			resp, err := catalogue(c).GetContract(ctx, &cataloguev1.GetContractRequest{Name: args[0], Version: version})
			if err != nil {
				return fault.FromStatus(err)
			}
			m := resp.GetContract()
			if file != "" {
				if err := os.WriteFile(file, m.GetDescriptorSet(), 0o644); err != nil {
					return err
				}
			}
			if err := a.show(m, pair{"contract", m.GetName()}, pair{"version", itoa(m.GetVersion())}, pair{"title", m.GetTitle()},
				pair{"owner", orElse(m.GetOwner(), "standard pack")}, pair{"key", m.GetKey()},
				pair{"compatibility", enumText(m.GetCompatibility())}, pair{"registered", when(m.GetRegisteredAt())}); err != nil || a.json() {
				return err
			}
			a.printf("\n")
			t := newTable(a.out, "NUMBER", "FIELD", "TITLE", "TYPE", "SENSITIVITY")
			for _, i := range m.GetItems() {
				kind := i.GetType()
				if i.GetRepeated() {
					kind = "repeated " + kind
				}
				if err := t.row(itoa(i.GetNumber()), i.GetName(), i.GetTitle(), kind, itoa(i.GetSensitivity())); err != nil {
					return err
				}
			}
			return t.flush()
		}),
	}
	c.Flags().Uint32Var(&version, "version", 0, "the newest if 0")
	c.Flags().StringVar(&file, "descriptor-set", "", "write its descriptor set to this file")
	return c
}
