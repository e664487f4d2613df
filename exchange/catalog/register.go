package catalog

import (
	"context"
	"database/sql"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/huitong-bus/huitong/exchange/contract"
	"github.com/huitong-bus/huitong/exchange/fault"
	"github.com/huitong-bus/huitong/exchange/identity"
	"github.com/huitong-bus/huitong/exchange/journal"
	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
	ledgerv1 "github.com/huitong-bus/huitong/proto/gen/huitong/ledger/v1"
)

// reservedPackage is the prefix of contracts that only the exchange registers.
const reservedPackage = "huitong."

// maxDescriptorBytes bounds a descriptor set as sent, comments and all.
const maxDescriptorBytes = 4 << 20

// Bounds of what a participant may register: every version stays for good, and
// each is compared with all before it.
const (
	maxContracts = 1000
	maxVersions  = 100
)

// Registration asks for a contract version.
type Registration struct {
	Name          string
	DescriptorSet []byte
	Compatibility cataloguev1.Compatibility
}

// Verdict answers a registration. With findings, nothing was registered.
type Verdict struct {
	Contract  *cataloguev1.Contract
	Findings  []contract.Finding
	Unchanged bool
}

// RegisterContract registers the next version of a contract. A contract is owned
// by the participant that registers it first; later versions are of a
// department system of that participant, or of an operator.
func (c *Catalogue) RegisterContract(ctx context.Context, ch Change, r Registration) (*Verdict, *journal.Commit, error) {
	mode, set, err := checkRegistration(&r)
	if err != nil {
		return nil, nil, err
	}
	// Compiling and comparing take milliseconds: not under the head's lock.
	if err := c.Refresh(ctx, c.Journal.Policy()); err != nil {
		return nil, nil, err
	}
	if err := c.mayRegister(ch.Actor, r.Name); err != nil {
		return nil, nil, err
	}
	if err := c.compiling.Acquire(ctx, 1); err != nil {
		return nil, nil, fault.Wrap(fault.KindOfContext(err), "contract.busy", err, "other contracts are being compiled; try again")
	}
	defer c.compiling.Release(1)
	earlier, err := c.allVersions(r.Name)
	if err != nil {
		return nil, nil, err
	}
	next, findings := contract.Compile(set, r.Name, uint32(len(earlier)+1))
	if next == nil {
		return &Verdict{Findings: findings}, nil, nil
	}
	if n := len(earlier); n > 0 && string(earlier[n-1].DescriptorSet()) == string(next.DescriptorSet()) {
		m, err := c.Contract(ctx, r.Name, uint32(n))
		return &Verdict{Contract: m, Unchanged: true}, nil, err
	}
	if err := c.room(ch.Actor, len(earlier)); err != nil {
		return nil, nil, err
	}
	if findings := contract.Check(earlier, next, mode); len(findings) > 0 {
		return &Verdict{Findings: findings}, nil, nil
	}
	var result *cataloguev1.Contract
	commit, err := c.Commit(ctx, ch, func(ctx context.Context, w *Write) (err error) {
		result, err = w.registerContract(ctx, next, r.Compatibility)
		return err
	})
	return &Verdict{Contract: result}, commit, err
}

func checkRegistration(r *Registration) (contract.Mode, *descriptorpb.FileDescriptorSet, error) {
	if r.Compatibility == cataloguev1.Compatibility_COMPATIBILITY_UNSPECIFIED {
		r.Compatibility = cataloguev1.Compatibility_COMPATIBILITY_FULL_TRANSITIVE
	}
	if _, ok := cataloguev1.Compatibility_name[int32(r.Compatibility)]; !ok {
		return 0, nil, fault.Field("compatibility", "compatibility.unknown", "is none that the exchange knows")
	}
	if r.Name == "" || len(r.Name) > 255 {
		return 0, nil, fault.Field("name", "contract.name", "is the full name of a message, at most 255 characters")
	}
	if len(r.DescriptorSet) > maxDescriptorBytes {
		return 0, nil, fault.New(fault.TooLarge, "descriptor_set.size", "the descriptor set has more than %d bytes", maxDescriptorBytes)
	}
	set := &descriptorpb.FileDescriptorSet{}
	if err := proto.Unmarshal(r.DescriptorSet, set); err != nil {
		return 0, nil, fault.Field("descriptor_set", "descriptor_set.broken", "is no google.protobuf.FileDescriptorSet")
	}
	return contract.Mode(r.Compatibility), set, nil
}

