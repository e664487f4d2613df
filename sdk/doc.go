// Package sdk connects a department's system to the exchange: it publishes
// records, receives subscriptions, queries, and proves from the ledger what
// happened.
//
// # Start in five minutes
//
// A system is known by its certificate. Make the key on your own machine, have
// the data authority sign the request, and connect:
//
//	key, request, err := sdk.NewCertificateRequest("11999900MB0000019D", "household-register")
//	// keep key; send request to the data authority, who answers with a certificate
//
//	client, err := sdk.Connect(ctx, sdk.Config{
//		Address: "exchange.example.gov.cn:7443",
//		CertFile: "system.crt", KeyFile: "system.key", CAFile: "ca.crt",
//	})
//	defer client.Close()
//
// Publish. Publish returns when the record is committed, and many goroutines may
// call it at once:
//
//	publisher := client.Publisher(sdk.PublisherConfig{})
//	defer publisher.Close(ctx)
//	receipt, err := publisher.Publish(ctx, "real-estate", certificate)
//
// Receive. Returning nil acknowledges:
//
//	_, err = client.EnsureSubscription(ctx, sdk.NewSubscription{Name: "estates", Topic: "real-estate", Start: sdk.FromCurrent()})
//	sub, err := client.Subscribe(ctx, "estates", sdk.Handle(
//		func(ctx context.Context, d *sdk.Delivery, c *recordsv1.Certificate) error {
//			return store(ctx, d.Index, d.Status, c)
//		}))
//
// Query, for a person, a purpose and a case:
//
//	answer, err := client.Query(ctx, sdk.Query{
//		Topic:  "real-estate",
//		Acting: sdk.Acting{Person: "clerk-17", Purpose: "000115004000", Case: "2026-0042"},
//		By:     sdk.BySubject(sdk.Subject{Type: "111", Number: "999999199001010016"}),
//	})
//
// # What it promises
//
// A receipt means that the record is on disk and in the ledger. Every receipt
// and every released record is checked when it comes in, with nothing but the
// ledger's public key: that the entry says what was sent, that it is in the tree
// of a signed checkpoint, that a record cut to the granted fields is part of
// what its publisher signed. An answer that does not prove itself is an error
// (ErrUnproven), never a result.
//
// Publications of one record arrive in the order in which they were handed over,
// and each is committed once, whatever breaks in between: the SDK sends an
// unanswered call again under the same idempotency keys until it is answered or
// PublisherConfig.RetryFor is over.
//
// Deliveries come at least once; versions of one record come in order.
//
// # Errors
//
// Errors are *fault.Error. Ask fault.KindOf and fault.RuleOf, or errors.Is with
// a &fault.Error{Kind: …, Rule: …}. What may be tried again:
//
//	Unavailable, Limited, Timeout   the same publication with the same idempotency key; any read
//	Stale, Conflict                 not as it is: read the record's present version first
//	Denied, Lapsed                  when the permission has changed
//	all others                      never as they are
//
// Retries inside the SDK cover publications (as said above), the reconnects of a
// subscription, and nothing else: a query is a recorded read, so the caller
// decides whether to ask again.
package sdk
