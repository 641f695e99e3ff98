package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"roomwatch/cmd/roomnotify/form"
	"roomwatch/cmd/roomnotify/rules"
)

// A cell of the matrix is one answer of a service, and what must become of the
// notification.
type cell struct {
	class  string // one of [matrixClasses]
	what   string // the documented code, or what happened
	status int
	header string // "Name: value"; empty: none
	body   string

	// want is "sent"; "refused": it is set aside as a dead letter; "temporary": it is
	// tried again, and waits when its tries are used up; or "busy": it waits and no try
	// is used up. After the last two may stand for how long the target asked to be left alone.
	want string
}

// matrixClasses are the classes of answers of which each kind must have at least one cell.
var matrixClasses = []string{"ok", "busy", "refused", "5xx", "hang", "garbage", "empty", "redirect"}

// matrixTries are the tries of a notification in the matrix.
const matrixTries = 2

// Each answer of each service is told from the others by the code that delivers: a
// target, its sender and its transport, against an HTTP server. Time is not waited for.
func TestMatrixOfServices(t *testing.T) {
	for _, kind := range rules.Kinds() {
		if _, exempt := outsideMatrix[kind]; exempt {
			continue
		}
		for _, class := range matrixClasses {
			if !slices.ContainsFunc(matrix[kind], func(c cell) bool { return c.class == class }) {
				t.Errorf("kind %s has no cell %q: write what the service documents into the matrix, or the kind with a reason into outsideMatrix", kind, class)
			}
		}
	}
	for kind, reason := range outsideMatrix {
		if !slices.Contains(rules.Kinds(), kind) || reason == "" {
			t.Errorf("kind %s is outside the matrix, and does not exist or has no reason", kind)
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(matrix)) {
		if !slices.Contains(rules.Kinds(), kind) {
			t.Errorf("the matrix has kind %s, which does not exist", kind)
		}
		for _, c := range matrix[kind] {
			t.Run(kind+"/"+c.class+"/"+c.what, func(t *testing.T) {
				t.Parallel()
				if !slices.Contains(matrixClasses, c.class) {
					t.Fatalf("class %q is none of %s", c.class, matrixClasses)
				}
				newMatrixCase(t, kind, c).run(t)
			})
		}
	}
}

// matrixTargets are the fields of a target of each kind, besides its url.
var matrixTargets = map[string]string{
	"webhook":  `, secret: "${HOOK_SECRET}"`,
	"telegram": `, token: "${BOT_TOKEN}", chat: "-100"`,
	"dingtalk": `, secret: "${DING_SECRET}"`,
	"feishu":   `, secret: "${FEISHU_SECRET}"`,
}

// A matrixCase is a target whose service gives the answer of a cell.
type matrixCase struct {
	cell
	g        *target
	kept     *memory
	now      time.Time
	requests atomic.Int32
	well     atomic.Bool // the service takes everything now
	healthy  cell        // what it answers then
}

func newMatrixCase(t *testing.T, kind string, c cell) *matrixCase {
	t.Helper()
	m := &matrixCase{cell: c, now: time.Now(), healthy: matrix[kind][0]}
	if m.healthy.want != "sent" {
		t.Fatalf("the first cell of %s is not how it takes a notification", kind)
	}
	server := httptest.NewServer(m)
	t.Cleanup(server.Close)
	more, tries := matrixTargets[kind], matrixTries
	if c.class == "hang" {
		more, tries = more+", timeout: 300ms", 1 // real time
	}
	text := fmt.Sprintf("targets:\n  a: {kind: %s, url: \"${HOOK_URL}\", tries: %d, limit: 0%s}\nrules:\n  r: {%s, targets: [a]}\n", kind, tries, more, all)
	values := map[string]string{"HOOK_URL": server.URL + "/path-hush", "HOOK_SECRET": hookSecret, "BOT_TOKEN": "123:hush", "DING_SECRET": "SEChush", "FEISHU_SECRET": "hush"}
	file, err := rules.Parse([]byte(text), rules.Source{Lookup: func(name string) (string, bool) { v, ok := values[name]; return v, ok }})
	if err != nil {
		t.Fatal(err)
	}
	time := clock{now: func() time.Time { return m.now }, pause: func(ctx context.Context, d time.Duration) error { m.now = m.now.Add(d); return ctx.Err() }}
	m.kept = newMemory(time)
	s := newSender(&file.Targets[0], nil)
	t.Cleanup(s.client.CloseIdleConnections)
	m.g = newTarget(t.Context(), &file.Targets[0], file.Of("a"), m.kept, s.send, nil, uncounted(), slog.New(slog.DiscardHandler))
	m.g.clock = time
	return m
}

func (m *matrixCase) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // the server notices only then that the client has gone
	c := m.cell
	if m.well.Load() || r.URL.Query().Has("moved") || strings.HasSuffix(r.URL.Path, "/moved") {
		c = m.healthy
	} else {
		m.requests.Add(1)
	}
	if c.class == "hang" && c.status == 0 {
		<-r.Context().Done()
		return
	}
	if name, value, found := strings.Cut(c.header, ": "); found {
		w.Header().Set(name, value)
	}
	w.WriteHeader(c.status)
	_, _ = io.WriteString(w, c.body)
	if c.class == "hang" { // after the beginning of an answer
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
}

func (m *matrixCase) run(t *testing.T) {
	n := form.New(roomEvent(1, "x", m.now), "r", "a", 0)
	if err := m.g.tell(t.Context(), m.g.rules[0], n); err != nil {
		t.Fatal(err)
	}
	if got := m.outcome(); got != m.want {
		t.Fatalf("%s, want %s: %s", got, m.want, m.reasons())
	}
	requests := int32(1) // also if the target asks for so long that it is not waited for
	if rest, again := strings.CutPrefix(m.want, "temporary"); again {
		if asked, _ := time.ParseDuration(strings.TrimSpace(rest)); asked <= retryMax && m.class != "hang" {
			requests = matrixTries
		}
	}
	if got := m.requests.Load(); got != requests {
		t.Errorf("%d requests, want %d", got, requests)
	}
	if strings.Contains(m.reasons(), "hush") {
		t.Errorf("a secret is in %s", m.reasons())
	}
	if m.class == "hang" {
		return // its time-out is too short to say more
	}
	m.recovers(t)
}

// recovers sees that what waits is told when the service is well again, and that what
// it has refused is not.
func (m *matrixCase) recovers(t *testing.T) {
	m.well.Store(true)
	m.now = m.now.Add(2 * time.Hour)
	if err := m.g.round(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := "sent"
	if m.want == "refused" {
		want = "refused"
	}
	if got := m.outcome(); got != want {
		t.Errorf("%s when the service was well again, want %s: %s", got, want, m.reasons())
	}
}

// outcome says what has become of the notification.
func (m *matrixCase) outcome() string {
	waiting, dead := len(m.kept.kept["waiting.a.r"]), len(m.kept.kept["dead.a.r"])
	asked := ""
	if left := m.g.asked.Sub(m.now).Round(100 * time.Millisecond); left > 0 {
		asked = " " + left.String()
	}
	switch condition := m.g.condition(); {
	case waiting == 0 && dead == 0 && condition == up:
		return "sent"
	case waiting == 0 && dead == 1 && condition == refusing:
		return "refused"
	case waiting == 1 && dead == 0 && condition == throttled && (asked != "" || m.g.notBefore.After(m.now)):
		return "busy" + asked
	case waiting == 1 && dead == 0 && condition == down && m.g.notBefore.After(m.now):
		return "temporary" + asked
	default:
		return fmt.Sprintf("waiting %d, dead %d and %s", waiting, dead, condition)
	}
}

func (m *matrixCase) reasons() string {
	var list []string
	for _, kept := range m.kept.kept {
		for _, s := range kept {
			list = append(list, s.reason)
		}
	}
	return strings.Join(list, "; ")
}
