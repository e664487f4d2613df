package sdk

// contractBook keeps what the catalogue says of topics and contracts.
type contractBook struct{ client *Client }

func newContractBook(c *Client) *contractBook { return &contractBook{client: c} }
