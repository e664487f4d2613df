// Package deploy holds what it takes to run an exchange for real, and the
// catalogue of a sample city.
package deploy

import (
	"embed"
	"io/fs"
	"slices"
)

//go:embed catalogue
var files embed.FS

//go:embed items/service-items.jsonl
var serviceItems []byte

//go:embed items/documents
var itemDocuments embed.FS

// ServiceItems are the service items of 示范市, one a line: records of the topic
// service-items as `huitong item publish` takes them, which fills in what they say
// of ItemDocuments.
func ServiceItems() []byte { return slices.Clone(serviceItems) }

// ItemDocuments are the forms and samples that the service items name.
func ItemDocuments() fs.FS { return within(itemDocuments, "items/documents") }

// Catalogue is the catalogue of 示范市, a city that does not exist: a directory
// as `huitong catalogue apply` reads it.
func Catalogue() fs.FS { return within(files, "catalogue") }

func within(all fs.FS, dir string) fs.FS {
	sub, err := fs.Sub(all, dir)
	if err != nil {
		panic(err) // the name is valid
	}
	return sub
}