// mayRegister refuses, before anything is compiled, who may not register.
func (c *Catalogue) mayRegister(actor *identity.Caller, name string) error {
	if actor == nil {
		return nil
	}
	if !actor.Roles.Has(identity.Department, identity.Operator) {
		return fault.New(fault.Denied, "role.department", "contracts are registered by departments and operators")
	}
	if strings.HasPrefix(name, reservedPackage) {
		return fault.New(fault.Denied, "contract.reserved", "contracts of package %s* come with the exchange", reservedPackage)
	}
	owner := actor.Participant
	c.mu.RLock()
	if v := c.contracts[name]; v != nil {
		owner = (*v.list.Load())[0].message.Owner
	}
	c.mu.RUnlock()
	if owner != actor.Participant && !actor.Roles.Has(identity.Operator) {
		return errOwner()
	}
	return nil
}

// room refuses the version after so many earlier ones, or one contract more,
// where there are too many.
func (c *Catalogue) room(actor *identity.Caller, earlier int) error {
	if earlier >= maxVersions {
		return fault.New(fault.TooLarge, "contract.versions", "a contract has at most %d versions; register its next under another name", maxVersions)
	}
	if actor == nil || earlier > 0 {
		return nil
	}
	owned := 0
	c.mu.RLock()
	for _, v := range c.contracts {
		if (*v.list.Load())[0].message.Owner == actor.Participant {
			owned++
		}
	}
	c.mu.RUnlock()
	if owned >= maxContracts {
		return fault.New(fault.TooLarge, "contract.number", "a participant has at most %d contracts", maxContracts)
	}
	return nil
}

func errOwner() *fault.Error {
	return fault.New(fault.Denied, "contract.owner", "the contract is another participant's; register your own under another name")
}

// allVersions gives all versions of a contract, compiled.
func (c *Catalogue) allVersions(name string) ([]*contract.Contract, error) {
	c.mu.RLock()
	v := c.contracts[name]
	c.mu.RUnlock()
	if v == nil {
		return nil, nil
	}
	all := make([]*contract.Contract, len(*v.list.Load()))
	for i := range all {
		var err error
		if all[i], err = v.compiled(uint32(i + 1)); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// registerContract stores a version that was compiled and compared before; if
// the versions are others by now, the caller compares anew.
func (w *Write) registerContract(ctx context.Context, k *contract.Contract, mode cataloguev1.Compatibility) (*cataloguev1.Contract, error) {
	var newest sql.NullInt64
	if err := w.Tx.QueryRowContext(ctx, "SELECT max(version) FROM contracts WHERE name = $1", k.Name()).Scan(&newest); err != nil {
		return nil, err
	}
	if newest.Int64 != int64(k.Version())-1 {
		return nil, fault.New(fault.Conflict, "contract.version", "another version was registered meanwhile; register again")
	}
	m := ContractMessage(k)
	m.Compatibility, m.RegisteredAt = mode, w.At()
	if w.actor != nil {
		m.Owner = w.actor.Participant
	}
	if k.Version() > 1 {
		before, err := row[cataloguev1.Contract](ctx, w.Tx, "SELECT body FROM contracts WHERE name = $1 AND version = 1", k.Name())
		if err != nil {
			return nil, err
		}
		m.Owner = before.GetOwner()
	}
	if err := w.requireOperatorOr(m.Owner, "contract.owner", errOwner().Message); err != nil {
		return nil, err
	}
	return m, w.putContract(ctx, m, k.DescriptorSet())
}

// ContractMessage gives a contract as the API shows it, without its descriptor
// set.
func ContractMessage(k *contract.Contract) *cataloguev1.Contract {
	m := &cataloguev1.Contract{Name: k.Name(), Version: k.Version(), Title: k.Title(), Key: k.KeyPath()}
	for _, i := range k.Items() {
		m.Items = append(m.Items, &cataloguev1.DataItem{
			Number: i.Number, Name: i.Name, Title: i.Title, Type: i.Type, Sensitivity: i.Sensitivity, Repeated: i.Repeated,
		})
	}
	return m
}

func (w *Write) putContract(ctx context.Context, m *cataloguev1.Contract, set []byte) error {
	body, err := Encode(m)
	if err != nil {
		return err
	}
	_, err = w.Tx.ExecContext(ctx, "INSERT INTO contracts (name, version, changed, body, descriptor_set) VALUES ($1, $2, $3, $4, $5)",
		m.Name, int64(m.Version), int64(w.Slot.Policy), body, set)
	if err != nil {
		return err
	}
	whole := proto.CloneOf(m)
	whole.DescriptorSet = set
	digested, err := Encode(whole)
	if err != nil {
		return err
	}
	var parties []string
	if m.Owner != "" {
		parties = []string{m.Owner}
	}
	w.Changed(&ledgerv1.ObjectChanged{
		Object: "contract", Id: m.Name, Change: "register", Version: uint64(m.Version), Parties: parties,
	}, digested)
	return nil
}
