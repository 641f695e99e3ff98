package publisher

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"roomwatch/diff"
)

// spanOptions links the span of a publish with those of the pages that showed
// the events: a batch has many pages, and a page can be in two batches.
func spanOptions(events []diff.Event) []trace.SpanStartOption {
	opts := []trace.SpanStartOption{
		trace.WithSpanKind(trace.SpanKindProducer),
		trace.WithAttributes(attribute.String("messaging.system", "nats")),
	}
	last := ""
	for _, e := range events {
		if e.Trace == last {
			continue
		}
		last = e.Trace
		ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": e.Trace})
		opts = append(opts, trace.WithLinks(trace.LinkFromContext(ctx)))
	}
	return opts
}

func endSpan(span trace.Span, n int, err error) {
	span.SetAttributes(attribute.Int("messaging.batch.message_count", n))
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	span.End()
}
