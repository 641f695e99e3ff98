package main

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/publisher/natstest"
)

// A right is something that a role of nats.conf might do, and who may do it.
type right struct {
	what      string
	publish   []string
	subscribe []string
	may       string // roles; empty: nobody
}

// of returns subjects with one beginning.
func of(beginning string, ends ...string) (all []string) {
	for _, end := range ends {
		all = append(all, beginning+end)
	}
	return all
}

// Each subject that a role of nats.conf could do something with. Who is not named is
// refused.
func rights() []right {
	const token = ".1.1.1.1764072000000000000.0"
	changes := func(stream string) []string {
		return of("$JS.API.STREAM.", "UPDATE."+stream, "SNAPSHOT."+stream, "RESTORE."+stream, "LEADER.STEPDOWN."+stream, "PEER.REMOVE."+stream)
	}
	lists := func(stream string) []string {
		return append(of("$JS.API.CONSUMER.", "LIST."+stream, "NAMES."+stream, "CREATE."+stream, "DURABLE.CREATE."+stream+".x"), "$JS.API.DIRECT.GET."+stream, "$JS.API.DIRECT.GET."+stream+".x")
	}
	consumers := func(stream string) []string {
		return of("$JS.API.CONSUMER.", "CREATE."+stream+".x", "INFO."+stream+".x", "DELETE."+stream+".x", "MSG.NEXT."+stream+".x", "PAUSE."+stream+".x", "RESET."+stream+".x", "UNPIN."+stream+".x", "LEADER.STEPDOWN."+stream+".x")
	}
	return []right{
		{"write events", []string{"live.room.created.1400000000.x", "live.room.ended.1400000000.x"}, nil, "roomwatch"},
		{"claim the stream, and write the pulse", []string{"live.writer.claimed.1400000000", "live.watch.alive.1400000000", "live.watch.resumed.1400000000"}, nil, "roomwatch"},
		{"hear what others write", nil, []string{"live.>", "live.room.created.1400000000.x", "notify.>", "$KV.>", "$KV.roomwatch.>", "$JS.API.>", "$JS.ACK.>", "$JS.EVENT.>", "$SYS.>", ">"}, ""},

		{"make the stream", []string{"$JS.API.STREAM.CREATE.LIVE"}, nil, "roomwatch"},
		{"look at the stream", []string{"$JS.API.STREAM.INFO.LIVE"}, nil, "roomwatch subscriber roomnotify roomaudit"},
		{"read a message of the stream", []string{"$JS.API.STREAM.MSG.GET.LIVE"}, nil, "roomwatch roomnotify roomaudit"},
		{"change the stream", append(changes("LIVE"), of("$JS.API.STREAM.", "PURGE.LIVE", "DELETE.LIVE", "MSG.DELETE.LIVE")...), nil, ""},
		{"see who reads the stream", lists("LIVE"), nil, ""},
		{"read the stream by a consumer of any name", of("$JS.API.CONSUMER.", "CREATE.LIVE.x", "CREATE.LIVE.x.live.>", "MSG.NEXT.LIVE.x"), nil, "roomwatch subscriber"},
		{"look at and delete a consumer of any name", of("$JS.API.CONSUMER.", "INFO.LIVE.x", "DELETE.LIVE.x"), nil, "subscriber"},
		{"change a consumer of any name", of("$JS.API.CONSUMER.", "PAUSE.LIVE.x", "RESET.LIVE.x", "UNPIN.LIVE.x", "LEADER.STEPDOWN.LIVE.x"), nil, ""},
		{"acknowledge for any consumer", of("$JS.ACK.", "LIVE.x"+token, "NOTIFY.x"+token, "KV_roomwatch.x"+token, "KV_live_rooms.x"+token, "_.acc.LIVE.roomaudit"+token+".x"), nil, ""},
		{"acknowledge for greeter", []string{"$JS.ACK.LIVE.greeter" + token}, nil, "subscriber"},
		{"acknowledge for roomnotify", []string{"$JS.ACK.LIVE.notify-hook" + token, "$JS.ACK.LIVE.notify-team" + token}, nil, "roomnotify"},
		{"acknowledge for roomaudit", []string{"$JS.ACK.LIVE.roomaudit" + token}, nil, "roomaudit"},

		{"use the consumer of greeter", of("$JS.API.CONSUMER.", "CREATE.LIVE.greeter", "INFO.LIVE.greeter", "DELETE.LIVE.greeter", "MSG.NEXT.LIVE.greeter"), nil, "subscriber"},
		{"use a consumer of roomnotify", of("$JS.API.CONSUMER.", "CREATE.LIVE.notify-hook", "INFO.LIVE.notify-hook", "MSG.NEXT.LIVE.notify-hook", "CREATE.LIVE.notify-team", "INFO.LIVE.notify-team", "MSG.NEXT.LIVE.notify-team"), nil, "roomnotify"},
		{"give a consumer of roomnotify a filter, or delete it", of("$JS.API.CONSUMER.", "CREATE.LIVE.notify-hook.live.>", "DELETE.LIVE.notify-hook", "DELETE.LIVE.notify-team"), nil, ""},
		{"use the consumer of roomaudit", of("$JS.API.CONSUMER.", "CREATE.LIVE.roomaudit", "INFO.LIVE.roomaudit", "DELETE.LIVE.roomaudit", "MSG.NEXT.LIVE.roomaudit"), nil, "roomaudit"},
		{"give the consumer of roomaudit a filter", []string{"$JS.API.CONSUMER.CREATE.LIVE.roomaudit.live.>"}, nil, ""},

		{"write, read and empty the stream NOTIFY", append(of("notify.", "later.hook.1", "dead.hook"), of("$JS.API.STREAM.", "INFO.NOTIFY", "CREATE.NOTIFY", "MSG.GET.NOTIFY", "MSG.DELETE.NOTIFY", "PURGE.NOTIFY")...), nil, "roomnotify"},
		{"change the stream NOTIFY", append(changes("NOTIFY"), "$JS.API.STREAM.DELETE.NOTIFY"), nil, ""},
		{"read the stream NOTIFY by a consumer", append(lists("NOTIFY"), consumers("NOTIFY")...), nil, ""},

		{"write the lease", []string{"$KV.roomwatch.lease.1400000000", "$KV.roomwatch.standby.x"}, nil, "roomwatch"},
		{"make and read the bucket of the lease", of("$JS.API.STREAM.", "INFO.KV_roomwatch", "CREATE.KV_roomwatch", "MSG.GET.KV_roomwatch"), nil, "roomwatch"},
		{"change the bucket of the lease", append(changes("KV_roomwatch"), of("$JS.API.STREAM.", "DELETE.KV_roomwatch", "PURGE.KV_roomwatch", "MSG.DELETE.KV_roomwatch")...), nil, ""},
		{"read the bucket of the lease by a consumer", append(lists("KV_roomwatch"), consumers("KV_roomwatch")...), nil, ""},
		{"speak for a process, and to a standby", []string{"roomwatch.1400000000.process.x", "roomwatch.1400000000.peer.callback"}, []string{"roomwatch.1400000000.process.x", "roomwatch.1400000000.peer.callback"}, "roomwatch"},

		{"make, look at and remove the bucket of rooms", of("$JS.API.STREAM.", "CREATE.KV_live_rooms", "DELETE.KV_live_rooms"), nil, "roomwatch"},
		{"get a room from the bucket", []string{"$JS.API.STREAM.INFO.KV_live_rooms", "$JS.API.DIRECT.GET.KV_live_rooms.x"}, nil, "roomwatch subscriber"},
		{"watch the bucket of rooms", append(of("$JS.API.CONSUMER.", "CREATE.KV_live_rooms.x", "DELETE.KV_live_rooms.x"), "$JS.FC.KV_live_rooms.x.y"), nil, "subscriber"},
		{"write and change the bucket of rooms", append(changes("KV_live_rooms"), "$KV.live_rooms.x", "$JS.API.STREAM.PURGE.KV_live_rooms", "$JS.API.STREAM.MSG.GET.KV_live_rooms", "$JS.API.STREAM.MSG.DELETE.KV_live_rooms"), nil, ""},

		{"make, see and change other streams", append(append(changes("OTHER"), consumers("OTHER")...), of("$JS.API.", "STREAM.CREATE.OTHER", "STREAM.INFO.OTHER", "STREAM.DELETE.OTHER", "STREAM.PURGE.OTHER", "STREAM.MSG.GET.OTHER", "STREAM.NAMES", "STREAM.LIST", "INFO", "ACCOUNT.PURGE.LIVE", "META.LEADER.STEPDOWN", "SERVER.REMOVE")...), nil, ""},
		{"write and hear other subjects", []string{"other", "other.x", "$SYS.REQ.ACCOUNT.LIVE.INFO", "$SYS.REQ.SERVER.PING", "$KV.other.x", "$O.other.x"}, []string{"other", "other.>"}, ""},

		{"ask roomwatch", of("roomwatch.1400000000.", "status", "rooms", "room"), nil, "subscriber"},
		{"find the service", of("$SRV.", "PING", "INFO.roomwatch", "STATS.roomwatch.x"), nil, "subscriber"},
		{"answer for roomwatch", nil, []string{"roomwatch.1400000000.status", "roomwatch.*.rooms", "$SRV.PING", "$SRV.INFO.roomwatch"}, "roomwatch"},
		{"ask roomwatch for what it does not answer", []string{"roomwatch.1400000000.write", "roomwatch.1400000000.x.y"}, nil, ""},

		{"answer to the inbox that all clients have", []string{"_INBOX.x"}, nil, "roomwatch"},
		{"read the inbox that all clients have", nil, []string{"_INBOX.>", "_INBOX.x"}, "subscriber"},
		{"write to the inbox of a program", of("_INBOX_", "roomwatch.x", "roomnotify.x", "roomaudit.x"), nil, ""},
		{"read the inbox of roomwatch", nil, []string{"_INBOX_roomwatch.>"}, "roomwatch"},
		{"read the inbox of roomnotify", nil, []string{"_INBOX_roomnotify.>"}, "roomnotify"},
		{"read the inbox of roomaudit", nil, []string{"_INBOX_roomaudit.>"}, "roomaudit"},
	}
}

