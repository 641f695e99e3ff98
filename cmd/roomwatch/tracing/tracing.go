// Package tracing sends spans to a collector, as the variables of OpenTelemetry
// say. variables.go checks them, because the library ignores a wrong one.
package tracing

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/go-logr/logr/funcr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"roomwatch/cmd/internal/program"
	"roomwatch/diff/secret"
	"roomwatch/state"
)

// flushTime is how long a stop may wait for the last spans to be sent.
const flushTime = 2 * time.Second

// A Tracing sends the spans of sweeps, pages, commits and publishes where the
// variables of OpenTelemetry say, if they say so. What cannot be sent is dropped:
// nothing waits for it.
type Tracing struct {
	Tracer   trace.Tracer
	shutdown func(context.Context) error
}

// New reads the environment, which [Check] has found right. Without an endpoint
// nothing is traced.
func New(ctx context.Context, log *slog.Logger) (*Tracing, error) {
	if !isTraced() {
		return &Tracing{Tracer: noop.Tracer{}, shutdown: func(context.Context) error { return nil }}, nil
	}
	scrub := secret.NewScrubber(secrets()...)
	listen(log, scrub)
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithHeaders(headers()))
	if err != nil {
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_ENDPOINT: %s", scrub.Line(err.Error()))
	}
	// What the environment says of the resource comes last and wins.
	about, err := resource.New(ctx, resource.WithTelemetrySDK(),
		resource.WithAttributes(attribute.String("service.name", "roomwatch"), attribute.String("service.version", program.Version())),
		resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %s", scrub.Line(err.Error()))
	}
	p := sdk.NewTracerProvider(sdk.WithBatcher(&reportingExporter{SpanExporter: exporter, log: log, scrub: scrub}), sdk.WithResource(about), sdk.WithRawSpanLimits(spanLimits()))
	return &Tracing{Tracer: p.Tracer("roomwatch"), shutdown: p.Shutdown}, nil
}

// listen takes what the library would write to standard error by itself into the
// log. It has one logger and one handler for the whole process.
func listen(log *slog.Logger, scrub secret.Scrubber) {
	ctx := context.Background()
	otel.SetLogger(funcr.New(func(_, said string) {
		log.WarnContext(ctx, "tracing library reports", "text", scrub.Line(said))
	}, funcr.Options{}))
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		log.WarnContext(ctx, "traces are not exported", "error", scrub.Line(err.Error()))
	}))
}

// spanLimits are those of the environment. Without any a commit has a link to each of its pages.
func spanLimits() sdk.SpanLimits {
	l := sdk.NewSpanLimits()
	if l.LinkCountLimit == sdk.DefaultLinkCountLimit {
		l.LinkCountLimit = state.MaxPages
	}
	return l
}

// Close sends what waits, for a while.
func (t *Tracing) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), flushTime)
	defer cancel()
	_ = t.shutdown(ctx) // the exporter has said what it could not send
}

// A reportingExporter logs when spans cannot be sent, and when they can again,
// once each.
type reportingExporter struct {
	sdk.SpanExporter
	log     *slog.Logger
	scrub   secret.Scrubber
	failing bool // of the batcher's one goroutine
}

func (e *reportingExporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	switch {
	case err != nil && !e.failing:
		e.log.WarnContext(ctx, "traces are not sent", "error", e.scrub.Line(err.Error()), "fix", "see that the collector at OTEL_EXPORTER_OTLP_ENDPOINT runs; spans are dropped until then")
	case err == nil && e.failing:
		e.log.InfoContext(ctx, "traces are sent again")
	}
	e.failing = err != nil
	return nil
}
