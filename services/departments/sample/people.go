package sample

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// Person is somebody of the sample city.
type Person struct {
	Number, Name string
	Woman        bool
	Birth        time.Time
	Address      string
}

// Family is a household: the holder, perhaps a spouse, and children.
type Family struct {
	Number   string
	Holder   *Person
	Spouse   *Person // nil if there is none
	Children []*Person
	Address  string
	Since    time.Time // of the marriage, or of the household
}

// Adults are the holder and the spouse.
func (f *Family) Adults() []*Person {
	if f.Spouse == nil {
		return []*Person{f.Holder}
	}
	return []*Person{f.Holder, f.Spouse}
}

// Members are all of the family, the holder first.
func (f *Family) Members() []*Person { return append(f.Adults(), f.Children...) }

// City is all families, made from one seed.
type City struct {
	Families []*Family
	People   int
	seed     uint64
	random   *rand.Rand
	taken    map[string]bool
}

// NewCity makes families until there are at least so many people.
func NewCity(seed uint64, people int) *City {
	c := &City{seed: seed, random: rand.New(rand.NewPCG(seed, 0x6875_6974_6f6e_67)), taken: make(map[string]bool)}
	for c.People < people {
		f := c.family(len(c.Families) + 1)
		c.Families = append(c.Families, f)
		c.People += len(f.Members())
	}
	return c
}

func (c *City) family(n int) *Family {
	r := c.random
	street := streets[r.IntN(len(streets))]
	f := &Family{
		Number:  fmt.Sprintf("H%s%07d", Region, n),
		Address: fmt.Sprintf("示范市%s%d号%d室", street, 1+r.IntN(200), 101+100*r.IntN(12)+r.IntN(4)),
	}
	age := 26 + r.IntN(50)
	// The first family is whole, so that there is always a case to play.
	married := n == 1 || r.IntN(4) > 0
	woman := r.IntN(2) == 0
	f.Holder = c.person(surname(r), woman, age, f.Address)
	f.Since = f.Holder.Birth.AddDate(23, r.IntN(24), r.IntN(28))
	if !married {
		return f
	}
	f.Spouse = c.person(surname(r), !woman, age, f.Address)
	if f.Spouse.Birth.After(f.Holder.Birth) {
		f.Since = f.Spouse.Birth.AddDate(23, r.IntN(24), r.IntN(28))
	}
	father := f.Holder
	if woman {
		father = f.Spouse
	}
	children := r.IntN(3)
	if n == 1 {
		children = 1
	}
	for range children {
		child := c.person([]rune(father.Name)[0], r.IntN(2) == 0, r.IntN(age-23), f.Address)
		f.Children = append(f.Children, child)
	}
	return f
}

// person makes somebody whose number nobody else has.
func (c *City) person(surname rune, woman bool, age int, address string) *Person {
	r := c.random
	p := &Person{Name: name(r, surname, woman), Woman: woman, Address: address}
	for {
		p.Birth = time.Date(2025-age, time.Month(1+r.IntN(12)), 1+r.IntN(28), 0, 0, 0, 0, time.UTC)
		sequence := 2*r.IntN(499) + 1
		if woman {
			sequence++
		}
		p.Number = ResidentID(p.Birth, sequence)
		if !c.taken[p.Number] {
			c.taken[p.Number] = true
			return p
		}
	}
}