// Each role of nats.conf tries each subject, and the server refuses those that are not
// its own: all of them, and nothing else.
func TestRoleByRight(t *testing.T) {
	natstest.SetPasswords(t)
	srv := natstest.Guarded(t, natsConfig, "roomaudit", "")
	admin, err := nats.Connect(srv.ClientURL(), nats.UserInfo("admin", "pass"))
	must(t, err)
	defer admin.Close()
	js := natstest.Live(t, admin)
	for name, subject := range map[string]string{"NOTIFY": "notify.>", "KV_roomwatch": "$KV.roomwatch.>", "KV_live_rooms": "$KV.live_rooms.>", "OTHER": "other.>"} {
		_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: name, Subjects: []string{subject}, AllowDirect: true})
		must(t, err)
	}
	all := rights()
	for _, role := range []string{"roomwatch", "subscriber", "roomnotify", "roomaudit"} {
		t.Run(role, func(t *testing.T) {
			refused := tryAll(t, srv.ClientURL(), role, all)
			for _, r := range all {
				may := slices.Contains(strings.Fields(r.may), role)
				for _, want := range slices.Concat(of("Publish to ", r.publish...), of("Subscription to ", r.subscribe...)) {
					if refused[want] == may {
						t.Errorf("%s may %s: %t, but the server refuses %s: %t", role, r.what, may, want, refused[want])
					}
					delete(refused, want)
				}
			}
			for what := range maps.Keys(refused) {
				t.Errorf("refused, too: %s", what)
			}
		})
	}
}

// tryAll lets a role publish and subscribe to all. It returns what the server called
// a permissions violation.
func tryAll(t *testing.T, url, role string, all []right) map[string]bool {
	t.Helper()
	const last = "the.last.one"
	violations := make(chan string, 1000)
	nc, err := nats.Connect(url, nats.UserInfo(role, "pass"), nats.NoReconnect(), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { violations <- err.Error() }))
	must(t, err)
	defer nc.Close()
	for _, r := range all {
		for _, subject := range r.subscribe {
			_, err := nc.SubscribeSync(subject)
			must(t, err)
		}
		for _, subject := range r.publish {
			must(t, nc.Publish(subject, []byte("{}")))
		}
	}
	must(t, nc.Publish(last, nil))
	refused := map[string]bool{}
	for {
		select {
		case text := <-violations:
			_, what, found := strings.Cut(text, "permissions violation: Permissions Violation for ")
			if !found {
				t.Fatalf("no permissions violation: %s", text)
			}
			what = strings.ReplaceAll(what, `"`, "")
			if what == "Publish to "+last {
				return refused
			}
			refused[what] = true
		case <-time.After(30 * time.Second):
			t.Fatalf("the server has refused %d others, and not %s", len(refused), last)
		}
	}
}
