// Package listing brings the catalogue of an exchange to what files say:
// participants, contracts and topics.
//
// It reads a directory, compares it with the exchange and makes a plan: what is
// to be created and which fields are to be changed. Applying a plan a second
// time finds nothing to do. What the files do not mention is left as it is;
// nothing is ever deleted or withdrawn because a file no longer has it.
package listing

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"buf.build/go/protoyaml"
	"go.yaml.in/yaml/v3"

	cataloguev1 "github.com/huitong-bus/huitong/proto/gen/huitong/catalogue/v1"
)

// Place is where a file says something.
type Place struct {
	File string `json:"file"`
	Line int    `json:"line"`
}

// String gives "file:line".
func (p Place) String() string { return fmt.Sprintf("%s:%d", p.File, p.Line) }

// Placed is an object and where it stands.
type Placed[T any] struct {
	Place
	Object T
}

// Wanted is a catalogue as files say that it should be.
type Wanted struct {
	Participants []Placed[*cataloguev1.Participant]
	Contracts    []Placed[*cataloguev1.ContractFile]
	Topics       []Placed[*cataloguev1.Topic]

	files fs.FS
}

// Load reads all .yaml, .yml and .json files of a directory and below.
func Load(files fs.FS) (*Wanted, error) {
	w := &Wanted{files: files}
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !slices.Contains([]string{".yaml", ".yml", ".json"}, path.Ext(name)) {
			return err
		}
		return w.read(name)
	})
	if err != nil {
		return nil, err
	}
	if len(w.Participants)+len(w.Contracts)+len(w.Topics) == 0 {
		return nil, errors.New("the directory has no .yaml, .yml or .json file that names a participant, contract or topic")
	}
	return w, w.checkTwice()
}

func (w *Wanted) read(name string) error {
	raw, err := fs.ReadFile(w.files, name)
	if err != nil {
		return err
	}
	file := &cataloguev1.CatalogueFile{}
	if err := (protoyaml.UnmarshalOptions{Path: name}).Unmarshal(raw, file); err != nil {
		return err
	}
	lines, err := linesOf(raw)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	w.Participants = place(w.Participants, name, lines["participants"], file.Participants)
	w.Contracts = place(w.Contracts, name, lines["contracts"], file.Contracts)
	w.Topics = place(w.Topics, name, lines["topics"], file.Topics)
	return nil
}

func place[T any](list []Placed[T], file string, lines []int, objects []T) []Placed[T] {
	for i, o := range objects {
		p := Placed[T]{Place: Place{File: file}, Object: o}
		if i < len(lines) {
			p.Line = lines[i]
		}
		list = append(list, p)
	}
	return list
}

// linesOf gives the lines at which the elements of each top-level list begin.
func linesOf(raw []byte) (map[string][]int, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		return nil, err
	}
	lines := map[string][]int{}
	if len(doc.Content) == 0 {
		return lines, nil
	}
	pairs := doc.Content[0].Content
	for i := 0; i+1 < len(pairs); i += 2 {
		for _, element := range pairs[i+1].Content {
			lines[pairs[i].Value] = append(lines[pairs[i].Value], element.Line)
		}
	}
	return lines, nil
}

// checkTwice refuses an object that two places describe: which of them holds
// would depend on the order of files.
func (w *Wanted) checkTwice() error {
	seen := map[string]Place{}
	var errs []error
	once := func(id string, at Place) {
		if first, twice := seen[id]; twice {
			errs = append(errs, fmt.Errorf("%s: %s is described at %s too", at, id, first))
		}
		seen[id] = at
	}
	for _, p := range w.Participants {
		once("participant "+p.Object.Code, p.Place)
	}
	for _, c := range w.Contracts {
		once("contract "+c.Object.Name, c.Place)
	}
	for _, t := range w.Topics {
		once("topic "+t.Object.Name, t.Place)
	}
	return errors.Join(errs...)
}
