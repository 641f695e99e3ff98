package publisher

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"roomwatch/diff"
	"roomwatch/diff/spans"
)

// spanOptions links the span of a publish with those of the pages that showed
// the events: a batch has many pages, and a page can be in two batches.
func spanOptions(events []diff.Event) []trace.SpanStartOption {
	return []trace.SpanStartOption{
		trace.WithSpanKind(trace.SpanKindProducer),
		trace.WithAttributes(attribute.String("messaging.system", "nats"), attribute.Int("messaging.batch.message_count", len(events))),
		spans.Links(func(yield func(string) bool) {
			for _, e := range events {
				if !yield(e.Trace) {
					return
				}
			}
		}),
	}
}
