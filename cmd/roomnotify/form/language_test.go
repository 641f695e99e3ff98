package form

import (
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"roomwatch/publisher/events"
)

// Each language has all the words, and each of them shows as much.
func TestLanguagesAreComplete(t *testing.T) {
	shows := func(s string) int { return strings.Count(s, "%s") }
	en := speech("en")
	for _, language := range Languages() {
		w := speech(language)
		fields := reflect.TypeFor[words]()
		for i := range fields.NumField() {
			f, of, like := fields.Field(i), reflect.ValueOf(w).Field(i), reflect.ValueOf(en).Field(i)
			if f.Type.Kind() == reflect.String && (of.String() == "" || shows(of.String()) != shows(like.String())) {
				t.Errorf("%s: %s is %q, and in English %q", language, f.Name, of.String(), like.String())
			}
		}
		for kind, title := range en.titles {
			if shows(w.titles[kind]) != shows(title) {
				t.Errorf("%s: the title of %s is %q", language, kind, w.titles[kind])
			}
		}
		for i := range reflect.TypeFor[watchWords]().NumField() {
			f, of, like := reflect.TypeFor[watchWords]().Field(i), reflect.ValueOf(w.watch).Field(i), reflect.ValueOf(en.watch).Field(i)
			if f.Type.Kind() == reflect.String && (of.String() == "" || shows(of.String()) != shows(like.String()) || (language != "en") != (of.String() != like.String())) {
				t.Errorf("%s: %s is %q, and in English %q", language, f.Name, of.String(), like.String())
			}
		}
		for _, why := range []string{Silent, Unreachable, Unheard, "stopped", "standby"} {
			if w.watch.why[why] == "" {
				t.Errorf("%s: there is no text for %s", language, why)
			}
		}
		for kind := range maps.Keys(en.counts) {
			if c := w.counts[kind]; shows(c[0]) != 1 || shows(c[1]) != 1 {
				t.Errorf("%s: the count of %s is %q", language, kind, c)
			}
		}
		if w.duration(time.Hour) == "" || (language != "en") != (w.milestone != en.milestone) {
			t.Errorf("%s: these are the words of another language", language)
		}
	}
}

// A target is told in its language and its zone, with a text of its own, too.
func TestVoice(t *testing.T) {
	room := events.Room{RoomID: "id", RoomName: "名字", OwnerAccount: "主", Category: []int64{1, 2}, CreateTime: 1700000000, ViewCount: 12345}
	at := time.Unix(1700003661, 0)
	of := func(kind events.Type, milestone int64) Notification {
		return New(events.Event{ID: "A-1", Type: kind, Time: at, Data: events.Data{Room: room}}, "r", "a", milestone)
	}
	shanghai, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	items := []Notification{of(events.RoomCreated, 0), of(events.RoomEnded, 0)}
	for len(items) < 13 {
		items = append(items, of(events.RoomEnded, 0))
	}
	digest := NewDigest(Digest{Since: at, Until: at.Add(time.Hour), Total: 13, Counts: map[string]int{"room.created": 1, "room.ended": 12}, Items: items}, "r", "a", 1)
	test := of(events.RoomCreated, 0)
	test.Test = true
	for _, tt := range []struct {
		name string
		n    Notification
		want string
	}{
		{"created", of(events.RoomCreated, 0), "新直播间：名字\n主播：主\n观看次数：12,345\n分类：1, 2\n开播时间：2023-11-15 06:13:20 Asia/Shanghai\n房间号：id"},
		{"ended", of(events.RoomEnded, 0), "直播结束：名字\n主播：主\n观看次数：12,345\n分类：1, 2\n直播时长：1小时1分1秒\n房间号：id"},
		{"milestone", of(events.ViewCountChanged, 10000), "观看次数达到 10,000：名字\n"},
		{"test", test, "[测试] 新直播间：名字\n"},
		{"digest", digest, "汇总：1 个新直播间，12 场直播结束\n从 2023-11-15 07:14 到 2023-11-15 08:14 Asia/Shanghai\n• 新直播间：名字\n• 直播结束：名字\n"},
		{"the rest of a digest", digest, "……还有 3 条，见事件流 2023-11-15 07:14 Asia/Shanghai 之后的事件"},
	} {
		m := Target{Kind: "wecom", Language: "zh", Zone: shanghai}.message(tt.n)
		same := func(s string) string { return s }
		title, text := m.fit(8000, bytesIn, same)
		if got := strings.ReplaceAll(title+"\n"+text, string(wordJoiner), ""); !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q is not in\n%s", tt.name, tt.want, got)
		}
	}
	text, err := ParseText("{{index .Room.Categories 2}}")
	if err != nil {
		t.Fatal(err)
	}
	m := Target{Language: "zh", Texts: map[string]*Text{"r": text}}.message(of(events.RoomCreated, 0))
	if m.title != "新直播间：名字" || !strings.Contains(m.lines[len(m.lines)-1], "文本出错") {
		t.Errorf("a text that fails: %+v", m)
	}
}

