package simulator_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"roomwatch/poller/simulator"
)

// faulty returns a Service whose n-th request has the n-th fault.
func faulty(t testing.TB, rooms int, faults ...*simulator.Fault) *simulator.Service {
	return start(t, simulator.Config{Rooms: rooms, Fault: func(n int, _ *http.Request) *simulator.Fault {
		if n > len(faults) {
			return nil
		}
		return faults[n-1]
	}})
}

func TestFaultAnswers(t *testing.T) {
	tests := []struct {
		name   string
		fault  simulator.Fault
		status int
		want   string // in the body
	}{
		{"ErrorCode", simulator.Fault{ErrorCode: 100001}, 200, `"ErrorCode":100001`},
		{"ErrorCode unknown here", simulator.Fault{ErrorCode: 99}, 200, `"ErrorInfo":"error 99"`},
		{"Status", simulator.Fault{Status: 502}, 502, "<h1>Bad Gateway</h1>"},
		{"Status and ErrorCode", simulator.Fault{Status: 503, ErrorCode: 60008}, 503, `"ErrorCode":60008`},
		{"Body", simulator.Fault{Body: []byte("[]")}, 200, "[]"},
		{"empty Body", simulator.Fault{Body: []byte{}}, 200, ""},
		{"EmptyList", simulator.Fault{EmptyList: true}, 200, `"Response":{"Next":"","RoomList":[]}`},
		{"CutList after the page", simulator.Fault{CutList: 20}, 200, `"Response":{"Next":""`},
		{"CutList in the page", simulator.Fault{CutList: 1}, 200, `"ViewCount":4236}]}}`},
		{"none", simulator.Fault{}, 200, `"Next":"rank-20"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := faulty(t, 30, &tt.fault)
			w := send(s, request(t, "", "", "", nil))
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) || tt.want == "" && w.Body.Len() > 0 {
				t.Errorf("%d %s, want %d and %s", w.Code, w.Body, tt.status, tt.want)
			}
			if a := ask(t, s, "", 20); a.ErrorCode != 0 || len(a.Response.RoomList) != 20 {
				t.Errorf("the request after it: %+v", a)
			}
		})
	}
}

// A list in a loop has no end: the same Next for ever, on whichever page it begins.
func TestLoopNext(t *testing.T) {
	loop := &simulator.Fault{LoopNext: true}
	s := faulty(t, 50, loop)
	next := ask(t, s, "", 20).Response.Next
	for range 5 {
		if a := ask(t, s, next, 20); next == "" || a.Response.Next != next || len(a.Response.RoomList) != 20 {
			t.Fatalf("in the loop of the first page: %+v", a)
		}
	}
	s = faulty(t, 50, nil, loop)
	next = ask(t, s, "", 20).Response.Next
	if a := ask(t, s, next, 20); a.Response.Next != next {
		t.Errorf("second page: %+v, want Next %q again", a, next)
	}
}

// An old copy shows what was, whatever has happened since, page by page.
func TestList(t *testing.T) {
	for _, next := range allNext() {
		var old *simulator.List
		s := start(t, simulator.Config{Rooms: 45, Next: next, Quota: -1, Fault: func(int, *http.Request) *simulator.Fault {
			return &simulator.Fault{List: old}
		}})
		old = s.List()
		before := lines(sweep(t, s, 20, 0), show)
		rooms := s.Truth().Live()
		must(t, s.Close(rooms[0].RoomID))
		must(t, s.Recreate(rooms[1].RoomID))
		must(t, s.Enter(rooms[2].RoomID, 1_000_000))
		must(t, s.Open("new"))
		if got := lines(sweep(t, s, 20, 0), show); got != before {
			t.Errorf("next %d: the old copy shows\n%s, want\n%s", next, got, before)
		}
		old = nil
		if got, want := lines(sweep(t, s, 20, 0), show), lines(s.Truth().Live(), showLife); got != want || got == before {
			t.Errorf("next %d: the present list shows\n%s, want\n%s", next, got, want)
		}
	}
}

func TestHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := &simulator.Fault{Hang: 10 * time.Second}
		s := faulty(t, 1, hang, hang)
		began := time.Now()
		if a := ask(t, s, "", 20); a.ErrorCode != 0 || time.Since(began) != 10*time.Second {
			t.Errorf("%+v after %v", a, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began = time.Now()
		w := send(s, request(t, "", "", "", nil).WithContext(ctx))
		if w.Body.Len() > 0 || time.Since(began) != time.Second {
			t.Errorf("%q after %v, want nothing after the client is gone", w.Body, time.Since(began))
		}
	})
}

// Faults of the connection, seen through a real one.
func TestBrokenConnections(t *testing.T) {
	s := faulty(t, 5, &simulator.Fault{Drop: true}, &simulator.Fault{CutBody: true})
	server := httptest.NewServer(s)
	defer server.Close()
	post := func() ([]byte, error) {
		url := server.URL + request(t, "", "", "", nil).URL.RequestURI()
		q, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(goodBody))
		must(t, err)
		r, err := http.DefaultClient.Do(q)
		if err != nil {
			return nil, err
		}
		defer func() { _ = r.Body.Close() }()
		return io.ReadAll(r.Body)
	}
	if b, err := post(); err == nil {
		t.Errorf("Drop: answered %q", b)
	}
	if b, err := post(); !errors.Is(err, io.ErrUnexpectedEOF) || len(b) == 0 {
		t.Errorf("CutBody: %q, %v", b, err)
	}
	if b, err := post(); err != nil {
		t.Errorf("after the faults: %q, %v", b, err)
	}
	if n := s.Requests(); n != 3 {
		t.Errorf("%d requests, want 3", n)
	}
}

func TestRandom(t *testing.T) {
	f := simulator.Random(7, 0.2, simulator.Fault{Drop: true}, simulator.Fault{ErrorCode: 100001})
	again := simulator.Random(7, 0.2, simulator.Fault{Drop: true}, simulator.Fault{ErrorCode: 100001})
	drops, codes, pairs := 0, 0, 0
	for n := 1; n <= 10_000; n++ {
		a, b := f(n, nil), again(n, nil)
		if (a == nil) != (b == nil) || a != nil && a.Drop != b.Drop {
			t.Fatalf("request %d: %v and %v", n, a, b)
		}
		if a != nil && f(n+1, nil) != nil {
			pairs++
		}
		switch {
		case a == nil:
		case a.Drop:
			drops++
		default:
			codes++
		}
	}
	if drops < 850 || drops > 1150 || codes < 850 || codes > 1150 { // 1000 each, give or take 5 × 30
		t.Errorf("%d drops and %d codes in 10000 requests", drops, codes)
	}
	if pairs < 300 || pairs > 500 { // one fault does not bring the next
		t.Errorf("%d faults followed by another, want about 400", pairs)
	}
	if f := simulator.Random(7, 1)(1, nil); f != nil {
		t.Errorf("a fault of none given: %v", f)
	}
}
