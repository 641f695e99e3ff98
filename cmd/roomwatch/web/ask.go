package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"roomwatch/cmd/internal/serve"
	"roomwatch/state"
)

const (
	roomPath = "/api/v1/rooms/" // a RoomId follows
	scanWait = 10 * time.Second // for the turn to walk through the rooms
)

// A Refusal says why a question is not answered. It may be shown to whoever asks.
type Refusal struct {
	Status int    // of HTTP
	Text   string // what is wrong, why, and the fix
}

// Error implements error.
func (r *Refusal) Error() string { return r.Text }

func refusal(status int, format string, args ...any) *Refusal {
	return &Refusal{Status: status, Text: fmt.Sprintf(format, args...)}
}

// Status says how the daemon is doing, as /api/v1/status does.
func (s *Server) Status() Status { return s.c.Status() }

// List returns a page of the list of rooms, as /api/v1/rooms does for these
// parameters. One that takes more than so many bytes as JSON is cut, and its cursor
// continues where it ends; 0 stands for any size. An error is a [Refusal].
func (s *Server) List(ctx context.Context, parameters url.Values, most int) (RoomList, error) {
	q, err := roomQuery(parameters)
	if err != nil {
		return RoomList{}, refusal(http.StatusBadRequest, "%v", err)
	}
	done, err := s.turn(ctx)
	if err != nil {
		return RoomList{}, refusal(http.StatusServiceUnavailable, "others walk through the rooms, one after the other; try again in a moment")
	}
	rooms, next, err := s.c.Rooms.Rooms(ctx, q.RoomQuery)
	done()
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return RoomList{}, refusal(http.StatusServiceUnavailable, "the rooms could not be read in time; try again in a moment")
	case err != nil:
		return RoomList{}, s.broken(ctx, err)
	}
	return s.cut(q, rooms, next, most)
}

// cut returns as many of the rooms as fit into so many bytes.
func (s *Server) cut(q listQuery, rooms []state.LiveRoom, next *state.RoomPlace, most int) (RoomList, error) {
	for {
		l := RoomList{Rooms: make([]Room, 0, len(rooms)), Known: s.c.Status().Rooms.Known}
		for _, r := range rooms {
			l.Rooms = append(l.Rooms, NewRoom(r))
		}
		if next != nil {
			c := cursor{Sort: q.sort, Number: next.Number, Name: []byte(next.Name), RoomID: []byte(next.RoomID)}.String()
			l.Next = &c
		}
		size := 0
		if most > 0 {
			size = len(serve.Encode(l))
		}
		switch n := len(rooms); {
		case size <= most:
			return l, nil
		case n < 2:
			return RoomList{}, TooLarge(size, most)
		default:
			rooms = rooms[:max(1, min(n-1, n*most/size))]
			last := q.Order.Place(rooms[len(rooms)-1].Room)
			next = &last
		}
	}
}

// TooLarge refuses an answer that cannot be cut.
func TooLarge(size, most int) *Refusal {
	return refusal(http.StatusInsufficientStorage, "the answer has %d bytes, and at most %d may be sent: ask over HTTP, or raise max_payload in the configuration of NATS", size, most)
}

// Room returns one room that is live, as /api/v1/rooms/{id} does. An error is a [Refusal].
func (s *Server) Room(ctx context.Context, id string) (Room, error) {
	l, ok, err := s.c.Rooms.Room(id)
	switch {
	case err != nil:
		return Room{}, s.broken(ctx, err)
	case !ok:
		return Room{}, refusal(http.StatusNotFound, "room %.200q is not known to be live", id)
	}
	return NewRoom(l), nil
}

// broken refuses for a state that could not be read, or to a client that left.
func (s *Server) broken(ctx context.Context, err error) *Refusal {
	if ctx.Err() == nil {
		s.log.ErrorContext(ctx, "rooms cannot be read", "error", err)
	}
	return refusal(http.StatusInternalServerError, "the rooms cannot be read; the log of roomwatch says why")
}

// turn waits until nobody else walks through the rooms: one at a time takes the
// same time and a part of the memory.
func (s *Server) turn(ctx context.Context) (done func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, scanWait)
	defer cancel()
	select {
	case s.scan <- struct{}{}:
		return func() { <-s.scan }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// answer writes what was asked for, or why there is no answer.
func answer(w http.ResponseWriter, v any, err error) {
	var no *Refusal
	switch {
	case err == nil:
		serve.Answer(w, http.StatusOK, v)
	case errors.As(err, &no):
		if no.Status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", "5")
		}
		serve.Answer(w, no.Status, Problem{Error: no.Text})
	default: // unreachable: whoever answers refuses with a Refusal
		serve.Refuse(w, http.StatusInternalServerError, "there is no answer; the log of roomwatch says why")
	}
}

func (s *Server) rooms(w http.ResponseWriter, r *http.Request) {
	v, err := query(r.URL.RawQuery)
	if err != nil {
		serve.Refuse(w, http.StatusBadRequest, "%v", err)
		return
	}
	list, err := s.List(r.Context(), v, 0)
	answer(w, list, err)
}

func (s *Server) room(w http.ResponseWriter, r *http.Request) {
	// Not a wildcard of the pattern: that would not take a RoomId that is a slash.
	id, err := url.PathUnescape(strings.TrimPrefix(r.URL.EscapedPath(), roomPath))
	if err != nil || id == "" {
		serve.Refuse(w, http.StatusNotFound, "no room is named: write its RoomId, percent-encoded, behind %s", roomPath)
		return
	}
	room, err := s.Room(r.Context(), id)
	if no := (*Refusal)(nil); errors.As(err, &no) && no.Status == http.StatusNotFound {
		no.Text += "; write its RoomId percent-encoded"
	}
	answer(w, room, err)
}
