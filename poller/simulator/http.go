package simulator

import (
	"io"
	"net/http"
	"strconv"
	"time"
)

const (
	listPath = "/v4/live_engine_http_srv/get_room_list"
	infoPath = "/v4/live_engine_http_srv/get_room_info"
	maxBody  = 64 << 10 // bytes read of a request
)

// A call is one kind of request: what counts it, what bounds it, what goes wrong
// with it, and what answers it if nothing does.
type call struct {
	arrivals *arrivals
	quota    int
	fault    func(n int, r *http.Request) *Fault
	answer   func(request []byte, f Fault) (code, any)
}

func (s *Service) call(r *http.Request) call {
	if r.URL.Path == infoPath {
		return call{&s.info, s.c.InfoQuota, s.c.InfoFault, s.answerInfo}
	}
	return call{&s.arrivals, s.c.Quota, s.c.Fault, s.answerList}
}

// ServeHTTP answers one request as the API is documented, or as Config.Fault
// or Config.InfoFault wants it.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := s.call(r)
	n, inSecond := s.arrive(c.arrivals)
	// Read before a Fault can hang: net/http does not notice that a client has
	// gone away while there is something to read. A body that breaks off is
	// answered as the malformed JSON it is.
	request, _ := io.ReadAll(io.LimitReader(r.Body, maxBody))

	f := faultOf(c.fault, n, r)
	f.Hang += s.c.Latency
	if !f.hang(r.Context()) {
		return
	}
	if f.Drop {
		panic(http.ErrAbortHandler)
	}
	answer := f.body(n, s.c.Seed)
	if answer == nil {
		var response any
		result := s.check(r, inSecond, c.quota)
		if result == ok {
			result, response = c.answer(request, f)
		}
		answer = encode(n, s.c.Seed, result, response)
	}
	send(w, answer, f)
}

// arrive counts a request and returns its number and how many the second that
// ends with it holds.
func (s *Service) arrive(a *arrivals) (n, inSecond int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	inSecond = a.add(time.Now())
	return a.total, inSecond
}

// answerList returns the error code and, if that is 0, the page.
func (s *Service) answerList(request []byte, f Fault) (code, any) {
	q, c := parse(request)
	if c != ok {
		return c, nil
	}
	if f.EmptyList {
		return ok, newPage(nil, "")
	}
	rooms, next, known := s.page(q, f.List)
	if !known {
		return badParameter, nil
	}
	if s.lying(LieList) && f.CutList == 0 {
		f.CutList = max(1, len(rooms)/2)
	}
	if f.CutList > 0 {
		rooms, next = rooms[:min(f.CutList, len(rooms))], ""
	}
	if f.LoopNext {
		next = q.next
		if next == "" {
			next = loopNext
		}
	}
	return ok, newPage(rooms, next)
}

// page reads a page of the present list, or of a copy if there is one.
func (s *Service) page(q query, copied *List) (rooms []Room, next string, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now()
	list := s.world.list
	if copied != nil {
		list = copied.rooms
	}
	if !s.given.alive(q.next, s.c.NextLife, time.Now()) {
		return nil, "", false
	}
	defer func() { s.given.give(next, s.c.NextLife, time.Now()) }()
	if q.next == loopNext {
		rooms, _, known = s.pages.page(list, "", q.count)
		return rooms, loopNext, known
	}
	return s.pages.page(list, q.next, q.count)
}

// send writes the answer. A handler that writes less than it announced makes
// net/http close the connection, so that the client sees the cut.
func send(w http.ResponseWriter, body []byte, f Fault) {
	w.Header().Set("Content-Type", "application/json")
	if f.Status != 0 && f.Body == nil && f.ErrorCode == 0 {
		w.Header().Set("Content-Type", "text/html")
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	if f.Status != 0 {
		w.WriteHeader(f.Status)
	}
	if f.CutBody {
		body = body[:len(body)/2]
	}
	_, _ = w.Write(body) // nobody is left to tell if the client has gone
}
