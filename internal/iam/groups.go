package iam

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/IBM/go-sdk-core/v5/core"
	"github.com/IBM/platform-services-go-sdk/iamaccessgroupsv2"

	"github.com/latchkey-io/latchkey/internal/port"
	"github.com/latchkey-io/latchkey/internal/upstream"
)

// groupPage is the largest number of access groups in one page.
const groupPage = 100

// mostGroupPages bounds a list that never ends.
const mostGroupPages = 100

// Groups returns the access groups of an identity. Dynamic rules apply to users
// only, so it lists static memberships.
func (c *Client) Groups(ctx context.Context, iamID string) ([]port.Group, error) {
	doing := "listing the access groups of " + iamID
	return c.listGroups(ctx, doing, &iamaccessgroupsv2.ListAccessGroupsOptions{
		IamID: &iamID, MembershipType: core.StringPtr("static"),
	})
}

func (c *Client) listGroups(ctx context.Context, doing string, opts *iamaccessgroupsv2.ListAccessGroupsOptions) ([]port.Group, error) {
	account, err := c.Account(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	opts.AccountID, opts.Limit = &account, core.Int64Ptr(groupPage)
	var found []port.Group
	seen := upstream.Pages{Doing: doing, Most: mostGroupPages}
	for offset := int64(0); ; offset += groupPage {
		opts.Offset = core.Int64Ptr(offset)
		page, resp, err := c.groups.ListAccessGroupsWithContext(ctx, opts)
		if err != nil {
			return nil, accessFault(ctx, doing, resp, err)
		}
		if page == nil {
			return nil, upstream.Incomplete(doing, "list")
		}
		for i := range page.Groups {
			found = append(found, port.Group{ID: str(page.Groups[i].ID), Name: str(page.Groups[i].Name)})
		}
		if len(page.Groups) < groupPage {
			return found, nil
		}
		// Offsets have no token. A page that begins as an earlier one repeats it.
		if more, err := seen.Next(str(page.Groups[0].ID)); !more {
			return nil, cmp.Or(err, upstream.Incomplete(doing, "ID of a group"))
		}
	}
}

// groupPrefix begins the ID of every access group.
const groupPrefix = "AccessGroupId-"

// Join adds an identity to an access group, given by its ID or name. Adding a
// member twice succeeds. The answer has a status per member, which is not
// documented for an existing member, so the caller reads back.
func (c *Client) Join(ctx context.Context, iamID, group string) error {
	doing := fmt.Sprintf("adding %s to access group %q", iamID, group)
	id := group
	if !strings.HasPrefix(group, groupPrefix) {
		found, err := c.listGroups(ctx, doing, &iamaccessgroupsv2.ListAccessGroupsOptions{Search: core.StringPtr("name:" + group)})
		if err != nil {
			return err
		}
		i := slices.IndexFunc(found, func(g port.Group) bool { return g.Name == group })
		if i < 0 {
			return fmt.Errorf("%s: %w: the account has no access group with this name", doing, port.ErrNotFound)
		}
		id = found[i].ID
	}
	out, resp, err := c.groups.AddMembersToAccessGroupWithContext(ctx, &iamaccessgroupsv2.AddMembersToAccessGroupOptions{
		AccessGroupID: &id,
		Members:       []iamaccessgroupsv2.AddGroupMembersRequestMembersItem{{IamID: &iamID, Type: core.StringPtr("service")}},
	})
	if err != nil {
		return accessFault(ctx, doing, resp, err)
	}
	if out == nil {
		return nil // the caller reads back
	}
	for _, m := range out.Members {
		if m.StatusCode == nil || *m.StatusCode < 300 || *m.StatusCode == 409 {
			continue
		}
		a := upstream.Answer{Status: int(*m.StatusCode)}
		if len(m.Errors) > 0 {
			a.Code, a.Message = str(m.Errors[0].Code), str(m.Errors[0].Message)
		}
		return upstream.IAM.Fault(ctx, doing, "", a)
	}
	return nil
}
