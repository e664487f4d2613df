package cli

import (
	"os"

	"buf.build/go/protoyaml"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
)

// termFlags are the terms of a grant: in a file, and by flags that hold over the
// file.
type termFlags struct {
	file, scope string
	modes       []string
	said        accessv1.Grant
	flags       *pflag.FlagSet
}

const termsFile = `
The terms may be written in a file, with the checks that may be asked, as
huitong.access.v1.Grant spells them; flags hold over what it says:

  fields: [id_number]
  delivery_modes: [DELIVERY_MODE_QUERY, DELIVERY_MODE_CHECK]
  checks:
    - name: income-under
      predicate: sum(records.map(r, r.gross_fen)) <= threshold
      fields: [gross_fen]
      thresholds: [{name: minimum, value: 110000}]`

// termOf names the field of each flag.
var termOf = map[string]protoreflect.Name{
	"consumer": "consumer", "fields": "fields", "basis": "basis", "scenario": "scenario", "service-item": "service_items",
	"mode": "delivery_modes", "standing-purpose": "standing_purpose", "standing-legal-basis": "standing_legal_basis", "scope": "scope",
	"valid-from": "valid_from", "valid-until": "valid_until", "daily-limit": "daily_limit",
}

func (t *termFlags) add(c *cobra.Command) {
	f := c.Flags()
	t.flags = f
	f.StringVarP(&t.file, "file", "f", "", "a .yaml or .json file with the terms")
	f.StringVar(&t.said.Consumer, "consumer", "", "an organisation's code, one of its systems CODE/SYSTEM, or group:ID")
	f.StringSliceVar(&t.said.Fields, "fields", nil, "names of the contract's top-level fields that may leave")
	f.StringVar(&t.said.Basis, "basis", "", "why the consumer may ask: law, regulation or duty")
	f.StringVar(&t.said.Scenario, "scenario", "", "what it is used for")
	f.StringSliceVar(&t.said.ServiceItems, "service-item", nil, "service item codes that a query may name as its purpose")
	f.StringSliceVar(&t.modes, "mode", []string{"query"}, "how records may be delivered: subscribe, query, check")
	f.StringVar(&t.said.StandingPurpose, "standing-purpose", "", "for subscriptions: the purpose they stand on")
	f.StringVar(&t.said.StandingLegalBasis, "standing-legal-basis", "", "for subscriptions: the legal basis they stand on")
	f.StringVar(&t.scope, "scope", "all-subjects", "all-subjects or enrolled-subjects")
	f.StringVar(&t.said.ValidFrom, "valid-from", "", "first day, YYYY-MM-DD; at once if not given")
	f.StringVar(&t.said.ValidUntil, "valid-until", "", "last day, YYYY-MM-DD; open if not given")
	f.Uint64Var(&t.said.DailyLimit, "daily-limit", 0, "queries a day; no limit if 0")
}

// grant gives the terms of a grant on a topic.
func (t *termFlags) grant(topic string) (*accessv1.Grant, error) {
	var err error
	if t.said.DeliveryModes, err = enumValues[cataloguev1.DeliveryMode]("--mode", t.modes); err != nil {
		return nil, err
	}
	if t.said.Scope, err = enumValue[accessv1.GrantScope]("--scope", t.scope); err != nil {
		return nil, err
	}
	g := &accessv1.Grant{}
	if t.file == "" {
		g = proto.CloneOf(&t.said)
	} else if err := t.read(g); err != nil {
		return nil, err
	}
	if g.Topic != "" && g.Topic != topic {
		return nil, usageError("%s has terms on the topic %s, not on %s", t.file, g.Topic, topic)
	}
	g.Topic = topic
	return g, nil
}

// read reads the file, and puts over it what flags say.
func (t *termFlags) read(g *accessv1.Grant) error {
	raw, err := os.ReadFile(t.file)
	if err != nil {
		return err
	}
	if err := (protoyaml.UnmarshalOptions{Path: t.file}).Unmarshal(raw, g); err != nil {
		return err
	}
	said := t.said.ProtoReflect()
	t.flags.Visit(func(f *pflag.Flag) {
		if field := said.Descriptor().Fields().ByName(termOf[f.Name]); field != nil {
			g.ProtoReflect().Set(field, said.Get(field))
		}
	})
	return nil
}
