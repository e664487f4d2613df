package verify

import "strings"

// OwnPrefix begins the names of the topics on which the exchange itself
// publishes: an entry there has no actor and no signature, and on no other topic
// does the exchange publish anything.
const OwnPrefix = "huitong-"

// OwnTopic says whether a topic is the exchange's own.
func OwnTopic(name string) bool { return strings.HasPrefix(name, OwnPrefix) }
