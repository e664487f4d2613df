// Package deploy holds what it takes to run an exchange for real, and the
// catalogue of a sample city.
package deploy

import (
	"embed"
	"io/fs"
)

//go:embed catalogue
var files embed.FS

// Catalogue is the catalogue of 示范市, a city that does not exist: a directory
// as `huitong catalogue apply` reads it.
func Catalogue() fs.FS {
	sub, err := fs.Sub(files, "catalogue")
	if err != nil {
		panic(err) // the name is valid
	}
	return sub
}
