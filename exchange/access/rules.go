package access

// RuleText is one rule as people look it up.
type RuleText struct {
	// Name is what a refusal and its ledger entry say.
	Name string
	// Asked says of whom or what the rule is.
	Asked string
	// Message says what refuses and what would change it.
	Message string
}

// Rules lists the rules in the order in which they are asked: the first that
// refuses is told.
func Rules() []RuleText {
	var all []RuleText
	for _, r := range rules {
		all = append(all, RuleText{r.name, "the caller, the topic and how it is asked", r.message})
	}
	all = append(all,
		RuleText{actionUnknown, "the action", noRule},
		RuleText{grantRequired, "the caller's grants on the topic", noGrant})
	for _, r := range grantRules {
		all = append(all, RuleText{r.name, "each grant; told is the one that comes nearest", r.message})
	}
	for _, r := range factRules {
		all = append(all, RuleText{r.name, "the case and the consents", r.message})
	}
	return append(all, lateRules...)
}

// lateRules are asked behind the decision: over the records, and in the
// transaction of the entry.
var lateRules = []RuleText{
	{"check.outdated", "the check", "the topic's contract has a version that the check does not fit; agree the check anew"},
	{"check.records", "the records", "the subject has more active records of the topic than a check looks at; query them, if the grant allows it"},
	{"check.cost", "the check over the records", "the check takes too long over these records; the two sides have to agree a simpler one"},
	{"check.failed", "the check over the records", "the check cannot be computed over these records; ask the provider, or agree a check that allows for what is missing"},
	{"check.thresholds", "the subject and the case", "as many thresholds of the check were asked about the subject in this case as may be; ask one of these again"},
	{"grant.daily_limit", "the grant", "the grant's queries and checks of today are used up; wait until tomorrow, or have a larger limit agreed"},
}
