package inspect_test

import (
	"fmt"
	"strings"
)

// table is a table of the journal part: its key and all its columns. Those that
// nothing can be held against are in unproven.
type table struct {
	name    string
	key     []string
	columns []string
	// where picks the rows that are changed; all of them if empty.
	where string
	// named says by which tables a change may be named beside its own.
	named []string
	// by are the columns that name a row where it is not the key.
	by []string
}

// unproven lists what the ledger cannot prove and no check answers for: columns,
// tables as a whole ("table.*"), and rows that may be missing ("table rows"). It
// is needed to serve on, and says nothing of what was exchanged.
var unproven = map[string]string{
	"positions.source":   "a publisher's own name of what it reads; the ledger has no trace of it",
	"positions.position": "a publisher's own mark in its source; the ledger has no trace of it",
	"positions.at":       "when the publisher said so; the ledger has no trace of it",
	"positions rows":     "a publisher need not say where it stands",

	"stream_erasures.done": "whether JetStream's copy is overwritten; it is overwritten again if not",

	"grant_use.day":  "a counter of the present day; the entries that it counts prove the use",
	"grant_use.used": "a counter of the present day; the entries that it counts prove the use",
	"grant_use rows": "a counter of the present day; the entries that it counts prove the use",

	"status_use.*": "a counter of the present hour; the entries that it counts prove the use",

	"subscriptions.began":    "where it starts to read; moved by the subscriber, as its lanes are",
	"subscriptions.snapshot": "up to where it reads the present only; moved by the subscriber, as its lanes are",
	"subscriptions.received": "when acknowledgements were entered last; only says when the next are due",
	"subscriptions.changed":  "tells other processes to look; numbers of a counter that no entry has",

	"lanes.lane":      "any lane of the subscription's number stands anywhere",
	"lanes.seen":      "a position: what left by it is entered as released, what was received as received",
	"lanes.unsettled": "a position: what left by it is entered as released, what was received as received",
	"lanes.member":    "who holds a lane now; nobody in a database that is not served",
	"lanes.epoch":     "counts holders of the lane, none of whom is in the ledger",
	"lanes rows":      "a lane that nobody held yet has none",

	"dead_letters.reason":    "said by the subscriber when it refused; it decides nothing",
	"dead_letters.attempts":  "of the subscriber's own attempts; it decides nothing",
	"dead_letters.at":        "of the subscriber's own refusal; it decides nothing",
	"dead_letters.replaying": "asked for by the subscriber at any time",
	"dead_letters rows":      "made and ended by the subscriber's attempts, which are no entries",

	"arrears rows": "one ends when it is settled, which only an acknowledgement says",

	"acknowledgements.n":    "the order of what no entry covers yet",
	"acknowledgements rows": "no entry covers them yet; a receiver that was confirmed has signed it",

	"enrolments.since": "from where the lanes deliver: which entries were committed together, the ledger does not say",

	"guards.key":     "compared between a decision and its commit; in a database that is not served none is between",
	"guards.version": "compared between a decision and its commit; in a database that is not served none is between",
	"guards rows":    "compared between a decision and its commit; in a database that is not served none is between",

	"hearing.next":       "how far notices have come: behind, they are told again under their keys; ahead, who is not told has the record's own operation to see",
	"expiry_sweep.*":     "how far the sweep of what expired has come: behind, it is told again under the notices' keys",
	"erasure_lists.list": "the name of a list beside the database",
	"erasure_lists.next": "how far a list beside the database has come: behind, its lines are written again",
	"erasure_lists rows": "the list is beside the database; it follows from the start if unknown",

	"documents.touched":  "when something of an upload came last; says only when an unfinished one is forgotten",
	"document_remains.*": "whose chunks, which nobody can read any more, are still to be taken away",

	"relay_leases.*":         "which process relays now",
	"instances.*":            "which processes serve now",
	"members.*":              "who receives now",
	"subscription_changes.*": "tells other processes to look",
}

// proven says whether a change of a column, or a missing row (""), must be found.
func (of table) proven(column string) bool {
	what := of.name + "." + column
	if column == "" {
		what = of.name + " rows"
	}
	_, free := unproven[what]
	return !free
}

// naming gives the columns that name a row.
func (of table) naming() []string {
	if of.by != nil {
		return of.by
	}
	return of.key
}

