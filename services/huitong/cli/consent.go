package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	accessv1 "github.com/huitong-bus/huitong/proto/gen/huitong/access/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
	"github.com/huitong-bus/huitong/sdk"
)

func (a *app) consentCommand() *cobra.Command {
	return noun("consent", "Keep what people allow the department to read",
		a.consentPrepare(), a.consentGive(), a.consentRevoke(), a.consentList(), a.consentShow())
}

// parseDay reads the last day of a period, in Asia/Shanghai.
func parseDay(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	day, err := time.ParseInLocation(time.DateOnly, text, time.FixedZone("Asia/Shanghai", 8*60*60))
	if err != nil {
		return time.Time{}, usageError("%s is a day such as 2026-12-31", flag)
	}
	return day, nil
}

// parseDigest reads the name of a consent or a representation.
func parseDigest(text string) ([]byte, error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != sha256.Size {
		return nil, usageError("it is named by the 64 hexadecimal digits of its SHA-256")
	}
	return raw, nil
}

func subjectText(s *ledgerv1.Subject) string { return s.GetType() + ":" + s.GetNumber() }

// writeNew writes a file that is not there yet.
func writeNew(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.Write(content); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}

func (a *app) consentPrepare() *cobra.Command {
	var n sdk.NewConsent
	var topics []string
	var from, until, representation, out, revoke string
	c := &cobra.Command{
		Use:   "prepare SUBJECT --topic TOPIC[:FIELD:…] --item CODE --until DAY --out FILE",
		Short: "Make the statement that somebody agrees to",
		Long: `Makes the exact bytes that the subject agrees to, and writes them to a file. What is
printed is asked of the person's identity provider: a token (JWT) whose claim nonce
is the one printed, and whose audience is the ledger. With --revoke it makes the
statement that ends a consent.`,
		Example: `  huitong consent prepare 111:999999199001010016 --topic income:gross_fen:period \
      --item 11999900MB000002780007110040001 --until 2026-12-31 --out wang.consent
  huitong consent prepare --revoke 3f6c…e1 --out wang.revocation`,
		Args: cobra.MaximumNArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			s, err := func() (*sdk.Statement, error) {
				if revoke != "" {
					digest, err := parseDigest(revoke)
					if err != nil {
						return nil, err
					}
					return c.PrepareRevocation(digest)
				}
				if len(args) != 1 || until == "" || len(topics) == 0 || len(n.ServiceItems) == 0 {
					return nil, usageError("name the subject, --topic, --item and --until, or a consent to --revoke")
				}
				return prepared(c, &n, args[0], topics, from, until, representation)
			}()
			if err != nil {
				return err
			}
			if err := writeNew(out, s.Bytes()); err != nil {
				return advise(err, "a statement is never replaced; choose another file")
			}
			digest := s.Digest()
			if a.json() {
				return a.printValue(map[string]string{
					"file": out, "digest": hex.EncodeToString(digest[:]), "nonce": s.Nonce(), "audience": c.Origin(),
				})
			}
			return a.pairs(pair{"statement", out}, pair{"digest", hex.EncodeToString(digest[:])}, pair{"nonce", s.Nonce()}, pair{"audience", c.Origin()})
		}),
	}
	f := c.Flags()
	f.StringArrayVar(&topics, "topic", nil, "a topic that may be read, TOPIC or TOPIC:FIELD:FIELD…; may be given again")
	f.StringSliceVar(&n.ServiceItems, "item", nil, "codes of the service items that it may be read for")
	f.StringVar(&from, "from", "", "first day; today if not given")
	f.StringVar(&until, "until", "", "last day")
	f.StringVar(&n.Case, "case", "", "only for this case")
	f.StringVar(&representation, "representation", "", "digest of the representation under which another consents")
	f.StringVar(&revoke, "revoke", "", "digest of the consent to end")
	f.StringVar(&out, "out", "", "file for the statement")
	_ = c.MarkFlagRequired("out")
	return c
}

