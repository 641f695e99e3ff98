package web

import (
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path"
	"regexp"
	"strings"
	"testing"
	"time"

	"roomwatch/diff"
)

// behind puts a proxy before the server of the rig.
func (r *rig) behind(proxy func(to *url.URL) http.Handler) {
	r.t.Helper()
	to, err := url.Parse(r.base)
	if err != nil {
		r.t.Fatal(err)
	}
	s := httptest.NewServer(proxy(to))
	r.t.Cleanup(s.Close)
	r.base = s.URL
}

// compressing is a proxy that compresses what it may, and passes it on when it
// has all of it, as gzip does with short pieces.
func compressing(to *url.URL) http.Handler {
	return &httputil.ReverseProxy{
		FlushInterval: -1,
		Rewrite:       func(p *httputil.ProxyRequest) { p.SetURL(to) },
		ModifyResponse: func(resp *http.Response) error {
			if strings.Contains(resp.Header.Get("Cache-Control"), "no-transform") {
				return nil
			}
			from := resp.Body
			out, in := io.Pipe()
			go func() {
				z := gzip.NewWriter(in)
				_, err := io.Copy(z, from)
				if err == nil {
					err = z.Close()
				}
				in.CloseWithError(err)
			}()
			resp.Body = struct {
				io.Reader
				io.Closer
			}{out, from}
			resp.Header.Set("Content-Encoding", "gzip")
			resp.Header.Del("Content-Length")
			resp.ContentLength = -1
			return nil
		},
	}
}

// Behind a proxy that compresses, events come as they happen, and all the rest
// is as it was.
func TestBehindAProxyThatCompresses(t *testing.T) {
	r := newRig(t, nil).serve()
	r.behind(compressing)
	if status, header, body := r.get("/api/v1/status"); status != http.StatusOK || !strings.Contains(body, `"health"`) {
		t.Errorf("status: %d %v %s", status, header, body)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	resp := r.open(ctx, "/api/v1/events")
	defer func() { _ = resp.Body.Close() }()
	b := make([]byte, len("retry: "))
	if _, err := io.ReadFull(resp.Body, b); err != nil || string(b) != "retry: " {
		t.Fatalf("the first bytes of the events: %q, %v", b, err)
	}
	rd := r.read("")
	r.following(2)
	r.publish(diff.RoomCreated, "a")
	rd.want("room.created a")
}

// Below a path of a proxy, the page finds everything that it asks for.
func TestBelowAPath(t *testing.T) {
	const prefix = "/tools/roomwatch"
	r := newRig(t, nil).serve()
	r.behind(func(to *url.URL) http.Handler {
		pass := &httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(to) }}
		return http.StripPrefix(prefix, pass)
	})
	_, _, page := r.get(prefix + "/")
	found := 0
	check := func(base, ref string) {
		found++
		u, err := url.Parse(base)
		if err == nil {
			u, err = u.Parse(ref)
		}
		if err != nil {
			t.Fatalf("%s: %v", ref, err)
		}
		// What the page asks for with a query lacks it here.
		if status, _, _ := r.get("HEAD " + u.RequestURI()); status != http.StatusOK && (status != http.StatusBadRequest || !strings.HasPrefix(ref, "api/")) {
			t.Errorf("%s asks for %s, which is %s: %d", base, ref, u, status)
		}
	}
	for _, m := range regexp.MustCompile(`(?:href|src)="([^"#][^"]*)"`).FindAllStringSubmatch(page, -1) {
		check(prefix+"/", m[1])
	}
	scripts, err := pageFiles.ReadDir("page")
	if err != nil {
		t.Fatal(err)
	}
	// A script asks relative to the page, and imports relative to itself.
	asks := regexp.MustCompile("ask\\([`']([^`'?]*)")
	imports := regexp.MustCompile(`(?:from |new URL\()'([^']*)'`)
	for _, f := range scripts {
		if path.Ext(f.Name()) != ".js" {
			continue
		}
		_, _, script := r.get(prefix + "/page/" + f.Name())
		for _, m := range asks.FindAllStringSubmatch(script, -1) {
			check(prefix+"/", m[1])
		}
		for _, m := range imports.FindAllStringSubmatch(script, -1) {
			check(prefix+"/page/"+f.Name(), m[1])
		}
	}
	if found < 15 {
		t.Errorf("%d references found: the page names them in another way than this test knows", found)
	}
}
