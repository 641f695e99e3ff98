package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"roomwatch/cmd/roomnotify/rules"
)

// A picture that the service refuses takes no news with it: the same is told without
// it. What is refused for something else is refused, after one more request.
func TestCoverThatIsRefused(t *testing.T) {
	for _, tt := range []struct {
		name, cover string
		answer      func(picture bool) (int, string)
		want        string
		asked       string // with (p) and without (-) the picture
	}{
		{name: "taken", answer: func(bool) (int, string) { return 200, "ok" }, asked: "p"},
		{name: "no picture at its URL", answer: func(p bool) (int, string) {
			if p {
				return 400, "invalid_blocks"
			}
			return 200, "ok"
		}, asked: "p-"},
		{name: "refused anyway", answer: func(bool) (int, string) { return 404, "channel_not_found" }, want: "channel_not_found", asked: "p-"},
		{name: "busy", answer: func(bool) (int, string) { return 429, "rate_limited" }, want: "rate_limited", asked: "p"},
		{name: "failing", answer: func(bool) (int, string) { return 500, "internal_error" }, want: "internal_error", asked: "p"},
		{name: "no cover", cover: "http://covers.example/1.png", answer: func(bool) (int, string) { return 400, "invalid_blocks" }, want: "invalid_blocks", asked: "-"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var mu sync.Mutex
			asked := ""
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				picture := strings.Contains(string(body), `"image_url":"https://covers.example/1.png"`)
				mu.Lock()
				defer mu.Unlock()
				if err != nil || !strings.Contains(string(body), "New room: name") {
					t.Errorf("%v: %s", err, body)
				}
				asked += map[bool]string{true: "p", false: "-"}[picture]
				status, answer := tt.answer(picture)
				w.WriteHeader(status)
				_, _ = io.WriteString(w, answer)
			}))
			defer server.Close()
			f, err := rules.Parse([]byte("targets:\n  a: {kind: slack, url: '${URL}', cover: true}\nrules:\n  r: {"+all+", targets: [a]}\n"),
				rules.Source{Lookup: func(string) (string, bool) { return server.URL, true }})
			if err != nil {
				t.Fatal(err)
			}
			n := notification()
			n.Event.Data.Room.RoomName, n.Event.Data.Room.CoverURL = "name", "https://covers.example/1.png"
			if tt.cover != "" {
				n.Event.Data.Room.CoverURL = tt.cover
			}
			s := newSender(&f.Targets[0], nil)
			defer s.client.CloseIdleConnections()
			err = s.send(t.Context(), n)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			mu.Lock()
			defer mu.Unlock()
			if asked != tt.asked {
				t.Errorf("requests %s, want %s", asked, tt.asked)
			}
		})
	}
}

// README's example of covers tells of premieres alone, with the picture and a link, and
// once more without the picture where Discord refuses it.
func TestExampleOfCovers(t *testing.T) {
	inBubble(t, readmeExample(t, "targets:\n  fans:"), func(r *rig) {
		r.to.answers(func(w http.ResponseWriter, _ *http.Request) bool {
			if len(r.to.requests("")) == 1 { // the second request
				w.WriteHeader(http.StatusBadRequest)
				_, _ = io.WriteString(w, `{"code":50035,"errors":{},"message":"Invalid Form Body"}`)
				return true
			}
			w.WriteHeader(http.StatusNoContent)
			return true
		})
		stop := r.start()
		for _, room := range []string{"a b/1", "other", "c"} {
			e := r.next(room)
			e.Data.Room.RoomName, e.Data.Room.CoverURL = "Premiere of "+room, "https://covers.example/"+room+".png"
			if room == "other" {
				e.Data.Room.RoomName = "rehearsal"
			}
			r.publish(e)
			time.Sleep(time.Second)
		}
		var got []string
		r.until("three requests are made", func() bool { return len(r.to.requests("discord_url.example")) == 3 })
		for _, q := range r.to.requests("") {
			var v struct {
				Content string
				Embeds  []struct {
					Title, URL string
					Image      struct{ URL string }
				}
			}
			if err := json.Unmarshal([]byte(q.body), &v); err != nil || len(v.Embeds) != 1 {
				t.Fatalf("%v: %s", err, q.body)
			}
			title, _, _ := strings.Cut(v.Content, "\n")
			got = append(got, strings.Join([]string{title, v.Embeds[0].Title, v.Embeds[0].URL, v.Embeds[0].Image.URL}, " | "))
		}
		want := []string{
			"New room\\: Premiere of a b/\u20601 | Open the room | https://example.com/rooms/a%20b%2F1 | https://covers.example/a%20b/1.png",
			"New room\\: Premiere of c | Open the room | https://example.com/rooms/c | https://covers.example/c.png",
			"New room\\: Premiere of c | Open the room | https://example.com/rooms/c | ",
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		stop()
	})
}