// The times of a text, a digest's text and a body are in the zone of the target; of
// one without a zone in UTC.
func TestTemplatesHaveTheZone(t *testing.T) {
	shanghai, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	const hour = `.Format "15:04 MST"}}`
	text, err := ParseText("{{.Time" + hour + " {{.Room.Created" + hour)
	if err != nil {
		t.Fatal(err)
	}
	digest, err := ParseDigestText("{{.Since" + hour + " {{.Until" + hour)
	if err != nil {
		t.Fatal(err)
	}
	body, err := ParseBody(`{"t": {{.Time}}, "c": "{{with .Room}}{{if not .Created.IsZero}}{{.Created`+hour+`{{end}}{{end}}", "s": {{.Since}}, "u": {{.Until}}, "i": [{{range $i, $e := .Items}}{{if $i}},{{end}}{{.Room.Created}}{{end}}]}`, nil)
	if err != nil {
		t.Fatal(err)
	}
	n := New(events.Event{ID: "A-1", Type: events.RoomCreated, Time: time.Unix(1700003600, 0), Data: events.Data{Room: events.Room{RoomID: "id", CreateTime: 1700000000}}}, "r", "a", 0)
	d := NewDigest(Digest{Since: time.Unix(1700000000, 0), Until: time.Unix(1700003600, 0), Total: 2, Items: []Notification{n, n}}, "r", "a", 1)
	for zone, want := range map[*time.Location][]string{
		shanghai: {
			"07:13 CST 06:13 CST", "06:13 CST 07:13 CST", `{"t": "2023-11-15T07:13:20+08:00", "c": "06:13 CST", "s": null, "u": null, "i": []}`,
			`{"t": "2023-11-15T07:13:20+08:00", "c": "", "s": "2023-11-15T06:13:20+08:00", "u": "2023-11-15T07:13:20+08:00", "i": ["2023-11-15T06:13:20+08:00","2023-11-15T06:13:20+08:00"]}`,
		},
		nil: {
			"23:13 UTC 22:13 UTC", "22:13 UTC 23:13 UTC", `{"t": "2023-11-14T23:13:20Z", "c": "22:13 UTC", "s": null, "u": null, "i": []}`,
			`{"t": "2023-11-14T23:13:20Z", "c": "", "s": "2023-11-14T22:13:20Z", "u": "2023-11-14T23:13:20Z", "i": ["2023-11-14T22:13:20Z","2023-11-14T22:13:20Z"]}`,
		},
	} {
		to := Target{Kind: "webhook", Zone: zone, Texts: map[string]*Text{"r": text}, Digests: map[string]*DigestText{"r": digest}, Body: body}
		got := []string{to.message(n).title, to.message(d).title}
		for _, n := range []Notification{n, d} {
			b, err := to.bytes(n, time.Unix(1700003600, 0))
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(b))
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("zone %v: %s, want %s", zone, got[i], want[i])
			}
		}
	}
}
