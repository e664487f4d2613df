package identity

import (
	"errors"
	"os"
	"path/filepath"
)

type file struct {
	name string
	data []byte
	mode os.FileMode
}

// writeAll writes files in order, each whole and on disk before the next: after
// a crash a file is there with all its bytes, or as it was before.
func writeAll(dir string, files []file) error {
	for _, f := range files {
		if err := write(dir, f); err != nil {
			return err
		}
	}
	return nil
}

func write(dir string, f file) error {
	temp, err := os.CreateTemp(dir, f.name+".*")
	if err != nil {
		return err
	}
	_, err = temp.Write(f.data)
	err = errors.Join(err, temp.Chmod(f.mode), temp.Sync(), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), filepath.Join(dir, f.name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
