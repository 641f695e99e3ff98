package form

import (
	"fmt"
	"strconv"
	"time"
)

// The types of notifications that tell of the watch of an application.
const (
	WatchStopped = "watch.stopped" // nobody watches it
	WatchResumed = "watch.resumed" // somebody does again
)

// Why nobody watches, or watched. A [WatchResumed] can have any other reason that
// watch.resumed of the event stream has.
const (
	Silent      = "silent"      // of a WatchStopped: roomwatch has not told for minutes that it watches
	Unreachable = "unreachable" // roomwatch runs, and cannot read the list of rooms
	Unheard     = "unheard"     // of a WatchResumed: roomwatch watched, and did not reach the event stream
)

// A Watch tells of a time in which nobody watched an application.
type Watch struct {
	App   int       `json:"app"` // its SDKAppID
	Since time.Time `json:"since"`
	Until time.Time `json:"until,omitzero"` // zero in a WatchStopped: nobody knows it yet
	Why   string    `json:"why"`            // Silent, Unreachable, Unheard, stopped or standby
}

// NewWatch returns the notification of a time in which nobody watched. Its id is
// that of the application and of a moment, which is the same at every attempt.
func NewWatch(w Watch, rule, target string, of time.Time) Notification {
	kind, word := WatchStopped, "unwatched"
	if !w.Until.IsZero() {
		kind, word = WatchResumed, "watched"
	}
	id := ID(fmt.Sprintf("%s-%d-%d", word, w.App, of.UnixMilli()), rule, target, 0)
	return Notification{ID: id, Type: kind, Rule: rule, Target: target, Watch: &w}
}

// types returns all types of notifications but [Summary], in the order in which a
// digest counts them.
func types() []string { return append(EventTypes(), Milestone, WatchStopped, WatchResumed) }

// watchWords are those of the built-in text of a [Watch].
type watchWords struct {
	stopped, resumed  string            // titles: an application
	since, span, took string            // a time; two times; a duration
	why               map[string]string // nobody watched; by reason
	missed            string            // what follows from it
}

// watchTitle is a notification of the watch in one line.
func (v voice) watchTitle(n Notification) string {
	title := v.watch.stopped
	if n.Type == WatchResumed {
		title = v.watch.resumed
	}
	return fmt.Sprintf(title, strconv.Itoa(n.Watch.App))
}

func (v voice) watchDetails(n Notification) []string {
	const layout = "2006-01-02 15:04:05"
	w := n.Watch
	lines := []string{fmt.Sprintf(v.watch.since, v.at(w.Since, layout))}
	if n.Type == WatchResumed {
		lines = []string{
			fmt.Sprintf(v.watch.span, w.Since.In(v.zone).Format(layout), v.at(w.Until, layout)),
			fmt.Sprintf(v.watch.took, v.duration(w.Until.Sub(w.Since).Truncate(time.Second))),
		}
	}
	if why := v.watch.why[w.Why]; why != "" {
		lines = append(lines, why)
	}
	if n.Type == WatchResumed && w.Why != Unheard {
		lines = append(lines, v.watch.missed)
	}
	return lines
}

func englishWatch() watchWords {
	return watchWords{
		stopped: "Nobody watches application %s", resumed: "Application %s is watched again",
		since: "Since: %s", span: "Not watched: from %s to %s", took: "For: %s",
		why: map[string]string{
			Silent:      "roomwatch gives no sign of life: it has stopped, or does not reach NATS.",
			Unreachable: "roomwatch cannot read the list of live rooms.",
			Unheard:     "roomwatch watched all the time, and did not reach NATS: its events come late.",
			"stopped":   "roomwatch had stopped.",
			"standby":   "roomwatch stood by for another one, which did not watch.",
		},
		missed: "Rooms that began and ended in this time are not known.",
	}
}

func chineseWatch() watchWords {
	return watchWords{
		stopped: "应用 %s 无人监看", resumed: "应用 %s 已恢复监看",
		since: "开始时间：%s", span: "未监看：从 %s 到 %s", took: "时长：%s",
		why: map[string]string{
			Silent:      "roomwatch 没有心跳：进程已停止，或无法连接 NATS。",
			Unreachable: "roomwatch 无法读取直播间列表。",
			Unheard:     "roomwatch 一直在监看，但无法连接 NATS：其间的事件会延迟送达。",
			"stopped":   "roomwatch 曾停止运行。",
			"standby":   "roomwatch 处于备用状态，而主用进程没有监看。",
		},
		missed: "在此期间开播并结束的直播间无法得知。",
	}
}
