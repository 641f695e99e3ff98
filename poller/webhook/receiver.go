package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"roomwatch/diff"
)

// Path is where callbacks are received.
const Path = "/webhook"

const (
	bodyBytes   = 64 << 10
	bodyTimeout = 10 * time.Second
	maxRoomID   = 48 // bytes, by the vendor's documentation
)

// answer is what the service expects to hear.
const answer = `{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0}`

// A Config says whose callbacks are received and who is told of them.
type Config struct {
	SDKAppID int
	Token    func() string       // the one of this moment
	Tell     func(diff.Callback) // called after the answer
	Log      *slog.Logger
	Metrics  prometheus.Registerer // nil: none
}

// A Receiver is the handler of the vendor's callbacks. It is safe for concurrent use.
type Receiver struct {
	app     string
	tokens  *tokens
	tell    func(diff.Callback)
	log     *slog.Logger
	metrics *metrics

	mu     sync.Mutex
	status Status
}

// A Status is what has come since the start.
type Status struct {
	Last     time.Time // the newest callback that was taken; zero: none
	Taken    uint64    // with the right signature, here or at a standby that has passed it on
	Refused  uint64
	Outdated int           // refused for their time, in a row
	Offset   time.Duration // of the newest of those: its time minus ours
}

// New returns a Receiver.
func New(c Config) (*Receiver, error) {
	r := &Receiver{app: strconv.Itoa(c.SDKAppID), tokens: &tokens{current: c.Token}, tell: c.Tell, log: c.Log, metrics: newMetrics()}
	r.tokens.valid(time.Now()) // from now on another one is a change
	if c.Metrics != nil {
		if err := c.Metrics.Register(r.metrics.callbacks); err != nil {
			return nil, fmt.Errorf("register metric: %w", err)
		}
	}
	return r, nil
}

// Status returns what has come so far.
func (r *Receiver) Status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status
}

// PassedOn notes a callback that a standby has taken and passed on. It tells nobody of it.
func (r *Receiver) PassedOn() {
	r.metrics.callbacks.WithLabelValues(string(fromStandby)).Inc()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.Taken, r.status.Last = r.status.Taken+1, time.Now() // of the clock here it says nothing
}

// ServeHTTP answers a callback before anything is done about it: the service does not
// wait for long, and calls no second time.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	c, v, status, err := r.receive(w, req)
	r.metrics.callbacks.WithLabelValues(string(v)).Inc()
	r.note(err)
	if err != nil {
		r.log.DebugContext(req.Context(), "callback refused", "outcome", v, "error", err)
		http.Error(w, err.Error(), status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
	_, _ = io.WriteString(w, answer) // who does not take it loses nothing
	_ = http.NewResponseController(w).Flush()
	if v == taken {
		r.tell(c)
	}
}

// receive reads a callback. An error says what is wrong with it.
func (r *Receiver) receive(w http.ResponseWriter, req *http.Request) (c diff.Callback, v outcome, status int, err error) {
	now := time.Now()
	if err := http.NewResponseController(w).SetReadDeadline(now.Add(bodyTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return c, badRequest, http.StatusInternalServerError, fmt.Errorf("bound the reading of the body: %w", err)
	}
	// The body of a stranger is not waited for.
	w.Header().Set("Connection", "close")
	if req.URL.Path != Path {
		return c, badRequest, http.StatusNotFound, fmt.Errorf("callbacks are received at %s", Path)
	}
	if req.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return c, badRequest, http.StatusMethodNotAllowed, errors.New("a callback is a POST")
	}
	signed, v, err := r.authenticate(req.URL.Query(), now)
	if err != nil {
		return c, v, http.StatusForbidden, err
	}
	w.Header().Del("Connection")
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, bodyBytes))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return c, badRequest, http.StatusRequestEntityTooLarge, fmt.Errorf("the body is larger than %d bytes", bodyBytes)
	}
	if err != nil {
		return c, badRequest, http.StatusBadRequest, errors.New("the body ends early")
	}
	c, known, err := decode(body, req.URL.Query().Get("CallbackCommand"))
	switch {
	case err != nil:
		return c, badRequest, http.StatusBadRequest, err
	case !known:
		return c, otherCommand, http.StatusOK, nil
	}
	c.At, c.Signed = time.Now(), signed // not when the request began: what has shown the room meanwhile came before
	return c, taken, http.StatusOK, nil
}

// note counts what came for [Receiver.Status].
func (r *Receiver) note(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	late, outdated := errors.AsType[*timeError](err)
	switch {
	case err == nil:
		r.status.Taken, r.status.Last, r.status.Outdated = r.status.Taken+1, time.Now(), 0
	case outdated:
		r.status.Outdated, r.status.Offset = r.status.Outdated+1, late.offset
		fallthrough
	default:
		r.status.Refused++
	}
}

var errNoCallback = errors.New("the body is no JSON object of a callback")

// decode returns what a body says, and false if it is not of a room that comes, goes or
// changes. Of the body only the command and the RoomId are used.
func decode(body []byte, command string) (c diff.Callback, known bool, err error) {
	var head struct{ CallbackCommand string }
	if err := json.Unmarshal(body, &head); err != nil {
		return c, false, errNoCallback
	}
	if head.CallbackCommand != "" {
		command = head.CallbackCommand
	}
	switch command {
	case "Live.CallbackAfterCreateRoom":
		c.Kind = diff.Created
	case "Live.CallbackAfterDestroyRoom":
		c.Kind = diff.Destroyed
	case "Live.CallbackAfterUpdateRoomInfo":
		c.Kind = diff.Updated
	default:
		return c, false, nil
	}
	var b struct {
		RoomID   string `json:"RoomId"`
		RoomInfo struct {
			RoomID string `json:"RoomId"`
		}
	}
	if err := json.Unmarshal(body, &b); err != nil {
		return c, false, errNoCallback
	}
	if c.RoomID = b.RoomID; c.RoomID == "" {
		c.RoomID = b.RoomInfo.RoomID
	}
	if n := len(c.RoomID); n == 0 || n > maxRoomID {
		return c, false, fmt.Errorf("the RoomId has %d bytes: 1 to %d are allowed", n, maxRoomID)
	}
	return c, true, nil
}
