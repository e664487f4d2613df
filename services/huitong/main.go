// Command huitong runs and uses an exchange; see package cli.
package main

import (
	"context"
	"os"

	"github.com/huitong-bus/huitong/services/huitong/cli"
)

func main() {
	os.Exit(cli.Run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
