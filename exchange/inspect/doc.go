// Package inspect finds entries of the ledger, shows them to those who may see
// them, and checks the whole database against the ledger.
//
// # The index
//
// What can be searched is an index that follows the ledger by position. It holds
// numbers only: terms of participants, systems, topics and kinds as bits of
// blocks of entries, and tokens of subjects and cases. It is derived from the
// journal alone, so it may be lost: an index that is behind goes on, one of
// another ledger or another past is made anew. A read waits until the index has
// reached the head that the read saw. What the index finds is compared with the
// entry itself before it is shown, so a wrong index hides entries and never
// shows more.
//
// # Who sees what
//
// An auditor sees every entry. Every other caller sees the entries that its
// participant is party to; others do not exist for it. Parties are the
// participants of the acting system, of the provider, of the consuming system,
// of the system that a certificate is for, and those that a change of the
// catalogue names.
//
// Openings, which tell what salted commitments commit to, are shown as narrowly
// as they are useful:
//
//   - of a publication: the provider sees all of its own; an auditor sees key,
//     subjects, reason and warnings, but neither the payload nor the secret by
//     which a payload could be guessed and tried, but salts that prove the rest;
//     nobody else sees any, for what a consumer may see reaches it cut, with its
//     own proof;
//   - of a query, refusal or ledger read: the participant that acted and
//     auditors see all;
//   - of a release or an acknowledgement: both sides and auditors see the
//     details; of a query's or a check's, the provider sees the details too, but
//     not person, case, subject and answer; of a check's, the participant that
//     asked sees all but the details.
//
// Checkpoints, consistency proofs and hash tiles are for every enrolled system,
// an inclusion proof for whoever holds the leaf.
//
// Every search, watch and export, and every look at an opening, is an entry
// itself, committed before anything is shown. The pages of one search are one
// entry; a page token is bound to its caller and filter.
package inspect
