package retry

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if err := Sleep(t.Context(), time.Minute); err != nil || time.Since(began) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for _, d := range []time.Duration{time.Minute, 0, -1} { // the second and third when it is done
			if err := Sleep(ctx, d); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Sleep(%v): %v", d, err)
			}
		}
		if took := time.Since(began); took != time.Minute+time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// The pauses double to the longest one, and none is the last.
func TestBackOff(t *testing.T) {
	b := BackOff(time.Second, 5*time.Second)
	for i, want := range []time.Duration{1, 2, 4, 5, 5, 5} {
		if d := b.NextBackOff(); d < want*time.Second/2 || d > want*time.Second*3/2 {
			t.Errorf("pause %d is %v, want about %d s", i, d, want)
		}
	}
}
