package poller

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// The classes are those of the project's notes on the vendor's tables; a change
// of one has to be made in both places.
func TestRules(t *testing.T) {
	tests := []struct {
		class Class
		codes []int
	}{
		{Retry, []int{10002, 20004, 20005, 60008, 60013, 60014, 70169, 70202, 70500, 90992, 90994, 90995, 91000, 100001, 100004}},
		{Throttle, []int{10006, 60007, 60011, 60018, 60019, 70114, 100012}},
		{Resign, []int{20002, 60004, 60005, 70001, 70002, 70003, 70005, 70052}},
		{Fatal, []int{
			60006, 60010, 60016, 60017, 60020, 60021, 60025, 60026, 60027, 60028, 70009, 70013, 70014, 70016, 70020,
			70050, 70051, 70107, 70398, 70399, 70403, 71000, 72000, 72999, 80005, 100006, 100007,
		}},
		{Bug, []int{60002, 60003, 60009, 60012, 60015, 70206, 70402, 100002}},
		{Retry, []int{-2, 1, 50105, 60001, 60029, 69999, 79999, 100014 + 100000}}, // unknown
	}
	for _, tt := range tests {
		for _, code := range tt.codes {
			if r := ruleOf(code); r.class != tt.class || r.advice == "" {
				t.Errorf("code %d is of class %v (%q), want %v", code, r.class, r.advice, tt.class)
			}
		}
	}
	for code, then := range map[int]Class{70001: Fatal, 70002: Fatal, 70003: Fatal, 70005: Fatal, 70052: Fatal, 60004: Retry, 60005: Retry, 20002: Retry} {
		if got := ruleOf(code).then; got != then {
			t.Errorf("code %d after a new signature is of class %v, want %v", code, got, then)
		}
	}
}

func TestRulesAreOrdered(t *testing.T) {
	last := 0
	for _, r := range rules {
		if r.first <= last || r.last < r.first {
			t.Errorf("rule for %d to %d stands behind %d", r.first, r.last, last)
		}
		if r.class == Resign && r.then != Fatal && r.then != Retry {
			t.Errorf("rule for %d: class %v after a new signature", r.first, r.then)
		}
		last = r.last
	}
}

func TestClassOf(t *testing.T) {
	tests := []struct {
		err     error
		class   Class
		outcome string
	}{
		{nil, Retry, "ok"},
		{errors.New("connection refused"), Retry, "transport"},
		{statusError(502), Retry, "transport"},
		{statusError(404), Retry, "transport"},
		{statusError(429), Throttle, "throttle"},
		{&APIError{Code: 100001, Class: Retry}, Retry, "retry"},
		{&APIError{Class: Throttle}, Throttle, "throttle"},
		{&APIError{Class: Resign}, Resign, "resign"},
		{&APIError{Class: Fatal}, Fatal, "fatal"},
		{&APIError{Class: Bug}, Bug, "bug"},
	}
	for _, tt := range tests {
		err := tt.err
		if err != nil {
			err = fmt.Errorf("page 1: %w", err)
		}
		if c, o := classOf(err), outcomeOf(err); c != tt.class || o != tt.outcome {
			t.Errorf("%v is of class %v, outcome %s; want %v, %s", err, c, o, tt.class, tt.outcome)
		}
		if o := outcomeOf(err); !strings.Contains(fmt.Sprint(outcomes), o) {
			t.Errorf("outcome %q is not announced", o)
		}
	}
}

func TestAPIErrorText(t *testing.T) {
	e := &APIError{Code: 60026, Info: "domain mismatch", RequestID: "Id-1", Advice: "use another"}
	if got, want := e.Error(), `code 60026 "domain mismatch": use another (RequestId Id-1)`; got != want {
		t.Errorf("Error = %s, want %s", got, want)
	}
	if got, want := (&APIError{Code: 7}).Error(), "code 7"; got != want {
		t.Errorf("Error = %s, want %s", got, want)
	}
}
