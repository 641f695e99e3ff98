package bus

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/nats-io/nats.go/micro"

	"roomwatch/cmd/roomwatch/web"
)

const mostQuestion = 16 << 10 // bytes

// questions are the endpoints that are listed.
func (s *Service) questions() []*endpoint {
	all := []*endpoint{
		{name: "status", answer: func(context.Context, question) (any, error) { return s.c.Answers.Status(), nil }},
		{name: "rooms", writer: true, queue: micro.DefaultQueueGroup, answer: s.rooms},
		{name: "room", writer: true, queue: micro.DefaultQueueGroup, answer: s.room},
	}
	for _, e := range all {
		e.subject = Prefix(s.c.SDKAppID) + "." + e.name
		e.stats = micro.EndpointStats{Name: e.name, Subject: e.subject, QueueGroup: e.queue}
	}
	return all
}

func (s *Service) rooms(ctx context.Context, q question) (any, error) {
	v, err := parameters(q.data)
	if err != nil {
		return nil, err
	}
	return s.c.Answers.List(ctx, v, q.most)
}

func (s *Service) room(ctx context.Context, q question) (any, error) {
	v, err := parameters(q.data)
	if err != nil {
		return nil, err
	}
	if id := v.Get("RoomId"); id != "" && len(v) == 1 {
		return s.c.Answers.Room(ctx, id)
	}
	return nil, bad(`no room is named, or something else is asked for: write {"RoomId":"…"}`)
}

// parameters reads a question: a JSON object with the parameters that HTTP has in a
// query, as strings or numbers; nothing is an empty object.
func parameters(data []byte) (url.Values, error) {
	v := url.Values{}
	switch {
	case len(data) == 0:
		return v, nil
	case len(data) > mostQuestion:
		return nil, bad("the request has %d bytes: write at most %d", len(data), mostQuestion)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, bad(`the request is no JSON object: write {"limit":50}, for example`)
	}
	for name, raw := range fields {
		var text *string
		var number json.Number
		if json.Unmarshal(raw, &text) == nil {
			if text != nil { // null: as if it was not there
				v.Set(name, *text)
			}
			continue
		}
		if err := json.Unmarshal(raw, &number); err != nil {
			return nil, bad("%.50q is %.50s: write a string or a number", name, raw)
		}
		v.Set(name, number.String())
	}
	return v, nil
}

func bad(format string, args ...any) *web.Refusal {
	return &web.Refusal{Status: http.StatusBadRequest, Text: fmt.Sprintf(format, args...)}
}
