package entry

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
)

// maxSensitivity is the highest level of a data item.
const maxSensitivity = 4

// checkItemTexts checks what needs no contract.
func checkItemTexts(f *found, items []*cataloguev1.TopicItem) {
	if len(items) > maxItems {
		f.add("topic.items", "topic.items.size", fmt.Sprintf("are more than %d", maxItems))
		return
	}
	for i, item := range items {
		at := itemPath(item.GetName(), i)
		f.err(Text(at+".title", item.GetTitle(), false))
		f.err(Text(at+".legal_basis", item.GetLegalBasis(), false))
		if !known(cataloguev1.SharingClass_name, item.GetSharingClass()) {
			f.add(at+".sharing_class", "item.class", "is unconditional, conditional or not shared")
		}
		if item.GetSensitivity() > maxSensitivity {
			f.add(at+".sensitivity", "item.sensitivity", fmt.Sprintf("is a level from 1 to %d", maxSensitivity))
		}
	}
}

// itemPath names an item by its name if that is one.
func itemPath(name string, i int) string {
	if topicName.MatchString(name) {
		return "topic.items[" + name + "]"
	}
	return fmt.Sprintf("topic.items[%d]", i)
}

// checkItems checks the stated items against the contract and the entry.
func checkItems(f *found, t *cataloguev1.Topic, k *cataloguev1.Contract) {
	key, _, _ := strings.Cut(k.GetKey(), ".")
	for i, item := range t.Items {
		at := itemPath(item.Name, i)
		d := dataItem(k, item.Name)
		switch {
		case d == nil:
			f.add(at, "item.unknown", "the contract has no such field at its top")
			continue
		case slices.ContainsFunc(t.Items[:i], func(o *cataloguev1.TopicItem) bool { return o.Name == item.Name }):
			f.add(at, "item.twice", "comes twice")
		case item.Sensitivity != 0 && item.Sensitivity < d.Sensitivity:
			f.add(at+".sensitivity", "item.sensitivity", fmt.Sprintf("is below the contract's level %d; a level can only be raised", d.Sensitivity))
		case item.SharingClass != 0 && item.SharingClass < t.SharingClass:
			f.add(at+".sharing_class", "item.class", "is freer than the entry's class; an item is shared no more freely than its entry")
		case item.SharingClass != notShared || t.SharingClass == notShared:
		case item.Name == key:
			f.add(at+".sharing_class", "item.key", "goes with every record as its key, so it cannot be kept back")
		case !Cites(item.LegalBasis) && !Cites(t.LegalBasis):
			f.add(at+".legal_basis", "item.legal_basis", "an item that is not shared "+CitationRule)
		}
	}
}

func dataItem(k *cataloguev1.Contract, name string) *cataloguev1.DataItem {
	i := slices.IndexFunc(k.GetItems(), func(d *cataloguev1.DataItem) bool { return d.Name == name })
	if i < 0 {
		return nil
	}
	return k.Items[i]
}

// Items gives all data items of an entry as they are in force: the stated ones
// over what contract and entry say of the others. A contract's newer version may
// bring new items, and raise levels.
func Items(t *cataloguev1.Topic, k *cataloguev1.Contract) []*cataloguev1.TopicItem {
	stated := make(map[string]*cataloguev1.TopicItem, len(t.Items))
	for _, item := range t.Items {
		stated[item.Name] = item
	}
	all := make([]*cataloguev1.TopicItem, 0, len(k.GetItems()))
	for _, d := range k.GetItems() {
		all = append(all, inForce(t, d, stated[d.Name]))
	}
	return all
}

func inForce(t *cataloguev1.Topic, d *cataloguev1.DataItem, stated *cataloguev1.TopicItem) *cataloguev1.TopicItem {
	return &cataloguev1.TopicItem{
		Name: d.Name, Number: d.Number, Type: d.Type, Repeated: d.Repeated,
		Title: titleOf(d, stated), SharingClass: max(t.SharingClass, stated.GetSharingClass()),
		Sensitivity: max(d.Sensitivity, stated.GetSensitivity()), LegalBasis: stated.GetLegalBasis(),
	}
}

// Title gives what people call a data item of an entry.
func Title(t *cataloguev1.Topic, d *cataloguev1.DataItem) string {
	for _, stated := range t.Items {
		if stated.Name == d.Name {
			return titleOf(d, stated)
		}
	}
	return d.Title
}

func titleOf(d *cataloguev1.DataItem, stated *cataloguev1.TopicItem) string {
	return cmp.Or(stated.GetTitle(), d.Title)
}

// Trim leaves of an entry's items what differs from contract and entry, in the
// contract's order, so that an entry that is written out says the same as a short
// one. Items that the contract does not have stay, to be found by a check.
func Trim(t *cataloguev1.Topic, k *cataloguev1.Contract) {
	var kept []*cataloguev1.TopicItem
	for _, item := range t.Items {
		d := dataItem(k, item.GetName())
		short := &cataloguev1.TopicItem{
			Name: item.GetName(), Title: item.GetTitle(), SharingClass: item.GetSharingClass(),
			Sensitivity: item.GetSensitivity(), LegalBasis: item.GetLegalBasis(),
		}
		if d != nil {
			trimItem(short, t, d)
		}
		if d == nil || !proto.Equal(short, &cataloguev1.TopicItem{Name: short.Name}) {
			kept = append(kept, short)
		}
	}
	place := func(name string) int {
		return slices.IndexFunc(k.GetItems(), func(d *cataloguev1.DataItem) bool { return d.Name == name })
	}
	slices.SortStableFunc(kept, func(a, b *cataloguev1.TopicItem) int { return place(a.Name) - place(b.Name) })
	t.Items = kept
}

func trimItem(item *cataloguev1.TopicItem, topic *cataloguev1.Topic, d *cataloguev1.DataItem) {
	if item.Title == d.Title {
		item.Title = ""
	}
	if item.SharingClass == topic.SharingClass {
		item.SharingClass = 0
	}
	if item.Sensitivity == d.Sensitivity {
		item.Sensitivity = 0
	}
}
