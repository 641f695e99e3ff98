package webhook

import "github.com/prometheus/client_golang/prometheus"

// An outcome is what became of a callback, as metrics show it.
type outcome string

const (
	taken        outcome = "taken"         // of a room: a read of it is proposed
	fromStandby  outcome = "from_standby"  // one that a standby has taken and passed on
	otherCommand outcome = "other_command" // taken, and of nothing that is watched
	wrongSign    outcome = "wrong_sign"
	wrongTime    outcome = "wrong_time"
	otherApp     outcome = "other_application"
	badRequest   outcome = "bad_request" // no callback of the vendor looks like that
)

func outcomes() []outcome {
	return []outcome{taken, fromStandby, otherCommand, wrongSign, wrongTime, otherApp, badRequest}
}

type metrics struct{ callbacks *prometheus.CounterVec }

func newMetrics() *metrics {
	m := &metrics{callbacks: prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "roomwatch", Subsystem: "poller", Name: "callbacks_total",
		Help: "Callbacks (webhooks) of the service by outcome. None taken or from_standby at the writer while rooms come and go: they do not arrive. Many with wrong_time: a clock is off.",
	}, []string{"outcome"})}
	for _, v := range outcomes() {
		m.callbacks.WithLabelValues(string(v))
	}
	return m
}
