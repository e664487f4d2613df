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

// ServiceItems are the service items of 示范市, one a line: records of the topic
// service-items as `huitong publish` takes them.
func ServiceItems() []byte { return slices.Clone(serviceItems) }

// Catalogue is the catalogue of 示范市, a city that does not exist: a directory
// as `huitong catalogue apply` reads it.
func Catalogue() fs.FS {
	sub, err := fs.Sub(files, "catalogue")
	if err != nil {
		panic(err) // the name is valid
	}
	return sub
}
