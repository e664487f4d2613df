package cli

import (
	"cmp"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"google.golang.org/protobuf/reflect/protoreflect"

	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	"github.com/huitong-bus/huitong/services/huitong/listing"
)

// entryFlags describe a catalogue entry: in a file, and by flags that hold over
// the file.
type entryFlags struct {
	file                                                       string
	said                                                       cataloguev1.Topic
	class, cycle, secrecy, openData, consent, category, places string
	modes, items, linked, unlinked                             []string
	flags                                                      *pflag.FlagSet
}

const entryFile = `An entry may be written in a file, as those of a catalogue are (see deploy/catalogue and
huitong.catalogue.v1.CatalogueFile); flags hold over what it says.

  --item NAME[,class=CLASS][,sensitivity=LEVEL][,title=TEXT][,legal-basis=TEXT]
      one data item, by its field in the contract; with the name alone it is as
      contract and entry have it
  --service-item CODE[,title=TEXT][,consent=subject|every-adult]
      a service item that the records serve`

func (e *entryFlags) add(c *cobra.Command) {
	f := c.Flags()
	e.flags = f
	f.StringVarP(&e.file, "file", "f", "", "a .yaml or .json file with the entry")
	f.StringVar(&e.said.Title, "title", "", "the name, for people")
	f.StringVar(&e.said.Abstract, "abstract", "", "what the records are, in a sentence or two")
	f.StringVar(&e.said.Contract, "contract", "", "full name of the contract's message")
	f.StringVar(&e.class, "class", "conditional", "unconditional, conditional or not-shared")
	f.StringVar(&e.said.Conditions, "conditions", "", "conditions of use, for conditional sharing")
	f.StringVar(&e.said.LegalBasis, "legal-basis", "", "the law or decision by which it is not shared")
	f.StringVar(&e.category, "category", "", "code of its place in the catalogue's classification, 2 to 24 digits")
	f.StringVar(&e.places, "category-path", "", `names of that place from the class down, with "/" between them`)
	f.StringVar(&e.said.Format, "format", "", "what form the data have at their source")
	f.StringVar(&e.cycle, "update-cycle", "", "how often the records are brought up to date: real-time, day, week, month, quarter, year, irregular")
	f.StringSliceVar(&e.modes, "mode", []string{"subscribe", "query"}, "how records may be delivered: subscribe, query, check")
	f.BoolVar(&e.said.AnsweredLive, "answered-live", false, "the provider answers each request when it is asked (huitong fanout)")
	f.BoolVar(&e.said.SignatureRequired, "signature-required", true, "refuse publications that are not signed")
	f.StringVar(&e.secrecy, "secrecy", "", "none, work-secret or state-secret; what is secret is refused")
	f.StringVar(&e.openData, "open-data", "", "whether the data are open to the public: no, conditional, yes")
	f.BoolVar(&e.said.ElectronicCertificate, "electronic-certificate", false, "the records are electronic certificates")
	f.StringVar(&e.consent, "consent", "", "whose consent every reading needs: subject or every-adult; none if not given")
	f.StringArrayVar(&e.items, "item", nil, "a data item, as above; repeat it")
	f.StringArrayVar(&e.linked, "service-item", nil, "a service item, as above; repeat it")
}

// given says whether anything of an entry was given.
func (e *entryFlags) given() bool {
	return slices.ContainsFunc([]string{
		"file", "title", "abstract", "contract", "class", "conditions", "legal-basis", "category", "category-path", "format", "update-cycle",
		"mode", "answered-live", "signature-required", "secrecy", "open-data", "electronic-certificate", "consent", "item", "service-item", "unlink",
	}, e.flags.Changed)
}

// read gives the entry of the file; nil without one. An empty name is that of the
// file's only entry.
func (e *entryFlags) read(name string) (*cataloguev1.Topic, error) {
	if e.file == "" {
		return nil, nil
	}
	raw, err := os.ReadFile(e.file)
	if err != nil {
		return nil, err
	}
	return listing.Topic(e.file, raw, name)
}

