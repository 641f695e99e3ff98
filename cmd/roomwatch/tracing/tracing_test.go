package tracing

import (
	"testing"

	"roomwatch/state"
)

// What is right is taken as it was.
func TestTracingForms(t *testing.T) {
	for name, value := range map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": " https://me:pass@host/base ", "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer a=b%2C, x = 1",
		"OTEL_EXPORTER_OTLP_TIMEOUT": "500", "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip", "OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.25",
		"OTEL_RESOURCE_ATTRIBUTES": "a=b,c=d%20e", "OTEL_SDK_DISABLED": "False", "OTEL_SPAN_LINK_COUNT_LIMIT": "-1",
	} {
		t.Setenv(name, value)
	}
	if err := Check(); err != nil {
		t.Error(err)
	}
	if h := headers(); len(h) != 2 || h["authorization"] != "Bearer a=b," || h["x"] != "1" {
		t.Errorf("headers %q", h)
	}
}

// A commit is linked with each of its pages, unless the environment says otherwise.
func TestSpanLimits(t *testing.T) {
	if got := spanLimits().LinkCountLimit; got < state.MaxPages {
		t.Errorf("a span has at most %d links, and a commit has %d pages", got, state.MaxPages)
	}
	t.Setenv("OTEL_SPAN_LINK_COUNT_LIMIT", "5")
	if got := spanLimits().LinkCountLimit; got != 5 {
		t.Errorf("a span has at most %d links, want 5", got)
	}
}
