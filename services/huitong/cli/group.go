package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/huitong-bus/huitong/exchange/fault"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	"github.com/huitong-bus/huitong/sdk"
)

func groups(c *sdk.Client) cataloguev1.GroupServiceClient {
	return cataloguev1.NewGroupServiceClient(c.Conn())
}

func (a *app) groupCommand() *cobra.Command {
	return noun("group", "Keep groups of organisations that are granted something together",
		a.groupPut(), a.groupList(), a.groupRemove())
}

func (a *app) groupPut() *cobra.Command {
	g := &cataloguev1.Group{}
	var dry bool
	c := &cobra.Command{
		Use: "put GROUP --title TITLE --member LIST --lead CODE", Short: "Make a group, or change one",
		Long:    `Makes a group, or changes title, members and lead of one. A grant names it as its consumer, group:GROUP.`,
		Example: `  huitong group put county-halls --title 区县政务大厅 --member 11999900MB0000078G,11999900MB00000353 --lead 11999900MB0000078G`,
		Args:    cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			g.Id = args[0]
			resp, err := groups(c).PutGroup(ctx, &cataloguev1.PutGroupRequest{Group: g, ValidateOnly: dry})
			if err != nil {
				return fault.FromStatus(err)
			}
			return a.changed(resp, dry, "group %s has %d members", args[0], len(resp.GetGroup().GetMembers()))
		}),
	}
	c.Flags().StringVar(&g.Title, "title", "", "the group's name")
	c.Flags().StringSliceVar(&g.Members, "member", nil, "codes of all its members")
	c.Flags().StringVar(&g.Lead, "lead", "", "the member whose officials sign for the group")
	return dryRunFlag(c, &dry)
}

func (a *app) groupList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List groups", Args: cobra.NoArgs,
		RunE: a.with(func(ctx context.Context, c *sdk.Client, _ []string) error {
			type G = *cataloguev1.Group
			return list(a, pages(func(token string) ([]G, string, error) {
				resp, err := groups(c).ListGroups(ctx, &cataloguev1.ListGroupsRequest{PageSize: pageSize, PageToken: token})
				return resp.GetGroups(), resp.GetNextPageToken(), fault.FromStatus(err)
			}),
				column[G]{"GROUP", G.GetId}, column[G]{"TITLE", G.GetTitle}, column[G]{"LEAD", G.GetLead},
				column[G]{"MEMBERS", func(g G) string { return strings.Join(g.GetMembers(), ", ") }},
				column[G]{"STATE", func(g G) string {
					if g.GetRemoved() {
						return "removed"
					}
					return "active"
				}})
		}),
	}
}

func (a *app) groupRemove() *cobra.Command {
	var reason string
	var dry bool
	c := &cobra.Command{
		Use: "remove GROUP --reason TEXT", Short: "End a group for good; nothing is granted by it any more", Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			resp, err := groups(c).RemoveGroup(ctx, &cataloguev1.RemoveGroupRequest{Id: args[0], Reason: reason, ValidateOnly: dry})
			if err != nil {
				return fault.FromStatus(err)
			}
			return a.changed(resp, dry, "group %s removed", args[0])
		}),
	}
	return dryRunFlag(reasonFlag(c, &reason), &dry)
}