// put writes over an entry what flags say; with all, those too that were not
// given, which then have their defaults.
func (e *entryFlags) put(t *cataloguev1.Topic, all bool) error {
	says := func(flag string) bool { return all || e.flags.Changed(flag) }
	for flag, text := range map[string]struct{ from, to *string }{
		"title": {&e.said.Title, &t.Title}, "abstract": {&e.said.Abstract, &t.Abstract}, "contract": {&e.said.Contract, &t.Contract},
		"conditions": {&e.said.Conditions, &t.Conditions}, "legal-basis": {&e.said.LegalBasis, &t.LegalBasis}, "format": {&e.said.Format, &t.Format},
	} {
		if says(flag) {
			*text.to = *text.from
		}
	}
	if says("answered-live") {
		t.AnsweredLive = e.said.AnsweredLive
	}
	if says("signature-required") {
		t.SignatureRequired = e.said.SignatureRequired
	}
	if says("electronic-certificate") {
		t.ElectronicCertificate = e.said.ElectronicCertificate
	}
	e.putCategory(t)
	return cmp.Or(
		putEnum(says("class"), "--class", e.class, &t.SharingClass), putEnum(says("update-cycle"), "--update-cycle", e.cycle, &t.UpdateCycle),
		putEnum(says("secrecy"), "--secrecy", e.secrecy, &t.Secrecy), putEnum(says("open-data"), "--open-data", e.openData, &t.OpenData),
		putEnum(says("consent"), "--consent", e.consent, &t.Consent), e.putModes(t, says("mode")), e.putItems(t), e.putLinked(t))
}

func (e *entryFlags) putCategory(t *cataloguev1.Topic) {
	if t.Category == nil && (e.category != "" || e.places != "") {
		t.Category = &cataloguev1.Category{}
	}
	if e.category != "" {
		t.Category.Code = e.category
	}
	if e.places != "" {
		t.Category.Path = strings.Split(e.places, "/")
	}
}

func (e *entryFlags) putModes(t *cataloguev1.Topic, says bool) (err error) {
	if says {
		t.DeliveryModes, err = enumValues[cataloguev1.DeliveryMode]("--mode", e.modes)
	}
	return err
}

// putItems puts data items in the place of those of the same name.
func (e *entryFlags) putItems(t *cataloguev1.Topic) error {
	for _, text := range e.items {
		item := &cataloguev1.TopicItem{}
		var class, level string
		name, err := attributes("--item", text, map[string]*string{"class": &class, "sensitivity": &level, "title": &item.Title, "legal-basis": &item.LegalBasis})
		if err != nil {
			return err
		}
		item.Name = name
		if item.SharingClass, err = enumValue[cataloguev1.SharingClass]("--item "+name+",class", class); err != nil {
			return err
		}
		if level != "" {
			n, err := strconv.ParseUint(level, 10, 32)
			if err != nil {
				return usageError("--item %s,sensitivity is a level from 1 to 4, not %q", name, level)
			}
			item.Sensitivity = uint32(n)
		}
		t.Items = slices.DeleteFunc(t.Items, func(old *cataloguev1.TopicItem) bool { return old.GetName() == name })
		t.Items = append(t.Items, item)
	}
	return nil
}

// putLinked links service items, in the place of those of the same code, and
// takes away those that are unlinked.
func (e *entryFlags) putLinked(t *cataloguev1.Topic) error {
	drop := func(code string) {
		t.ServiceItems = slices.DeleteFunc(t.ServiceItems, func(old *cataloguev1.LinkedItem) bool { return old.GetCode() == code })
	}
	for _, text := range e.linked {
		item := &cataloguev1.LinkedItem{}
		var consent string
		code, err := attributes("--service-item", text, map[string]*string{"title": &item.Title, "consent": &consent})
		if err != nil {
			return err
		}
		item.Code = code
		if item.Consent, err = enumValue[cataloguev1.Consent]("--service-item "+code+",consent", consent); err != nil {
			return err
		}
		drop(code)
		t.ServiceItems = append(t.ServiceItems, item)
	}
	for _, code := range e.unlinked {
		drop(code)
	}
	return nil
}

// attributes reads "NAME,key=value,key=value". What has no key goes on with the
// value before, which may hold a comma.
func attributes(flag, text string, known map[string]*string) (name string, err error) {
	name, rest, more := strings.Cut(text, ",")
	if name = strings.TrimSpace(name); name == "" {
		return "", usageError("%s begins with a name", flag)
	}
	var last *string
	for more {
		var part string
		part, rest, more = strings.Cut(rest, ",")
		key, value, _ := strings.Cut(part, "=")
		if into := known[strings.TrimSpace(key)]; into != nil {
			last, *into = into, value
		} else if last != nil {
			*last += "," + part
		} else {
			return "", usageError("%s %s has %s, not %q", flag, name, strings.Join(sortedKeys(known), ", "), key)
		}
	}
	return name, nil
}

func putEnum[E protoreflect.Enum](says bool, flag, text string, into *E) (err error) {
	if says {
		*into, err = enumValue[E](flag, text)
	}
	return err
}
