package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"roomwatch/cmd/internal/environ"
	"roomwatch/cmd/roomwatch/config"
	"roomwatch/cmd/roomwatch/web"
)

const (
	clientTimeout = 30 * time.Second // a walk through a million rooms takes a few seconds
	clientMost    = 64 << 20         // bytes of an answer
)

// A client asks the daemon that runs with the same configuration.
type client struct {
	base  string
	token environ.Secret
	http  http.Client
}

// readClient is newClient for the configuration in the environment.
func readClient() (*client, error) {
	cfg, err := config.Read()
	if err != nil {
		return nil, err
	}
	return newClient(&cfg)
}

// newClient returns one for ROOMWATCH_HTTP_ADDR.
func newClient(cfg *config.Config) (*client, error) {
	token, err := cfg.Token()
	if err != nil {
		err = fmt.Errorf("ROOMWATCH_HTTP_TOKEN_FILE: %w; name the file that holds the token of the daemon", err)
	}
	if err := errors.Join(cfg.ValidateClient(), err); err != nil {
		return nil, fmt.Errorf("%w:\n%w", config.ErrInvalid, err)
	}
	return &client{base: "http://" + reachable(cfg.HTTPAddr), token: token, http: http.Client{
		Timeout: clientTimeout,
		// No proxy and no redirect: the token is for the daemon alone.
		Transport:     &http.Transport{},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// reachable turns an address to listen on into one to connect to from the same
// machine: what stands for all of its addresses is asked on the loopback.
func reachable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr // unreachable: it was checked
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip != nil && ip.To4() == nil {
			host = "::1"
		}
	}
	return net.JoinHostPort(host, port)
}

// get decodes the answer to a question into v.
func (c *client) get(ctx context.Context, path string, query url.Values, v any) error {
	defer c.http.CloseIdleConnections()
	resp, err := c.ask(ctx, path, query)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := c.read(resp.Body)
	if err == nil && json.Unmarshal(body, v) != nil {
		err = c.stranger(resp.StatusCode)
	}
	return err
}

// ask returns the answer to a question if it is one; the caller closes its body.
func (c *client) ask(ctx context.Context, path string, query url.Values) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path+"?"+query.Encode(), nil)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", c.base, err)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+string(c.token))
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, noAnswer(c.base, err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := c.read(resp.Body)
	var problem web.Problem
	switch {
	case err != nil:
		return nil, err
	case json.Unmarshal(body, &problem) != nil || problem.Error == "":
		return nil, c.stranger(resp.StatusCode)
	case resp.StatusCode == http.StatusUnauthorized:
		return nil, c.refused()
	}
	return nil, fmt.Errorf("roomwatch at %s answers: %s", c.base, plain(problem.Error))
}

// read returns the body of an answer.
func (c *client) read(r io.Reader) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, clientMost))
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", c.base, err)
	}
	return body, nil
}

func (c *client) stranger(status int) error {
	return fmt.Errorf("what answers at %s with status %d is no roomwatch: set ROOMWATCH_HTTP_ADDR to where it answers", c.base, status)
}

// errToken means that the daemon wants a token, or another one.
var errToken = errors.New("its token is needed")

// refused says which token is wanted, to one who sends it by a variable.
func (c *client) refused() error {
	what := "wants a token"
	if c.token != "" {
		what = "wants another token"
	}
	return fmt.Errorf("%w: roomwatch at %s %s; set ROOMWATCH_HTTP_TOKEN or ROOMWATCH_HTTP_TOKEN_FILE to that of the daemon", errToken, c.base, what)
}

func noAnswer(base string, err error) error {
	return fmt.Errorf("no roomwatch answers at %s: %w; start `roomwatch run`, or set ROOMWATCH_HTTP_ADDR to where it answers", base, cause(err))
}

// cause is an error without the URL that [http.Client] puts in front.
func cause(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}
