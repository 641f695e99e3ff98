package poller

import (
	"context"
	"errors"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// sendAll sends n requests, one after the other, and returns when each of them
// arrived. way tells how long request i is on its way, there and back.
func sendAll(t testing.TB, q *quota, n int, way func(i int) (there, back time.Duration)) []time.Time {
	t.Helper()
	var arrived []time.Time
	for i := range n {
		done, err := q.take(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		there, back := way(i)
		time.Sleep(there)
		arrived = append(arrived, time.Now())
		time.Sleep(back)
		done()
	}
	return arrived
}

// crowd returns the most arrivals in any half-open window of one second.
func crowd(arrived []time.Time) int {
	most := 0
	for i, from := range arrived {
		n := 0
		for _, at := range arrived[i:] {
			if at.Sub(from) < time.Second {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// A request that is held up on its way arrives close to those behind it. With
// spacing alone these are eleven in a second.
func TestQuotaHoldsAtTheServer(t *testing.T) {
	for _, perSecond := range []float64{defaultRate, 10} {
		synctest.Test(t, func(t *testing.T) {
			arrived := sendAll(t, listQuota(perSecond), 200, func(i int) (time.Duration, time.Duration) {
				if i%20 == 0 {
					return 90 * time.Millisecond, 0
				}
				return 0, 0
			})
			if n := crowd(arrived); n > 10 {
				t.Errorf("at %v/s: %d requests arrived within a second", perSecond, n)
			}
		})
	}
}

func TestQuotaHoldsForAnyJitter(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		ways := rapid.SliceOfN(rapid.Int64Range(0, 300), 60, 160).Draw(r, "ways in milliseconds")
		perSecond := rapid.Float64Range(2, 10).Draw(r, "rate")
		var arrived []time.Time
		synctest.Test(t, func(t *testing.T) {
			arrived = sendAll(t, listQuota(perSecond), len(ways)/2, func(i int) (time.Duration, time.Duration) {
				return time.Duration(ways[2*i]) * time.Millisecond, time.Duration(ways[2*i+1]) * time.Millisecond
			})
		})
		if n := crowd(arrived); n > 10 {
			r.Fatalf("%d requests arrived within a second", n)
		}
	})
}

func TestQuotaIsUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		arrived := sendAll(t, listQuota(defaultRate), 1000, func(int) (time.Duration, time.Duration) { return 0, 0 })
		if perSecond := 1000 / time.Since(begin).Seconds(); perSecond < 9.4 {
			t.Errorf("%.2f requests a second, want 94 %% of 10 at least", perSecond)
		}
		if first := arrived[0].Sub(begin); first != time.Second {
			t.Errorf("the first request left after %s, want 1s: the process before may have used that second", first)
		}
	})
}

// Processes that follow each other at once send no eleven requests within a
// second, also where the first request of one was held up on its way: the next
// one leaves at once then, and the process after it knows nothing of both.
func TestQuotaOverRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var arrived []time.Time
		for _, requests := range []int{2, 9, 3, 10, 2, 12, 1, 1, 10} {
			arrived = append(arrived, sendAll(t, listQuota(vendorRate), requests, func(i int) (time.Duration, time.Duration) {
				if requests == 2 && i == 0 {
					return 900 * time.Millisecond, 0
				}
				return 0, 0
			})...)
		}
		if n := crowd(arrived); n > vendorRate {
			t.Errorf("%d requests arrived within a second", n)
		}
	})
}

// Who may send more than the vendor allows, as in a load test, need not wait.
func TestQuotaAboveTheVendors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		arrived := sendAll(t, listQuota(100), 1, func(int) (time.Duration, time.Duration) { return 0, 0 })
		if first := arrived[0].Sub(begin); first != 10*time.Millisecond {
			t.Errorf("the first request left after %s, want 10ms", first)
		}
	})
}

// After a pause there is one request that need not wait, and no more.
func TestQuotaSavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := listQuota(5)
		time.Sleep(time.Hour)
		begin := time.Now()
		arrived := sendAll(t, q, 3, func(int) (time.Duration, time.Duration) { return 0, 0 })
		for i, want := range []time.Duration{0, 200 * time.Millisecond, 400 * time.Millisecond} {
			if got := arrived[i].Sub(begin); (got - want).Abs() > time.Microsecond {
				t.Errorf("request %d after %v, want %v", i, got, want)
			}
		}
	})
}

// A high rate is for load tests against something else than the vendor.
func TestQuotaHighRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		sendAll(t, listQuota(1000), 5000, func(int) (time.Duration, time.Duration) { return 0, 0 })
		if d := time.Since(begin).Seconds(); math.Abs(d-5) > 0.01 {
			t.Errorf("5000 requests at 1000/s took %.3f s", d)
		}
	})
}

