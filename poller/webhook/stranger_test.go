package webhook

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// Who is refused is answered although his body never comes: he would hold one of the
// connections, of which there are not many.
func TestBodyOfAStranger(t *testing.T) {
	srv := httptest.NewServer(newDesk(t, "t"))
	defer srv.Close()
	for _, tt := range []struct {
		name, request string
		status        int
	}{
		{"wrong sign", "POST " + target("x", time.Now()) + " HTTP/1.1", 403},
		{"too old", "POST " + target("t", time.Now().Add(-time.Hour)) + " HTTP/1.1", 403},
		{"elsewhere", "POST /a HTTP/1.1", 404},
		{"PUT", "PUT " + target("t", time.Now()) + " HTTP/1.1", 405},
		{"HTTP/1.0", "POST " + target("x", time.Now()) + " HTTP/1.0", 403},
	} {
		for _, body := range []string{"Content-Length: 1000", "Transfer-Encoding: chunked", "Content-Length: 1000\r\nExpect: 100-continue"} {
			t.Run(tt.name+", "+body, func(t *testing.T) {
				c, err := new(net.Dialer).DialContext(t.Context(), "tcp", srv.Listener.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = c.Close() }()
				_ = c.SetDeadline(time.Now().Add(5 * time.Second))
				_, _ = fmt.Fprintf(c, "%s\r\nHost: a\r\nConnection: keep-alive\r\n%s\r\n\r\n", tt.request, body)
				res, err := http.ReadResponse(bufio.NewReader(c), nil)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = res.Body.Close() }()
				if res.StatusCode != tt.status || !res.Close {
					t.Errorf("status %d, want %d; closes %t", res.StatusCode, tt.status, res.Close)
				}
			})
		}
	}
}
