package streams

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/publisher/natstest"
)

var (
	writes = Need{
		Use: Write, Name: "LIVE", Variable: "ROOMWATCH_STREAM", Made: "ROOMWATCH_STREAM", Prefix: "live",
		Subjects: []string{"live.room.created.1.*", "live.writer.claimed.1"},
	}
	reads = Need{Use: Read, Name: "LIVE", Variable: "ROOMWATCH_STREAM", Made: "ROOMWATCH_STREAM", AckPending: 5000}
	keeps = Need{
		Use: Keep, Name: "NOTIFY", Variable: "ROOMNOTIFY_NAME", Made: "ROOMNOTIFY_STREAM", Prefix: "notify", Subjects: []string{"notify.>"},
	}
)

func (n Need) good() jetstream.StreamConfig {
	c := jetstream.StreamConfig{Name: n.Name, Subjects: []string{"live.>"}, Storage: jetstream.FileStorage}
	if n.Use == Keep {
		c.Subjects = []string{"notify.>"}
	}
	return c
}

// connect returns JetStream of a server that has a stream that others copy from.
func connect(t *testing.T) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(natstest.Start(t, nil).ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"other.>"}}); err != nil {
		t.Fatal(err)
	}
	return js
}

// A setting that is not fit is refused or warned of with its fix, and when the fix
// is applied, the stream is fit: by an edit, or by a copy that has its messages.
func TestEachUnfitSetting(t *testing.T) {
	type config = jetstream.StreamConfig
	const (
		copied = "nats stream add LIVE_COPY --mirror=LIVE --storage=file" // not editable
		anew   = "`nats stream rm NOTIFY`"
	)
	tests := []struct {
		name                string
		edit                func(*config)
		writes, reads, keep string // what the refusal, or after ? the warning, says; empty: fit
	}{
		{name: "as it should be", edit: func(*config) {}},
		{name: "fine settings", edit: func(c *config) {
			c.Compression, c.Duplicates, c.FirstSeq, c.AllowDirect, c.AllowAtomicPublish, c.AllowBatchPublish = jetstream.S2Compression, time.Second, 7, true, true, true
			c.AllowRollup, c.AllowMsgTTL, c.AllowMsgSchedules, c.MaxAge = true, true, true, 2*time.Hour
			c.RePublish = &jetstream.RePublish{Source: ">", Destination: "elsewhere.>"}
			c.Sources = nil
		}},
		{name: "other subjects", edit: func(c *config) { c.Subjects = []string{"other2", "live.room.>", "notify.held.>"} },
			writes: "do not cover live.writer.claimed.1; `nats stream edit LIVE --subjects='other2,notify.held.>,live.>'`",
			keep:   "do not cover notify.>; `nats stream edit NOTIFY --subjects='other2,live.room.>,notify.>'`"},
		{name: "work queue", edit: func(c *config) { c.Retention = jetstream.WorkQueuePolicy }, writes: copied, reads: copied, keep: anew},
		{name: "interest", edit: func(c *config) { c.Retention = jetstream.InterestPolicy },
			writes: "`nats stream edit LIVE --retention=limits`", reads: "`nats stream edit LIVE --retention=limits`", keep: "`nats stream edit NOTIFY --retention=limits`"},
		{name: "memory", edit: func(c *config) { c.Storage = jetstream.MemoryStorage }, writes: copied, reads: "?" + copied, keep: anew},
		{name: "no acks", edit: func(c *config) { c.NoAck = true }, writes: "`nats stream edit LIVE --ack`", reads: "?`nats stream edit LIVE --ack`", keep: "`nats stream edit NOTIFY --ack`"},
		{name: "async", edit: func(c *config) { c.PersistMode = jetstream.AsyncPersistMode }, writes: copied, reads: "?" + copied, keep: anew},
		{name: "sealed", edit: func(c *config) { c.Sealed = true }, writes: copied, reads: "?" + copied, keep: anew},
		{name: "mirror", edit: func(c *config) { c.Subjects, c.Mirror = nil, &jetstream.StreamSource{Name: "OTHER"} },
			writes: "`nats stream edit LIVE --no-mirror --subjects='live.>'`", keep: "`nats stream edit NOTIFY --no-mirror --subjects='notify.>'`"},
		{name: "sources", edit: func(c *config) { c.Sources = []*jetstream.StreamSource{{Name: "OTHER"}} },
			writes: "jq '.config | del(.sources)' >LIVE.json && nats stream edit LIVE --config=LIVE.json`", keep: "jq '.config | del(.sources)' >NOTIFY.json"},
		{name: "harmless sources", edit: func(c *config) { c.Sources = []*jetstream.StreamSource{{Name: "OTHER", FilterSubject: "other.>"}} }},
		{name: "transform", edit: func(c *config) {
			c.SubjectTransform = &jetstream.SubjectTransformConfig{Source: c.Subjects[0], Destination: "dead.>"}
		}, writes: "`nats stream edit LIVE --no-transform`", reads: "?--no-transform", keep: "--no-transform"},
		{name: "counter", edit: func(c *config) { c.AllowMsgCounter = true }, writes: copied, reads: "?" + copied, keep: anew},
		{name: "delete markers", edit: func(c *config) { c.SubjectDeleteMarkerTTL, c.AllowMsgTTL, c.AllowRollup = time.Minute, true, true },
			writes: "`nats stream edit LIVE --subject-del-markers-ttl=0s`", reads: "?--subject-del-markers-ttl=0s", keep: "--subject-del-markers-ttl=0s"},
		{name: "one a subject, discard new", edit: func(c *config) {
			c.Discard, c.DiscardNewPerSubject, c.MaxMsgsPerSubject = jetstream.DiscardNew, true, 1
		}, writes: "`nats stream edit LIVE --no-discard-per-subject --max-msgs-per-subject=-1`", reads: "?--no-discard-per-subject", keep: "--no-discard-per-subject"},
		{name: "one a subject", edit: func(c *config) { c.MaxMsgsPerSubject = 1 },
			writes: "`nats stream edit LIVE --max-msgs-per-subject=-1`", reads: "?--max-msgs-per-subject=-1", keep: "`nats stream edit NOTIFY --max-msgs-per-subject=-1`"},
		{name: "few messages", edit: func(c *config) { c.MaxMsgs = LeastMessages - 1 },
			writes: "`nats stream edit LIVE --max-msgs=-1`", reads: "?--max-msgs=-1", keep: "`nats stream edit NOTIFY --discard=new`"},
		{name: "few messages, discard new", edit: func(c *config) { c.MaxMsgs, c.Discard = 9, jetstream.DiscardNew }},
		{name: "few bytes", edit: func(c *config) { c.MaxBytes = LeastBytes - 1 },
			writes: "`nats stream edit LIVE --max-bytes=65536`", reads: "?--max-bytes=65536", keep: "`nats stream edit NOTIFY --discard=new`"},
		{name: "many messages and bytes", edit: func(c *config) { c.MaxMsgs, c.MaxBytes = LeastMessages, LeastBytes }, keep: "`nats stream edit NOTIFY --discard=new`"},
		{name: "small messages", edit: func(c *config) { c.MaxMsgSize = LeastMessage - 1 },
			writes: "`nats stream edit LIVE --max-msg-size=16384`", keep: "`nats stream edit NOTIFY --max-msg-size=16384`"},
		{name: "deletes denied", edit: func(c *config) { c.DenyDelete = true }, keep: anew},
		{name: "purges denied", edit: func(c *config) { c.DenyPurge = true }, keep: anew},
		{name: "idle consumers", edit: func(c *config) { c.ConsumerLimits.InactiveThreshold = time.Minute },
			writes: "jq '.config | del(.consumer_limits)' >LIVE.json", reads: "jq '.config | del(.consumer_limits)' >LIVE.json"},
		{name: "absent subscribers", edit: func(c *config) { c.ConsumerLimits.InactiveThreshold = time.Hour }, writes: "?del(.consumer_limits)", reads: "?del(.consumer_limits)"},
		{name: "few unacknowledged", edit: func(c *config) { c.ConsumerLimits.MaxAckPending = 4999 }, reads: "del(.consumer_limits)"},
		{name: "few consumers", edit: func(c *config) { c.MaxConsumers = 3 }, writes: "?`nats stream edit LIVE --max-consumers=0`", reads: "?--max-consumers=0"},
		{name: "short age", edit: func(c *config) { c.MaxAge = time.Minute }, writes: "?`nats stream edit LIVE --max-age=720h`", reads: "?--max-age=720h", keep: "?--max-age=720h"},
	}
	js := connect(t)
	for _, tt := range tests {
		for _, n := range []Need{writes, reads, keeps} {
			t.Run(tt.name+" "+n.Name+" "+strconv.Itoa(int(n.Use)), func(t *testing.T) {
				c := n.good()
				tt.edit(&c)
				have := create(t, js, c)
				defer func() {
					for _, name := range []string{n.Name, n.Name + "_COPY"} {
						_ = js.DeleteStream(context.Background(), name) // the copy may not exist
					}
				}()
				want := [...]string{tt.writes, tt.reads, tt.keep}[n.Use]
				warnings, err := n.Check(have, 0)
				got := strings.Join(warnings, "; ")
				text, isWarning := strings.CutPrefix(want, "?")
				switch {
				case isWarning || want == "":
					if err != nil {
						t.Fatalf("refused: %v", err)
					}
				case !errors.Is(err, ErrUnfit) || !strings.Contains(err.Error(), n.Name+": "):
					t.Fatalf("not refused: %v, %s", err, got)
				default:
					got = err.Error()
				}
				if !strings.Contains(got, text) || want == "" && got != "" {
					t.Fatalf("it says:\n%s\nwant:\n%s", got, want)
				}
				if want == "" || text == anew {
					return
				}
				if warnings, err := apply(t, js, n, have, got).Check(info(t, js, fixedName(n, got)), 0); err != nil || isWarning && len(warnings) > 0 {
					t.Errorf("after the fix: %v, %q", err, warnings)
				}
			})
		}
	}
}

