package inspect

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/huitong-bus/huitong/exchange/access"
	"github.com/huitong-bus/huitong/exchange/catalog"
	"github.com/huitong-bus/huitong/exchange/ledger/verify"
	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
)

func (c *checker) checkGroups(ctx context.Context) error {
	return c.each(ctx, "participant_groups", "SELECT id, version, changed, body FROM participant_groups ORDER BY id", func(rows *sql.Rows) error {
		var id string
		var version, changed uint64
		var body []byte
		if err := rows.Scan(&id, &version, &changed, &body); err != nil {
			return err
		}
		c.report.Objects++
		if err := c.objects.held("participant_groups", objectID{kind: "group", id: id}, version, changed, body); err != nil {
			return err
		}
		return bodyOf("participant_groups", id, body, func(m *cataloguev1.Group) bool { return m.Id == id })
	})
}

// checkGrants compares each version of each grant with its last entry.
func (c *checker) checkGrants(ctx context.Context) error {
	return c.each(ctx, "grants", "SELECT id, version, provider, applicant, pending, agreed, changed, body FROM grants ORDER BY id, version", func(rows *sql.Rows) error {
		var id, provider, applicant string
		var version, changed uint64
		var pending, agreed int64
		var body []byte
		if err := rows.Scan(&id, &version, &provider, &applicant, &pending, &agreed, &changed, &body); err != nil {
			return err
		}
		c.report.Objects++
		of := objectID{kind: "grant", id: id, version: version}
		if c.objects.seen[of] == nil {
			of.version = 0 // recorded from outside
		}
		if err := c.objects.held("grants", of, version, changed, body); err != nil {
			return err
		}
		return bodyOf("grants", fmt.Sprintf("%s version %d", id, version), body, func(m *accessv1.Grant) bool {
			if m.Id != id || m.Version != version || access.Pending(m.State) != (pending == 1) || access.Agreed(m.State) != (agreed == 1) {
				return false
			}
			if _, group := catalog.GroupOf(m.Consumer); group {
				// Who led it then is in the entries of that time.
				return m.Provider == provider && c.objects.has("participant", applicant)
			}
			return m.Provider == provider && verify.ParticipantOf(m.Consumer) == applicant
		})
	})
}
