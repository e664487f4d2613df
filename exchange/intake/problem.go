package intake

import (
	"errors"

	"github.com/huitong-bus/huitong/exchange/fault"
)

func violations(err error) []fault.Violation {
	var e *fault.Error
	if errors.As(err, &e) {
		return e.Violations
	}
	return nil
}