// Any number of requests can be on their way, overtake each other, and be held up
// anywhere: no second at the server has more of them than there are slots.
func TestQuotaHoldsForManyAtOnce(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		slots := rapid.IntRange(1, 50).Draw(r, "slots")
		workers := rapid.IntRange(1, 20).Draw(r, "workers")
		ways := rapid.SliceOfN(rapid.Int64Range(0, 1500), 2*workers, 400).Draw(r, "ways in milliseconds")
		var mu sync.Mutex
		var arrived []time.Time
		synctest.Test(t, func(t *testing.T) {
			q := newQuota(float64(slots), slots)
			next := make(chan int, len(ways))
			for i := range len(ways) / 2 {
				next <- i
			}
			close(next)
			var wg sync.WaitGroup
			for range workers {
				wg.Go(func() {
					for i := range next {
						done, err := q.take(t.Context())
						if err != nil {
							t.Error(err)
							return
						}
						time.Sleep(time.Duration(ways[2*i]) * time.Millisecond)
						mu.Lock()
						arrived = append(arrived, time.Now())
						mu.Unlock()
						time.Sleep(time.Duration(ways[2*i+1]) * time.Millisecond)
						done()
					}
				})
			}
			wg.Wait()
		})
		if n := crowd(arrived); n > slots {
			r.Fatalf("%d requests arrived within a second, there are %d slots", n, slots)
		}
	})
}

// Several at once use the rate that one at a time cannot.
func TestQuotaManyAtOnceIsUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQuota(50, 50)
		begin := time.Now()
		var wg sync.WaitGroup
		for range 13 {
			wg.Go(func() {
				for range 100 {
					done, err := q.take(t.Context())
					if err != nil {
						t.Error(err)
						return
					}
					time.Sleep(40 * time.Millisecond)
					done()
				}
			})
		}
		wg.Wait()
		if perSecond := 1300 / time.Since(begin).Seconds(); perSecond < 46 {
			t.Errorf("%.1f requests a second, want 50/1.04 or so", perSecond)
		}
	})
}

// What the service asks for holds for those that wait already, too.
func TestQuotaHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQuota(2, 2)
		time.Sleep(time.Minute)
		begin := time.Now()
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				done, err := q.take(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				if after := time.Since(begin); after > 0 && after < 10*time.Second {
					t.Errorf("a request left after %v", after)
				}
				done()
			})
		}
		time.Sleep(100 * time.Millisecond)
		q.hold(10 * time.Second)
		wg.Wait()
	})
}

// Who gives up waiting gives back what it took.
func TestQuotaCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := listQuota(0.1)
		ctx, cancel := context.WithTimeout(context.Background(), 4*time.Second)
		defer cancel()
		begin := time.Now()
		if _, err := q.take(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != 4*time.Second {
			t.Errorf("take with a deadline = %v after %v", err, time.Since(begin))
		}
		done, err := q.take(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		done()
		if d := time.Since(begin); (d - 10*time.Second).Abs() > time.Microsecond {
			t.Errorf("first request after %v, want 10s", d)
		}
	})
}

func TestQuotaThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := listQuota(10)
		near := func(want float64) {
			t.Helper()
			if got := q.rate(); math.Abs(got-want) > 1e-9 {
				t.Errorf("rate %v, want %v", got, want)
			}
		}
		near(10)
		for _, want := range []float64{5, 2.5, 1.25, 1, 1} {
			q.throttle(time.Now())
			near(want)
		}
		time.Sleep(30*time.Second - 1)
		near(1)
		time.Sleep(time.Nanosecond)
		near(2)
		begin := time.Now()
		sendAll(t, q, 5, func(int) (time.Duration, time.Duration) { return 0, 0 })
		if d := time.Since(begin); d < 2*time.Second || d > 2500*time.Millisecond {
			t.Errorf("5 requests at 2/s took %v", d)
		}
		time.Sleep(2 * time.Minute)
		near(6)
		q.throttle(time.Now())
		near(3)
		time.Sleep(7*30*time.Second - 1)
		near(9)
		time.Sleep(time.Nanosecond)
		near(10)
	})
}

// Requests that were on their way together are throttled once: the answer to one
// that left before the rate was lowered says nothing of the lower rate.
func TestThrottleOfABurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQuota(50, 50)
		sent := time.Now()
		for range 12 {
			time.Sleep(10 * time.Millisecond)
			q.throttle(sent)
		}
		if r := q.rate(); r != 25 {
			t.Errorf("%v requests a second after a burst, want 25", r)
		}
		time.Sleep(time.Millisecond)
		q.throttle(time.Now())
		if r := q.rate(); r != 12.5 {
			t.Errorf("%v requests a second after a later one, want 12.5", r)
		}
	})
}
