package main

import (
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"roomwatch/poller/simulator"
)

// A traceCollector takes spans as an OpenTelemetry collector does.
type traceCollector struct {
	server *httptest.Server

	mu      sync.Mutex
	service string
	spans   map[string]*tracepb.Span // by span id
}

func newTraceCollector(t *testing.T) *traceCollector {
	c := &traceCollector{spans: map[string]*tracepb.Span{}}
	c.server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var req collector.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &req)
		}
		if err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, rs := range req.GetResourceSpans() {
			for _, a := range rs.GetResource().GetAttributes() {
				if a.GetKey() == "service.name" {
					c.service = a.GetValue().GetStringValue()
				}
			}
			for _, ss := range rs.GetScopeSpans() {
				for _, s := range ss.GetSpans() {
					c.spans[hex.EncodeToString(s.GetSpanId())] = s
				}
			}
		}
	}))
	t.Cleanup(c.server.Close)
	return c
}

// An event can be followed to the page that showed it, to its sweep, and to the
// commit and the publish that came of it.
func TestTraces(t *testing.T) {
	r := newRig(t, simulator.Config{Seed: 1, Rooms: 30, Quota: -1})
	c := newTraceCollector(t)
	p := startProcess(t, r.env(t.TempDir(), "OTEL_EXPORTER_OTLP_ENDPOINT="+c.server.URL), "run")
	eventually(t, "the rooms", func() bool { return stored(t, r.nc) >= 30 })
	if status := p.stop(); status != 0 {
		t.Fatalf("exit status %d:\n%s", status, p.output)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.service != "roomwatch" {
		t.Errorf("service %q, want roomwatch", c.service)
	}
	for _, e := range readStream(t, r.nc) {
		parts := strings.Split(e.TraceParent, "-")
		if len(parts) != 4 {
			t.Fatalf("event %s has traceparent %q", e.ID, e.TraceParent)
		}
		page := c.spans[parts[2]]
		if page.GetName() != "page" || hex.EncodeToString(page.GetTraceId()) != parts[1] {
			t.Fatalf("event %s comes from span %v, want a page", e.ID, page)
		}
		if sweep := c.spans[hex.EncodeToString(page.GetParentSpanId())]; sweep.GetName() != "sweep" {
			t.Errorf("the page is part of %v, want a sweep", sweep)
		}
		if linked := c.linked(parts[2]); !linked["commit"] || !linked["publish"] {
			t.Errorf("%v know of page %s, want commit and publish", linked, parts[2])
		}
	}
}

// linked returns the names of the spans that have a link to another.
func (c *traceCollector) linked(to string) map[string]bool {
	names := map[string]bool{}
	for _, s := range c.spans {
		for _, l := range s.GetLinks() {
			if hex.EncodeToString(l.GetSpanId()) == to {
				names[s.GetName()] = true
			}
		}
	}
	return names
}

// A collector that is away costs no news, one line of log and no time at the end.
func TestTracesWithoutCollector(t *testing.T) {
	r := newRig(t, lively(simulator.NextKey))
	p := startProcess(t, r.env(t.TempDir(), "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1", "OTEL_BSP_SCHEDULE_DELAY=100"), "run")
	eventually(t, "the log line", func() bool { return strings.Contains(p.output.String(), "traces are not sent") })
	settle(t, r.nc, r.world)
	if status := p.stop(); status != 0 {
		t.Errorf("exit status %d:\n%s", status, p.output)
	}
	if n := strings.Count(p.output.String(), "traces are"); n != 1 {
		t.Errorf("%d lines about traces, want 1:\n%s", n, p.output)
	}
}

func TestTracesByAnotherProtocol(t *testing.T) {
	r := newRig(t, simulator.Config{Quota: -1})
	p := startProcess(t, r.env(t.TempDir(), "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"), "run")
	if status := p.wait(10 * time.Second); status != 2 || !strings.Contains(p.output.String(), "OTEL_EXPORTER_OTLP_PROTOCOL") {
		t.Errorf("exit status %d, want 2 and the variable:\n%s", status, p.output)
	}
}

// A collector that refuses, and repeats what it was sent, tells no secret to the
// log, which stays JSON line by line.
func TestTracesTellNoSecret(t *testing.T) {
	r := newRig(t, simulator.Config{Quota: -1})
	tests := []struct{ name, user, headers, sent string }{
		{"headers", "", "authorization=Bearer%20hush-token%22,x-key=hush-key", `Bearer hush-token"`},
		{"a password", "me:hush-pass@", "", "Basic bWU6aHVzaC1wYXNz"},
		{"both", "me:hush-pass@", "x-key=hush-key,Authorization=Bearer hush-token", "Bearer hush-token"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sent := make(chan string, 1)
			collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				select {
				case sent <- req.Header.Get("Authorization"):
				default:
				}
				w.WriteHeader(http.StatusUnauthorized)
				_ = req.Header.Write(w)                           // as a debugging proxy does
				_ = json.NewEncoder(w).Encode(req.Header)         // as others do
				_, _ = io.WriteString(w, r.api.URL+"\nhush-path") // and more than a line
			}))
			defer collector.Close()
			p := startProcess(t, r.env(t.TempDir(), "ROOMWATCH_LOG_FORMAT=json", "OTEL_BSP_SCHEDULE_DELAY=50", "OTEL_EXPORTER_OTLP_TRACES_HEADERS="+tt.headers,
				"OTEL_EXPORTER_OTLP_ENDPOINT="+strings.Replace(collector.URL, "://", "://"+tt.user, 1)), "run")
			eventually(t, "the log line", func() bool { return strings.Contains(p.output.String(), "traces are not sent") })
			if got := <-sent; got != tt.sent {
				t.Errorf("sent %q, want %q", got, tt.sent)
			}
			if status := p.stop(); status != 0 {
				t.Errorf("exit status %d", status)
			}
			for line := range strings.Lines(p.output.String()) {
				if !json.Valid([]byte(line)) {
					t.Errorf("not JSON: %s", line)
				}
			}
			for _, hidden := range []string{"hush-token", "hush-key", "hush-pass", "bWU6aHVzaC1wYXNz"} {
				if strings.Contains(p.output.String(), hidden) {
					t.Errorf("tells %s:\n%s", hidden, p.output)
				}
			}
		})
	}
}

