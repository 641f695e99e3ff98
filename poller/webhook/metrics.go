package webhook

import "github.com/prometheus/client_golang/prometheus"

// A verdict is what became of a callback, as metrics show it.
type verdict string

const (
	taken        verdict = "taken"         // of a room: a read of it is proposed
	otherCommand verdict = "other_command" // taken, and of nothing that is watched
	wrongSign    verdict = "wrong_sign"
	wrongTime    verdict = "wrong_time"
	otherApp     verdict = "other_application"
	badRequest   verdict = "bad_request" // no callback of the vendor looks like that
)

func verdicts() []verdict {
	return []verdict{taken, otherCommand, wrongSign, wrongTime, otherApp, badRequest}
}

type metrics struct{ callbacks *prometheus.CounterVec }

func newMetrics() *metrics {
	m := &metrics{callbacks: prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "roomwatch", Subsystem: "poller", Name: "callbacks_total",
		Help: "Callbacks (webhooks) of the service by verdict. None taken while rooms come and go: they do not arrive. Many with wrong_time: a clock is off.",
	}, []string{"verdict"})}
	for _, v := range verdicts() {
		m.callbacks.WithLabelValues(string(v))
	}
	return m
}
