package contract

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

func TestStandardPackHasAValidSampleOfEach(t *testing.T) {
	if len(samples()) != len(Standard()) {
		t.Errorf("%d samples for %d contracts", len(samples()), len(Standard()))
	}
	for _, m := range samples() {
		c := contractOf(t, m)
		r, err := c.Read(marshal(t, m))
		if err != nil {
			t.Errorf("%s: %v", c.Name(), err)
		} else if len(r.Warnings) > 0 {
			t.Errorf("%s: %+v", c.Name(), r.Warnings)
		}
	}
}

func TestStandardPackIsDescribed(t *testing.T) {
	for _, c := range Standard() {
		if c.Title() == "" || c.KeyPath() == "" || c.KeyField() == 0 || c.Version() != 1 {
			t.Errorf("%s: %q %q %d", c.Name(), c.Title(), c.KeyPath(), c.KeyField())
		}
		if !slices.IsSorted(c.Fields()) || len(c.Fields()) != len(c.Items()) {
			t.Errorf("%s: fields %v, items %v", c.Name(), c.Fields(), c.Items())
		}
		for _, item := range c.Items() {
			if item.Title == "" || item.Type == "" || item.Sensitivity < 1 || item.Sensitivity > 4 {
				t.Errorf("%s: %+v", c.Name(), item)
			}
		}
		if got := Compare(c, c); len(got) > 0 {
			t.Errorf("%s is not compatible with itself: %+v", c.Name(), got)
		}
	}
}

// TestDescriptorSetsCompileAgain: what the registry stores gives the same
// contract with the same bytes.
func TestDescriptorSetsCompileAgain(t *testing.T) {
	for _, c := range Standard() {
		set := &descriptorpb.FileDescriptorSet{}
		if err := proto.Unmarshal(c.DescriptorSet(), set); err != nil {
			t.Fatal(err)
		}
		slices.Reverse(set.File)
		again, findings := Compile(set, c.Name(), 1)
		if again == nil {
			t.Fatalf("%s: %+v", c.Name(), findings)
		}
		if !slices.Equal(again.DescriptorSet(), c.DescriptorSet()) {
			t.Errorf("%s has other bytes", c.Name())
		}
	}
}
