package catalog

import (
	"context"
	"slices"
	"strings"

	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
)

// TopicFilter narrows a list of topics by what is not empty.
type TopicFilter struct {
	Provider string
	// Category is the beginning of a category's code.
	Category string
	// Text is words, all of which stand in what the entry says for people.
	Text string
	// State is the entry's or its revision's.
	State       cataloguev1.TopicState
	Class       cataloguev1.SharingClass
	ServiceItem string
}

// maxSearch bounds the text of a search, in bytes.
const maxSearch = 200

// TopicFor gives a topic with all its items, as far as the caller may see it.
func (c *Catalogue) TopicFor(by *identity.Caller, name string) (*cataloguev1.Topic, error) {
	if err := mayRead(by); err != nil {
		return nil, err
	}
	t, err := c.Topic(name)
	if err == nil && !t.KnownTo(by) {
		err = fault.New(fault.NotFound, "topic.unknown", "the catalogue has no such topic")
	}
	if err != nil {
		return nil, err
	}
	return t.shown(by), nil
}

// seesDrafts says whether a caller sees what is not published of a provider's.
func seesDrafts(by *identity.Caller, provider string) bool {
	return seesAll(by) || by.Roles.Has(identity.Department) && by.Participant == provider
}

// shown gives the topic with all its items; who may not see drafts sees what is
// in force alone.
func (t *Topic) shown(by *identity.Caller) *cataloguev1.Topic {
	m := withItems(t.message, t.newest())
	if !seesDrafts(by, t.Provider) {
		m.Revision, m.Findings, m.SubmittedAt = nil, nil, nil
	}
	return m
}

// Topics lists topics in the order of their names, withdrawn ones too: the
// catalogue is there to be read. Drafts are listed to their provider, operators
// and auditors.
func (c *Catalogue) Topics(ctx context.Context, by *identity.Caller, f TopicFilter, page Page) ([]*cataloguev1.Topic, error) {
	n, err := page.Size()
	if err != nil {
		return nil, err
	}
	if err := mayRead(by); err != nil {
		return nil, err
	}
	if len(f.Text) > maxSearch {
		return nil, fault.Field("text", "text.size", "has more than %d bytes", maxSearch)
	}
	// Every change that was answered before is in the list, whoever took it.
	if err := c.Refresh(ctx, 0); err != nil {
		return nil, err
	}
	words := strings.Fields(strings.ToLower(f.Text))
	var found []*Topic
	c.mu.RLock()
	for _, t := range c.topics {
		if t.Name > page.After && t.KnownTo(by) && f.takes(t, by, words) {
			found = append(found, t)
		}
	}
	c.mu.RUnlock()
	slices.SortFunc(found, func(a, b *Topic) int { return strings.Compare(a.Name, b.Name) })
	var list []*cataloguev1.Topic
	for _, t := range found[:min(n, len(found))] {
		list = append(list, t.shown(by))
	}
	return list, nil
}

func (f *TopicFilter) takes(t *Topic, by *identity.Caller, words []string) bool {
	m := t.message
	return (f.Provider == "" || f.Provider == t.Provider) &&
		strings.HasPrefix(m.Category.GetCode(), f.Category) &&
		(f.Class == 0 || f.Class == t.SharingClass) &&
		(f.State == 0 || f.State == t.State || seesDrafts(by, t.Provider) && f.State == m.Revision.GetState()) &&
		(f.ServiceItem == "" || slices.ContainsFunc(m.ServiceItems, func(l *cataloguev1.LinkedItem) bool { return l.Code == f.ServiceItem })) &&
		(len(words) == 0 || t.says(words))
}

// says whether all words stand somewhere in what the entry says for people.
func (t *Topic) says(words []string) bool {
	m := t.message
	texts := append([]string{m.Name, m.Title, m.Abstract, m.Code}, m.Category.GetPath()...)
	for _, l := range m.ServiceItems {
		texts = append(texts, l.Code, l.Title)
	}
	for _, i := range t.Items() {
		texts = append(texts, i.Title)
	}
	all := strings.ToLower(strings.Join(texts, "\n"))
	return !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(all, word) })
}