// What the library could not read is named, all at once and without its value.
func TestTracingProblems(t *testing.T) {
	r := newRig(t, simulator.Config{Quota: -1})
	wrong := map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": "hush:4318", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://me:hush@host:port",
		"OTEL_EXPORTER_OTLP_HEADERS": "authorization: Bearer hush", "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "authorization=hush%ZZ",
		"OTEL_EXPORTER_OTLP_TIMEOUT": "hush", "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION": "hush", "OTEL_EXPORTER_OTLP_INSECURE": "hush",
		"OTEL_EXPORTER_OTLP_CERTIFICATE": "hush", "OTEL_EXPORTER_OTLP_CLIENT_KEY": "hush", "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE": "hush",
		"OTEL_EXPORTER_OTLP_PROTOCOL": "hush", "OTEL_TRACES_SAMPLER": "hush", "OTEL_TRACES_SAMPLER_ARG": "hush", "OTEL_RESOURCE_ATTRIBUTES": "hush",
		"OTEL_BSP_MAX_QUEUE_SIZE": "hush", "OTEL_SPAN_LINK_COUNT_LIMIT": "many", "OTEL_SDK_DISABLED": "hush",
	}
	env := r.env(t.TempDir(), "ROOMWATCH_INTERVAL=0s")
	for name, value := range wrong {
		env = append(env, name+"="+value)
	}
	p := startProcess(t, env, "run")
	status := p.wait(10 * time.Second)
	told := p.output.String()
	if status != 2 || strings.Contains(told, "hush") || !strings.Contains(told, "ROOMWATCH_INTERVAL") {
		t.Errorf("exit status %d:\n%s", status, told)
	}
	for name := range wrong {
		if strings.Count(told, name+" cannot be used: ") != 1 {
			t.Errorf("%s is not named:\n%s", name, told)
		}
	}
}