func prepared(c *sdk.Client, n *sdk.NewConsent, subject string, topics []string, from, until, representation string) (*sdk.Statement, error) {
	var err error
	if n.Subject, err = parseSubject(subject); err != nil {
		return nil, err
	}
	if n.From, err = parseDay("--from", from); err != nil {
		return nil, err
	}
	if n.Until, err = parseDay("--until", until); err != nil {
		return nil, err
	}
	if representation != "" {
		if n.Representation, err = parseDigest(representation); err != nil {
			return nil, err
		}
	}
	for _, text := range topics {
		parts := strings.Split(text, ":")
		n.Topics = append(n.Topics, sdk.ConsentedTopic{Topic: parts[0], Fields: parts[1:]})
	}
	return c.PrepareConsent(*n)
}

// agreedFlags show that somebody agreed.
type agreedFlags struct {
	token, jws, keyToken, form string
	keys                       []string
}

func (f *agreedFlags) add(c *cobra.Command) {
	fs := c.Flags()
	fs.StringVar(&f.token, "token", "", "file with the identity provider's token")
	fs.StringVar(&f.jws, "jws", "", "file with the person's own signature, a detached JWS")
	fs.StringVar(&f.keyToken, "key-token", "", "file with the token that vouches for the key of --jws")
	fs.StringVar(&f.form, "form", "", "the scanned form that was signed on paper; it stays here")
	fs.StringSliceVar(&f.keys, "person-key", nil, "key files of the two officials who attest the form, one of them a clerk")
	c.MarkFlagsOneRequired("token", "jws", "form")
	c.MarkFlagsMutuallyExclusive("token", "jws", "form")
	c.MarkFlagsRequiredTogether("jws", "key-token")
}

func (f *agreedFlags) agreement() (sdk.Agreement, error) {
	switch {
	case f.token != "":
		token, err := readText(f.token)
		return sdk.ByToken(token), err
	case f.jws != "":
		jws, err := readText(f.jws)
		if err != nil {
			return nil, err
		}
		token, err := readText(f.keyToken)
		return sdk.ByOwnKey(jws, token), err
	case len(f.keys) != 2:
		return nil, usageError("a form is attested by two officials: name two --person-key")
	}
	form, err := os.ReadFile(f.form)
	if err != nil {
		return nil, err
	}
	var keys [2]*sdk.PersonKey
	for i, path := range f.keys {
		if keys[i], err = sdk.LoadPersonKey(path); err != nil {
			return nil, err
		}
	}
	return sdk.AtCounter(sha256.Sum256(form), keys[0], keys[1]), nil
}

func readText(path string) (string, error) {
	raw, err := os.ReadFile(path)
	return strings.TrimSpace(string(raw)), err
}

// agreed reads a statement and what shows that somebody agreed to it.
func (f *agreedFlags) agreed(path string) (*sdk.Statement, sdk.Agreement, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	agreement, err := f.agreement()
	return sdk.StatementOf(raw), agreement, err
}

func (a *app) consentGive() *cobra.Command {
	var f agreedFlags
	c := &cobra.Command{
		Use: "give FILE", Short: "Record a consent",
		Long: `Records the consent that a file holds (huitong consent prepare). It is shown by a token
of the person's identity provider, by a signature of the person's own key, or by a
form on paper that two officials attest, which is weaker.`,
		Example: `  huitong consent give wang.consent --token wang.jwt
  huitong consent give wang.consent --form scan.pdf --person-key clerk.key,head.key`,
		Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			s, agreement, err := f.agreed(args[0])
			if err != nil {
				return err
			}
			given, err := c.GiveConsent(ctx, s, agreement)
			if err != nil {
				return err
			}
			return a.showConsent(given)
		}),
	}
	f.add(c)
	return c
}

