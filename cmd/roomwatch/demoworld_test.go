package main

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"roomwatch/poller/simulator"
)

// The demo's service does all that the simulator can do wrong: a fault that is added
// to it is added to the demo as well, or named here.
func TestDemoWorldHasEachFault(t *testing.T) {
	others := []string{
		"Identifier", "RoomIDs", "Quota", "InfoQuota", // the defaults are those of the real service
		"Next",      // the first kind of cursor; one world has one
		"Callbacks", // set when their receiver has an address
	}
	world := reflect.ValueOf(worldOf(demoRooms, time.Now()))
	for field, value := range world.Fields() {
		if value.IsZero() != slices.Contains(others, field.Name) {
			t.Errorf("%s is %v", field.Name, value)
		}
	}
}

// The service is wrong in each way, never for longer than roomwatch bears, and it is
// right in between.
func TestDemoLies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		told := map[simulator.Lies]int{}
		var over time.Time // the last one
		var said strings.Builder
		err := mislead(ctx, announced(&said, func(kind simulator.Lies, d time.Duration) {
			told[kind]++
			if d > 2*time.Second || time.Since(over) < time.Minute && !over.IsZero() {
				t.Errorf("lie %d takes %s, %s after the one before", kind, d, time.Since(over))
			}
			over = time.Now().Add(d)
		}))
		if err != nil {
			t.Error(err)
		}
		for _, kind := range []simulator.Lies{simulator.LieInfo, simulator.LieList, simulator.LieInfo | simulator.LieList} {
			if told[kind] < 5 {
				t.Errorf("lie %d is told %d times in an hour", kind, told[kind])
			}
			if words := "service " + lieWords[kind] + "."; strings.Count(said.String(), words) != told[kind] {
				t.Errorf("lie %d is not announced with %q:\n%s", kind, words, said.String())
			}
		}
	})
}