func tables(at map[string]uint64) []table {
	some := func(kinds ...string) string {
		var list []string
		for _, k := range kinds {
			list = append(list, fmt.Sprint(at[k]))
		}
		return "idx IN (" + strings.Join(list, ",") + ")"
	}
	return []table{
		{name: "head", key: []string{"id"}, by: []string{}, columns: []string{"origin", "size", "at", "policy", "group_id", "edge", "sequences", "checkpoint"}},
		{
			name: "ledger", key: []string{"idx"}, columns: []string{"leaf"},
			where: some("published", "signed", "queried", "checked", "changed", "certificate", "erased", "snapshot ended", "snapshot removal", "disputed", "dispute answered", "person", "consent given", "consent revoked", "representation", "agreed", "document stored", "document returned", "with document", "enrolled", "removed") + " OR idx = (SELECT max(idx) FROM ledger)",
		},
		{
			name: "sealed", key: []string{"idx"}, columns: []string{"topic", "pos", "prev", "key_token", "tokens", "body"}, named: []string{"records"},
			where: some("published", "erased version", "operation", "eraser", "queried", "checked", "released", "received", "refused", "read", "snapshot removal", "disputed", "dispute answered", "case", "consent given", "consent revoked", "representation", "document stored", "document returned", "with document", "enrolled", "removed"),
		},
		{
			name: "records", key: []string{"topic", "key_token"}, by: []string{"idx"}, named: []string{"sealed"},
			columns: []string{"topic", "key_token", "idx", "payload_idx", "version", "status", "source_version", "valid_from", "valid_until"},
			where:   some("operation"),
		},
		{name: "idempotency", key: []string{"system", "key"}, by: []string{"idx"}, columns: []string{"system", "key", "idx"}, where: some("published", "signed")},
		{name: "tiles", key: []string{"level", "idx"}, columns: []string{"level", "idx", "root", "hashes"}},
		{name: "positions", key: []string{"system", "source"}, columns: []string{"system", "source", "position", "at"}},
		{name: "stream_erasures", key: []string{"part", "pos"}, columns: []string{"part", "pos", "idx", "done"}},
		{name: "participants", key: []string{"code"}, columns: []string{"code", "version", "changed", "body"}},
		{name: "systems", key: []string{"id"}, columns: []string{"id", "participant", "version", "changed", "body"}},
		{name: "certificates", key: []string{"fingerprint"}, columns: []string{"fingerprint", "system", "changed", "body"}},
		{name: "persons", key: []string{"fingerprint"}, columns: []string{"fingerprint", "participant", "reference", "changed", "body", "details"}},
		{name: "contracts", key: []string{"name", "version"}, columns: []string{"name", "version", "changed", "body", "descriptor_set"}, where: "name LIKE '%Person'"},
		{name: "topics", key: []string{"name"}, columns: []string{"name", "provider", "version", "changed", "body"}},
		{
			name: "grants", key: []string{"id", "version"}, named: []string{"grant_use"},
			columns: []string{"id", "version", "provider", "applicant", "pending", "agreed", "changed", "body"},
		},
		{name: "participant_groups", key: []string{"id"}, columns: []string{"id", "version", "changed", "body"}},
		{name: "topic_codes", key: []string{"category", "number"}, columns: []string{"category", "number", "topic"}},
		{name: "grant_use", key: []string{"grant_id"}, columns: []string{"grant_id", "day", "used"}},
		{
			name: "subscriptions", key: []string{"id"},
			columns: []string{"id", "system", "topic", "spec", "version", "state", "reason", "began", "snapshot", "created_at", "received", "changed"},
		},
		{
			name: "lanes", key: []string{"subscription", "lane"}, columns: []string{"subscription", "lane", "seen", "unsettled", "member", "epoch"},
		},
		{
			name: "dead_letters", key: []string{"subscription", "sequence"},
			columns: []string{"subscription", "sequence", "lane", "idx", "reason", "attempts", "at", "replaying"},
		},
		{name: "check_thresholds", key: []string{"asked", "value"}, columns: []string{"asked", "value", "idx"}},
		{
			name: "disputes", key: []string{"idx"},
			columns: []string{"idx", "topic", "provider", "consumer", "participant", "version", "fields", "key_token", "state", "answer", "corrected", "late", "changed"},
		},
		{
			name: "consents", key: []string{"digest"},
			columns: []string{"digest", "holder", "recipient", "valid_from", "valid_until", "given", "revoked", "representation", "body"},
		},
		{name: "representations", key: []string{"digest"}, columns: []string{"digest", "principal", "participant", "recorded", "ended", "body"}},
		{name: "identity_providers", key: []string{"issuer"}, columns: []string{"issuer", "version", "changed", "body"}},
		{
			name: "documents", key: []string{"id"}, where: "body IS NOT NULL", named: []string{"document_chunks"},
			columns: []string{"id", "system", "participant", "size", "durable", "touched", "stored", "published", "body"},
		},
		{
			name: "document_chunks", key: []string{"document", "number"}, columns: []string{"document", "number", "body"},
			where: "document IN (SELECT id FROM documents WHERE body IS NOT NULL)", named: []string{"documents"},
		},
		{name: "full_loads", key: []string{"topic"}, columns: []string{"topic", "system", "begun", "ended", "removed", "done"}},
		{name: "settings", key: []string{"id"}, columns: []string{"id", "version", "changed", "body"}},
		{name: "calendar_years", key: []string{"year"}, columns: []string{"year", "version", "changed", "body"}},
		{
			name: "deadlines", key: []string{"id"}, where: "passed > 0",
			columns: []string{
				"id", "kind", "object", "owner", "parties", "topic", "started_at", "days", "extension", "stopped_at", "late", "passed", "passed_day", "untold",
			},
		},
		{
			name: "cases", key: []string{"token"},
			columns: []string{"token", "participant", "item", "state", "opened", "closed", "opened_at", "after_fact", "subjects"},
		},
		{name: "guards", key: []string{"kind", "key"}, columns: []string{"kind", "key", "version"}},
		{
			name: "enrolments", key: []string{"subscription", "subject", "case_token"}, by: []string{"id", "subject", "case_token"},
			columns: []string{"subscription", "subject", "case_token", "since", "idx", "at", "id", "body"},
		},
		{
			name: "arrears", key: []string{"subscription", "sequence"},
			columns: []string{"subscription", "sequence", "lane", "idx", "enrolled", "record"},
		},
		{name: "hearing", key: []string{"id"}, columns: []string{"id", "next"}},
		{name: "erasure_lists", key: []string{"list"}, columns: []string{"list", "next"}},
		{
			name: "erasures_restored", key: []string{"topic", "key_token", "entry"}, by: []string{"topic", "key_token"},
			columns: []string{"topic", "key_token", "entry"}, where: "entry = 1048576",
		},
		{name: "acknowledgements", key: []string{"subscription", "n"}, columns: []string{"subscription", "n", "body"}},
	}
}
