package demo

import (
	"testing"

	"github.com/huitong-bus/huitong/exchange/contract"
)

// TestGrantsNameFieldsOfTheirContracts: a grant on a field that does not exist
// would be refused only when the demo runs.
func TestGrantsNameFieldsOfTheirContracts(t *testing.T) {
	contracts := make(map[string]*contract.Contract)
	for _, c := range contract.Standard() {
		contracts[c.Name()] = c
	}
	for _, topic := range topics() {
		c := contracts["huitong.records.v1."+topic.contract]
		if c == nil {
			t.Fatalf("%s: no contract %s", topic.name, topic.contract)
		}
		mask, err := c.Mask(topic.fields)
		if err != nil {
			t.Errorf("%s: %v", topic.name, err)
		}
		if len(mask) >= len(c.Fields()) {
			t.Errorf("%s: nothing is withheld", topic.name)
		}
	}
}