// create makes a stream. A sealed one is made by an update.
func create(t *testing.T, js jetstream.JetStream, c jetstream.StreamConfig) jetstream.StreamConfig {
	t.Helper()
	sealed := c.Sealed
	c.Sealed = false
	if _, err := js.CreateStream(t.Context(), c); err != nil {
		t.Fatalf("the server refuses the stream: %v", err)
	}
	if sealed {
		c.Sealed = true
		if _, err := js.UpdateStream(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	return info(t, js, c.Name)
}

func info(t *testing.T, js jetstream.JetStream, name string) jetstream.StreamConfig {
	t.Helper()
	s, err := js.Stream(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().Config
}

func fixedName(n Need, fix string) string {
	if strings.Contains(fix, n.Name+"_COPY") {
		return n.Name + "_COPY"
	}
	return n.Name
}

var (
	editCommand = regexp.MustCompile("`nats stream edit " + `(\S+) (--[^` + "`]*)`")
	removedPart = regexp.MustCompile(`jq '\.config \| del\(\.(\w+)\)'`)
)

// apply does what the commands of a fix do, and returns the need of what is there then.
func apply(t *testing.T, js jetstream.JetStream, n Need, c jetstream.StreamConfig, fix string) Need {
	t.Helper()
	if name := fixedName(n, fix); name != n.Name {
		copied, from := jetstream.StreamConfig{Name: name}, &jetstream.StreamSource{Name: n.Name}
		if strings.Contains(fix, "--source="+n.Name) {
			copied.Sources = []*jetstream.StreamSource{from}
		} else {
			copied.Mirror = from
		}
		if _, err := js.CreateStream(t.Context(), copied); err != nil {
			t.Fatalf("the server refuses the copy: %v", err)
		}
		if err := js.DeleteStream(t.Context(), n.Name); err != nil {
			t.Fatal(err)
		}
		n.Name, c = name, info(t, js, name)
	}
	for _, part := range removedPart.FindAllStringSubmatch(fix, -1) {
		field(t, &c, part[1]).SetZero()
	}
	for _, command := range editCommand.FindAllStringSubmatch(fix, -1) {
		if command[1] != n.Name {
			t.Fatalf("it edits stream %s: %s", command[1], fix)
		}
		for flag := range strings.FieldsSeq(command[2]) {
			set(t, &c, flag)
		}
	}
	if _, err := js.UpdateStream(t.Context(), c); err != nil {
		t.Fatalf("the server refuses the fix %s: %v", fix, err)
	}
	return n
}

// set does what a flag of `nats stream edit` does.
func set(t *testing.T, c *jetstream.StreamConfig, flag string) {
	t.Helper()
	name, value, _ := strings.Cut(flag, "=")
	value = strings.Trim(value, "'")
	number, _ := strconv.ParseInt(value, 10, 64) // 0 where the flag is none of these
	switch name {
	case "--subjects":
		c.Subjects = strings.Split(value, ",")
	case "--retention":
		c.Retention = jetstream.LimitsPolicy
	case "--ack":
		c.NoAck = false
	case "--no-mirror":
		c.Mirror = nil
	case "--no-transform":
		c.SubjectTransform = nil
	case "--subject-del-markers-ttl":
		c.SubjectDeleteMarkerTTL = 0
	case "--no-discard-per-subject":
		c.DiscardNewPerSubject = false
	case "--discard":
		c.Discard = jetstream.DiscardNew
	case "--max-msgs-per-subject":
		c.MaxMsgsPerSubject = number
	case "--max-msgs":
		c.MaxMsgs = number
	case "--max-bytes":
		c.MaxBytes = number
	case "--max-msg-size":
		c.MaxMsgSize = int32(number)
	case "--max-consumers":
		c.MaxConsumers = int(number)
	case "--max-age":
		age, err := time.ParseDuration(value)
		if err != nil {
			t.Fatal(err)
		}
		c.MaxAge = age
	case "--allow-batch":
		c.AllowAtomicPublish = true
	default:
		t.Fatalf("`nats stream edit` has no flag %s that this test knows", name)
	}
}

// field returns the field of a configuration by its name in JSON.
func field(t *testing.T, c *jetstream.StreamConfig, name string) reflect.Value {
	t.Helper()
	for f, v := range reflect.ValueOf(c).Elem().Fields() {
		if jsonName(f) == name {
			return v
		}
	}
	t.Fatalf("there is no %s", name)
	return reflect.Value{}
}

func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

// A copy has the messages, with their numbers.
func TestCopyHasTheMessages(t *testing.T) {
	js := connect(t)
	c := writes.good()
	c.Storage = jetstream.MemoryStorage
	have := create(t, js, c)
	for i := range 3 {
		if _, err := js.Publish(t.Context(), "live.room.created.1.r"+strconv.Itoa(i), []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	_, err := writes.Check(have, 0)
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "LIVE_COPY", Mirror: &jetstream.StreamSource{Name: "LIVE"}}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		s, err := js.Stream(ctx, "LIVE_COPY")
		if err != nil {
			t.Fatal(err)
		}
		if s.CachedInfo().State.LastSeq == 3 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if err := js.DeleteStream(t.Context(), "LIVE"); err != nil {
		t.Fatal(err)
	}
	c = info(t, js, "LIVE_COPY")
	for flag := range strings.FieldsSeq(editCommand.FindStringSubmatch(err.Error())[2]) {
		set(t, &c, flag)
	}
	s, err := js.UpdateStream(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if m, err := s.GetMsg(t.Context(), 3); err != nil || m.Subject != "live.room.created.1.r2" {
		t.Errorf("%v, %v", m, err)
	}
	if ack, err := js.Publish(t.Context(), "live.writer.claimed.1", nil); err != nil || ack.Sequence != 4 {
		t.Errorf("%+v, %v", ack, err)
	}
}

// A client library that knows a new setting makes somebody decide about it.
func TestEverySettingIsDecided(t *testing.T) {
	var decided []string
	for _, r := range requirements() {
		if r.why == "" {
			t.Errorf("%s: no reason", r.setting)
		}
		if (r.check == nil) != (r.verdict == [3]verdict{}) {
			t.Errorf("%s: verdict %v, and check is nil: %v", r.setting, r.verdict, r.check == nil)
		}
		decided = append(decided, r.setting)
	}
	for f := range reflect.TypeFor[jetstream.StreamConfig]().Fields() {
		if !slices.Contains(decided, jsonName(f)) {
			t.Errorf("nothing is decided about %s", jsonName(f))
		}
	}
}

func TestPayloadOfTheServer(t *testing.T) {
	for _, n := range []Need{writes, keeps} {
		if _, err := n.Check(n.good(), LeastMessage-1); !errors.Is(err, ErrUnfit) || !strings.Contains(err.Error(), "raise max_payload") {
			t.Errorf("%s: %v", n.Name, err)
		}
	}
	if _, err := reads.Check(reads.good(), 1); err != nil {
		t.Error(err)
	}
}

func ExampleNeed_Check() {
	_, err := Need{Use: Keep, Name: "NOTIFY", Variable: "ROOMNOTIFY_NAME", Prefix: "notify"}.Check(jetstream.StreamConfig{MaxMsgsPerSubject: 1}, 0)
	fmt.Println(err)
	// Output: stream is unfit: NOTIFY: its limit is 1 for each subject (max_msgs_per_subject), so a further message removes an older one; `nats stream edit NOTIFY --max-msgs-per-subject=-1`
}
