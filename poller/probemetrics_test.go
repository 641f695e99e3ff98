package poller

import (
	"errors"
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// Probes are counted by what they bring.
func TestProbeYields(t *testing.T) {
	m := newProbeMetrics(&places{})
	m.probe(3, nil)
	m.probe(0, nil)
	m.probe(0, nil)
	m.probe(0, fmt.Errorf("probe: %w", &APIError{Code: codeBadParameter}))
	m.probe(0, &APIError{Code: 100001})
	m.probe(0, errors.New("cut off"))
	for outcome, want := range map[string]float64{probeNews: 1, probeNothing: 2, probeStale: 1, probeFailed: 2} {
		if n := testutil.ToFloat64(m.probes.WithLabelValues(outcome)); n != want {
			t.Errorf("%v probes are counted as %s, want %v", n, outcome, want)
		}
	}
	if n := testutil.ToFloat64(m.rooms); n != 3 {
		t.Errorf("%v rooms are counted, want 3", n)
	}
}
