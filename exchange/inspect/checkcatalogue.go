package inspect

import (
	"context"
	"database/sql"

	"github.com/huitong-bus/huitong/exchange/catalog"
)

// checkTopicCodes compares the codes that were given with those that the entries
// have. It runs after the topics, whose bodies the ledger vouches for.
func (c *checker) checkTopicCodes(ctx context.Context) error {
	n := 0
	err := c.each(ctx, "topic_codes", "SELECT category, number, topic FROM topic_codes ORDER BY category, number", func(rows *sql.Rows) error {
		var category, topic string
		var number int64
		if err := rows.Scan(&category, &number, &topic); err != nil {
			return err
		}
		n++
		code := catalog.Code(category, number)
		if c.codes[code] != topic {
			return wrong("topic_codes", code, "the topic's entry has another code")
		}
		return nil
	})
	if err == nil && n != len(c.codes) {
		return wrong("topic_codes", nil, "there are %d, the topics have %d", n, len(c.codes))
	}
	return err
}
