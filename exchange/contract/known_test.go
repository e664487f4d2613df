package contract

import (
	"testing"

	"google.golang.org/protobuf/reflect/protoregistry"
)

func TestKnownFilesAreLinked(t *testing.T) {
	for _, path := range known {
		if _, err := protoregistry.GlobalFiles.FindFileByPath(path); err != nil {
			t.Error(err)
		}
	}
}
