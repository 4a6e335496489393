package iam

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

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
	return c.listGroups(ctx, doing, url.Values{"iam_id": {iamID}, "membership_type": {"static"}})
}

// groupList is IBM's GroupsList.
type groupList struct {
	Groups []struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"groups"`
}

func (c *Client) listGroups(ctx context.Context, doing string, query url.Values) ([]port.Group, error) {
	account, err := c.Account(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	query.Set("account_id", account)
	query.Set("limit", strconv.Itoa(groupPage))
	var found []port.Group
	seen := upstream.Pages{Doing: doing, Most: mostGroupPages}
	for offset := 0; ; offset += groupPage {
		query.Set("offset", strconv.Itoa(offset))
		page, reply, err := upstream.Send[groupList](ctx, c.api, upstream.Request{Method: http.MethodGet, Path: upstream.Path("/v2/groups"), Query: query})
		if err != nil {
			return nil, accessFault(ctx, doing, reply, err)
		}
		if page == nil {
			return nil, upstream.Incomplete(doing, "list")
		}
		for _, g := range page.Groups {
			found = append(found, port.Group{ID: g.ID, Name: g.Name})
		}
		if len(page.Groups) < groupPage {
			return found, nil
		}
		// Offsets have no token. A page that begins as an earlier one repeats it.
		if more, err := seen.Next(page.Groups[0].ID); !more {
			return nil, cmp.Or(err, upstream.Incomplete(doing, "ID of a group"))
		}
	}
}

// groupPrefix begins the ID of every access group.
const groupPrefix = "AccessGroupId-"

// newMembers are the members that a request adds to an access group.
type newMembers struct {
	Members []newMember `json:"members"`
}

type newMember struct {
	IAMID string `json:"iam_id"`
	Type  string `json:"type"`
}

// addedMembers is IBM's AddGroupMembersResponse.
type addedMembers struct {
	Members []struct {
		Status int `json:"status_code"`
		Errors []struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"errors"`
	} `json:"members"`
}

// Join adds an identity to an access group, given by its ID or name. Adding a
// member twice succeeds. The answer has a status per member, which is not
// documented for an existing member, so the caller reads back.
func (c *Client) Join(ctx context.Context, iamID, group string) error {
	doing := fmt.Sprintf("adding %s to access group %q", iamID, group)
	id := group
	if !strings.HasPrefix(group, groupPrefix) {
		found, err := c.listGroups(ctx, doing, url.Values{"search": {"name:" + group}})
		if err != nil {
			return err
		}
		i := slices.IndexFunc(found, func(g port.Group) bool { return g.Name == group })
		if i < 0 {
			return fmt.Errorf("%s: %w: the account has no access group with this name", doing, port.ErrNotFound)
		}
		id = found[i].ID
	}
	out, reply, err := upstream.Send[addedMembers](ctx, c.api, upstream.Request{
		Method: http.MethodPut, Path: append(upstream.Path("/v2/groups", id), "members"), Body: newMembers{[]newMember{{iamID, "service"}}},
	})
	if err != nil {
		return accessFault(ctx, doing, reply, err)
	}
	if out == nil {
		return nil // the caller reads back
	}
	for _, m := range out.Members {
		if m.Status < 300 || m.Status == http.StatusConflict { // it may have none
			continue
		}
		a := upstream.Answer{Status: m.Status}
		if len(m.Errors) > 0 {
			a.Code, a.Message = m.Errors[0].Code, m.Errors[0].Message
		}
		return upstream.IAM.Fault(ctx, doing, "", a)
	}
	return nil
}
