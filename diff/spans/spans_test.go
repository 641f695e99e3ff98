package spans

import (
	"errors"
	"slices"
	"testing"

	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// Each page is linked once, also where many events come from it, and an error is
// that of the span.
func TestLinks(t *testing.T) {
	const a, b = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01"
	kept := tracetest.NewInMemoryExporter()
	p := sdk.NewTracerProvider(sdk.WithSyncer(kept))
	_, span := p.Tracer("test").Start(t.Context(), "commit", Links(slices.Values([]string{"", a, a, "", b})))
	End(span, errors.New("broken"))
	got := kept.GetSpans()[0]
	var linked []string
	for _, l := range got.Links {
		linked = append(linked, l.SpanContext.SpanID().String())
	}
	if want := []string{"b7ad6b7169203331", "00f067aa0ba902b7"}; !slices.Equal(linked, want) {
		t.Errorf("linked with %q, want %q", linked, want)
	}
	if got.Status.Code != codes.Error || got.Status.Description != "broken" {
		t.Errorf("status %+v", got.Status)
	}
}
