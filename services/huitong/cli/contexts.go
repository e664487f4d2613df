package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/huitong-bus/huitong/exchange/fault"
)

// connection says how to reach an exchange and as whom. Files are named by
// absolute paths; keys stay where they are.
type connection struct {
	Address     string `json:"address"`
	Certificate string `json:"certificate"`
	Key         string `json:"key"`
	CA          string `json:"ca"`
	// LedgerKey checks checkpoints, a C2SP vkey; if empty, the key that the
	// exchange names is trusted.
	LedgerKey string `json:"ledger_key,omitempty"`
	// ServerName is the name in the exchange's certificate, where it is not the
	// host of Address.
	ServerName string `json:"server_name,omitempty"`
}

// contexts is the file of named connections.
type contexts struct {
	Current  string                `json:"current,omitempty"`
	Contexts map[string]connection `json:"contexts"`

	path string
}

var contextName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$`)

// configFile is where the contexts are: --config, $HUITONG_CONFIG, or the user's
// configuration directory.
func (a *app) configFile() (string, error) {
	if a.config != "" {
		return a.config, nil
	}
	if path := os.Getenv("HUITONG_CONFIG"); path != "" {
		return path, nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", advise(fmt.Errorf("no place for the file of contexts: %w", err), "name one with --config or $HUITONG_CONFIG")
	}
	return filepath.Join(dir, "huitong", "contexts.json"), nil
}

func (a *app) readContexts() (*contexts, error) {
	path, err := a.configFile()
	if err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return &contexts{Contexts: map[string]connection{}, path: path}, nil
	}
	if err != nil {
		return nil, err
	}
	c, err := parseContexts(raw)
	if err != nil {
		return nil, advise(fmt.Errorf("%s: %w", path, err), "mend the file, or move it away and add the contexts again")
	}
	c.path = path
	return c, nil
}

func parseContexts(raw []byte) (*contexts, error) {
	c := &contexts{}
	if err := json.Unmarshal(raw, c); err != nil {
		return nil, err
	}
	if c.Contexts == nil {
		c.Contexts = map[string]connection{}
	}
	for name := range c.Contexts {
		if !contextName.MatchString(name) {
			return nil, fmt.Errorf("%q is no name for a context", name)
		}
	}
	if _, ok := c.Contexts[c.Current]; !ok {
		c.Current = ""
	}
	return c, nil
}

// write replaces the file as a whole: a crash leaves the old one or the new one.
func (c *contexts) write() error {
	raw, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(c.path), 0o700); err != nil {
		return err
	}
	return replaceFile(c.path, append(raw, '\n'), 0o600)
}

// replaceFile writes a file beside the one it then takes the place of.
func replaceFile(path string, content []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// names lists the contexts in order.
func (c *contexts) names() []string {
	var all []string
	for name := range c.Contexts {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// pick gives a context by name, the current one if the name is empty.
func (c *contexts) pick(name string) (string, connection, error) {
	if name == "" {
		name = c.Current
	}
	if name == "" {
		return "", connection{}, advise(fault.New(fault.NotFound, "context.none", "no context is chosen, so it is not known which exchange to call and as whom"),
			"make an exchange with huitong init or huitong serve, or name a connection with huitong context add")
	}
	found, ok := c.Contexts[name]
	if !ok {
		return "", connection{}, advise(fault.New(fault.NotFound, "context.unknown", "there is no context %q in %s", name, c.path),
			"see huitong context list")
	}
	return name, found, nil
}
