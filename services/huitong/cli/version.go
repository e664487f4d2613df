package cli

import (
	"context"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// build is what the program knows of how it was built.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Time     string `json:"time,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
}

func readBuild() build {
	b := build{Version: "unknown"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	b.Version, b.Go = info.Main.Version, info.GoVersion
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Say which version this is", Args: cobra.NoArgs,
		RunE: a.do(func(context.Context, []string) error {
			b := readBuild()
			if a.json() {
				return a.printValue(b)
			}
			revision := b.Revision
			if b.Modified {
				revision += " with changes"
			}
			return a.pairs(pair{"huitong", b.Version}, pair{"revision", revision}, pair{"time", b.Time}, pair{"go", b.Go})
		}),
	}
}
