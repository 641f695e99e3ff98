// Package spans links spans with those of the pages that they come from.
package spans

import (
	"context"
	"iter"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Links returns a link to the span of each W3C traceparent. Empty ones have none, and
// of those that are the same one after the other only the first has.
func Links(parents iter.Seq[string]) trace.SpanStartOption {
	var links []trace.Link
	last := ""
	for parent := range parents {
		if parent == last {
			continue
		}
		if last = parent; parent == "" {
			continue
		}
		ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": parent})
		links = append(links, trace.LinkFromContext(ctx))
	}
	return trace.WithLinks(links...)
}

// End ends a span with the error of what it stands for, which may hold no secret.
func End(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	span.End()
}