func (a *app) consentRevoke() *cobra.Command {
	var f agreedFlags
	c := &cobra.Command{
		Use: "revoke FILE", Short: "End a consent for good",
		Long: `Ends the consent that the statement in the file names (huitong consent prepare
--revoke). Nothing that needed it is read behind the entry.`,
		Example: `  huitong consent revoke wang.revocation --token wang.jwt`,
		Args:    cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			s, agreement, err := f.agreed(args[0])
			if err != nil {
				return err
			}
			ended, err := c.RevokeConsent(ctx, s, agreement)
			if err != nil {
				return err
			}
			if ended == nil {
				a.printf("the consent, which was another department's, is revoked\n")
				return nil
			}
			return a.showConsent(ended)
		}),
	}
	f.add(c)
	return c
}

func topicsText(list []*accessv1.ConsentedTopic) string {
	var texts []string
	for _, t := range list {
		text := t.GetTopic()
		if len(t.GetFields()) > 0 {
			text += " (" + strings.Join(t.GetFields(), ", ") + ")"
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, ", ")
}

func meansText(c *sdk.Consent) string {
	return enumText(c.GetMeans()) + yesNo(c.GetWeaker(), ", weaker", "")
}

func (a *app) consentList() *cobra.Command {
	var number string
	c := &cobra.Command{
		Use: "list SUBJECT --case NUMBER", Short: "List the consents of a subject of a case, the newest first",
		Example: `  huitong consent list 111:999999199001010016 --case SF-2026-000042`, Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			s, err := parseSubject(args[0])
			if err != nil {
				return err
			}
			all, err := c.Consents(ctx, number, s)
			if err != nil {
				return err
			}
			type C = *sdk.Consent
			return list(a, each(all),
				column[C]{"CONSENT", func(c C) string { return hex.EncodeToString(c.GetDigest()) }},
				column[C]{"TO", func(c C) string { return topicsText(c.GetConsent().GetTopics()) }},
				column[C]{"FOR", func(c C) string { return strings.Join(c.GetConsent().GetServiceItems(), ", ") }},
				column[C]{"UNTIL", func(c C) string { return c.GetConsent().GetValidUntil() }},
				column[C]{"MEANS", meansText}, column[C]{"STATE", func(c C) string { return enumText(c.GetState()) }})
		}),
	}
	c.Flags().StringVar(&number, "case", "", "a case of the department that names the subject")
	_ = c.MarkFlagRequired("case")
	return c
}

func (a *app) consentShow() *cobra.Command {
	return &cobra.Command{
		Use: "show DIGEST", Short: "Show a consent that was given to the department", Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *sdk.Client, args []string) error {
			digest, err := parseDigest(args[0])
			if err != nil {
				return err
			}
			found, err := c.Consent(ctx, digest)
			if err != nil {
				return err
			}
			return a.showConsent(found)
		}),
	}
}

func (a *app) showConsent(c *sdk.Consent) error {
	m := c.GetConsent()
	revoked := ""
	if c.GetRevokedPlusOne() > 0 {
		revoked = fmt.Sprintf("%s, entry %d", when(c.GetRevokedAt()), c.GetRevokedPlusOne()-1)
	}
	return a.show(c, pair{"consent", hex.EncodeToString(c.GetDigest())}, pair{"subject", subjectText(m.GetSubject())},
		pair{"recipient", m.GetRecipient()}, pair{"to", topicsText(m.GetTopics())}, pair{"for", strings.Join(m.GetServiceItems(), ", ")},
		pair{"case", m.GetCaseNumber()}, pair{"valid", m.GetValidFrom() + " to " + m.GetValidUntil()},
		pair{"representation", hex.EncodeToString(m.GetRepresentation())}, pair{"means", meansText(c)},
		pair{"given", fmt.Sprintf("%s, entry %d", when(c.GetGivenAt()), c.GetGiven())},
		pair{"state", enumText(c.GetState())}, pair{"revoked", revoked})
}
