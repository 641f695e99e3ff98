package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"roomwatch/cmd/roomaudit/trail"
	"roomwatch/diff/logtest"
)

// strangers is a trail of three days, with rooms whose names are chosen to do harm.
func strangers(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	w, err := trail.Open(trail.Options{Dir: dir})
	must(t, err)
	day := time.Date(2026, 11, 22, 23, 0, 0, 0, time.UTC)
	for i, name := range []string{"quiet", "=cmd|' /C calc'!A0", "a\x1b[31m\u202eb", "+1,\"2\"\n3"} {
		n := uint64(i + 1)
		must(t, w.Append(day.Add(time.Duration(i)*time.Hour), []trail.Message{{Seq: n, Stored: day.Add(time.Duration(i) * time.Hour), Subject: "live.x", Body: event(n, "r"+string(rune('0'+n)), name)}}))
	}
	must(t, w.Append(day.Add(30*time.Hour), []trail.Message{{Seq: 5, Stored: day.Add(30 * time.Hour), Subject: "live.writer.claimed.1", Body: []byte(`{"type":"writer.claimed","data":{"instance":"i","host":"h","version":"v1"}}`)}}))
	must(t, w.Close())
	return dir
}

// call runs the program in this process.
func call(t *testing.T, dir string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	t.Setenv("ROOMAUDIT_DIR", dir)
	var out, errs bytes.Buffer
	status = run(context.Background(), args, &out, &errs)
	return status, out.String(), errs.String()
}

func TestQuery(t *testing.T) {
	dir := strangers(t)
	const (
		first  = "2026-11-23T12:00:01.000Z  room.created       r1                                7        1  o                             quiet\n"
		header = "TIME                      TYPE               ROOM                          VIEWS  VERSION  OWNER             EVIDENCE    NAME\n"
	)
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--room", "r1"}, header + first},
		{[]string{"--until", "2026-11-22"}, header + first},
		{[]string{"--until", "2026-11-23T00:00:00Z", "--type", "room.created,room.ended", "--owner", "o"}, header + first},
		{[]string{"--owner", "nobody"}, ""},
		{[]string{"--since", "2026-11-24"}, ""},
		{[]string{"--room", "r3"}, header + "2026-11-23T12:00:03.000Z  room.created       r3                                7        1  o                             a\\x1b[31m\\u202eb\n"},
		{[]string{"--room", "r2", "--format", "csv"}, "line,stored,id,type,time,sdkappid,room_id,create_time,owner,name,views,previous_views,version,since,baseline,evidence,missed,requests\n" +
			"5,2026-11-23T00:00:00.000000000Z,01KAS8Z1Q2R3-0000000000000002,room.created,2026-11-23T12:00:02.000Z,1400000000,r2,1,o,'=cmd|' /C calc'!A0,7,,1,,false,,,\n"},
		{[]string{"--room", "r4", "--format", "csv", "--since", "2026-11-23"}, "line,stored,id,type,time,sdkappid,room_id,create_time,owner,name,views,previous_views,version,since,baseline,evidence,missed,requests\n" +
			"7,2026-11-23T02:00:00.000000000Z,01KAS8Z1Q2R3-0000000000000004,room.created,2026-11-23T12:00:04.000Z,1400000000,r4,1,o,\"'+1,\"\"2\"\"\n3\",7,,1,,false,,,\n"},
		{[]string{"--room", "nowhere", "--format", "csv"}, "line,stored,id,type,time,sdkappid,room_id,create_time,owner,name,views,previous_views,version,since,baseline,evidence,missed,requests\n"},
	} {
		if status, out, errs := call(t, dir, append([]string{"query"}, tt.args...)...); status != 0 || out != tt.want || errs != "" {
			t.Errorf("%v: %d %s\n%q\nwant\n%q", tt.args, status, errs, out, tt.want)
		}
	}
	_, out, _ := call(t, dir, "query", "--format", "json")
	for line := range strings.Lines(out) {
		if _, err := trail.Parse([]byte(strings.TrimSuffix(line, "\n"))); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	if n := strings.Count(out, "\n"); n != 4 {
		t.Errorf("%d lines of JSON", n)
	}
	for _, args := range [][]string{
		{"query", "--since", "yesterday"}, {"query", "--type", "room.opened"}, {"query", "--format", "xml"},
		{"verify", "--noted", "7"}, {"verify", "--first", "one"}, {"export", "--sqlite="}, {"run", "--bogus"}, {"walk"},
	} {
		if status, _, errs := call(t, dir, args...); status != 2 || !strings.Contains(errs, strings.TrimSuffix(args[len(args)-1], "=")) {
			t.Errorf("%v: %d %s", args, status, errs)
		}
	}
}

// What is asked for can be counted, cut short and waited for; where messages are
// missing in it is said beside the answer.
func TestQueryCountLimitFollow(t *testing.T) {
	dir := strangers(t)
	w, err := trail.Open(trail.Options{Dir: dir})
	must(t, err)
	defer func() { _ = w.Close() }()
	at := time.Date(2026, 11, 24, 6, 0, 0, 0, time.UTC)
	record := func(n uint64) {
		must(t, w.Append(at, []trail.Message{{Seq: n, Stored: at, Body: event(n, fmt.Sprintf("r%d", n), "n")}}))
	}
	record(9) // 6, 7 and 8 are gone
	for _, tt := range []struct {
		args      []string
		out, errs string
	}{
		{[]string{"--count"}, "5\n", "gap at line 11, between 2026-11-24T05:00:00Z and 2026-11-24T06:00:00Z: messages 6 to 8 of the stream are not on record: the stream no longer had them\n"},
		{[]string{"--count", "--until", "2026-11-23"}, "4\n", ""},
		{[]string{"--count", "--room", "nobody", "--since", "2026-11-25"}, "0\n", ""},
		{[]string{"--count", "--limit", "2"}, "2\n", ""},
	} {
		if status, out, errs := call(t, dir, append([]string{"query"}, tt.args...)...); status != 0 || out != tt.out || errs != tt.errs {
			t.Errorf("%v: %d %q %q", tt.args, status, out, errs)
		}
	}
	if _, out, _ := call(t, dir, "query", "--limit", "1", "--format", "json"); strings.Count(out, "\n") != 1 {
		t.Errorf("--limit 1: %s", out)
	}
	if status, _, _ := call(t, dir, "query", "--limit", "-1"); status != 2 {
		t.Errorf("--limit -1: %d", status)
	}
	t.Setenv("ROOMAUDIT_DIR", dir)
	var out, errs logtest.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan int)
	go func() {
		done <- run(ctx, []string{"query", "--follow", "--format", "csv", "--since", "2026-11-24"}, &out, &errs)
	}()
	eventually(t, "what is there", func() bool { return strings.Contains(out.String(), ",r9,") })
	record(10)
	eventually(t, "what comes", func() bool { return strings.Contains(out.String(), ",r10,") })
	cancel()
	if status := <-done; status != 0 || strings.Count(out.String(), "\n") != 3 || !strings.Contains(errs.String(), "messages 6 to 8") {
		t.Errorf("--follow: %d %s%s", status, out.String(), errs.String())
	}
}

// A long trail can be left: a signal ends what only reads, and accuses nobody.
func TestReadingEnds(t *testing.T) {
	t.Setenv("ROOMAUDIT_DIR", strangers(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, args := range [][]string{{"verify"}, {"query"}, {"export", "--sqlite", filepath.Join(t.TempDir(), "x.db")}} {
		var out, errs bytes.Buffer
		if status := run(ctx, args, &out, &errs); status != 1 || out.Len() > 0 || !strings.Contains(errs.String(), context.Canceled.Error()) {
			t.Errorf("%v: exit status %d: %s%s", args, status, &out, &errs)
		}
	}
}

func TestVerifyCommand(t *testing.T) {
	dir := strangers(t)
	status, out, _ := call(t, dir, "verify")
	if status != 0 || !strings.Contains(out, "3 files, 10 lines, 5 messages, 0 gaps on record, no file is signed: no line was changed, removed or inserted; only --noted shows whether the end was removed\nlast line 10:") {
		t.Errorf("%d %s", status, out)
	}
	noted := out[strings.LastIndex(out, "10:"):]
	if status, out, _ := call(t, dir, "verify", "--noted", strings.TrimSpace(noted)); status != 0 || !strings.Contains(out, "and line 10 is there as it was noted\n") {
		t.Errorf("noted: %d %s", status, out)
	}
	files, err := trail.Files(dir)
	must(t, err)
	must(t, os.Remove(files[1].Path))
	if status, out, _ := call(t, dir, "verify"); status != 1 || !strings.HasPrefix(out, "files 2 to 2 are missing\n") || !strings.Contains(out, ": 1 fault\n") {
		t.Errorf("%d %s", status, out)
	}
	if status, out, _ := call(t, dir, "verify", "--json"); status != 1 || !strings.HasPrefix(out, `{"fault":{"file":"","text":"files 2 to 2`) || !strings.Contains(out, `"faults":1`) {
		t.Errorf("%d %s", status, out)
	}
}

// The list of a witness is compared with the trail; what cannot be read as one is refused.
func TestVerifyWitness(t *testing.T) {
	dir, list := strangers(t), filepath.Join(t.TempDir(), "witness")
	var noted []string
	must(t, trail.Read(t.Context(), dir, 0, func(l trail.Line, _ []byte) error {
		if l.Kind == trail.End {
			noted = append(noted, fmt.Sprintf("2026-11-24T00:00:00Z audit %d:%s", l.Line, l.Hash))
		}
		return nil
	}))
	for text, want := range map[string]struct {
		status int
		says   string
	}{
		strings.Join(noted, "\n") + "\n\n# a word\n": {0, "and 2 lines up to line 8 are there as they were noted\n"},
		noted[0] + "\n": {0, "and line 3 is there as it was noted\n"},
		noted[0] + "\n99:" + strings.Repeat("a", 64) + "\n": {1, "line 99, which was noted with hash " + strings.Repeat("a", 64) + ", is not there: the end was cut off\n"},
		noted[0] + "\n12:abc\n":                             {2, ":2 has no LINE:HASH"},
		noted[0] + "\n12:" + strings.Repeat("x", 64):        {2, ":2 has no LINE:HASH"},
		strings.ToUpper(noted[0]):                           {0, "and line 3 is there as it was noted\n"},
		"":                                                  {2, "has no LINE:HASH"},
	} {
		must(t, os.WriteFile(list, []byte(text), 0o600))
		if status, out, errs := call(t, dir, "verify", "--witness", list); status != want.status || !strings.Contains(out+errs, want.says) {
			t.Errorf("%q: %d %s%s", text, status, out, errs)
		}
	}
	if status, _, errs := call(t, dir, "verify", "--witness", list+"x"); status != 2 || !strings.Contains(errs, list+"x") {
		t.Errorf("no file: %d %s", status, errs)
	}
}

// Whatever a list of a witness is, each of its rows counts once or it is refused.
func FuzzWitness(f *testing.F) {
	f.Add("7:" + strings.Repeat("a", 64) + "\n\n# a word\nx 8:" + strings.Repeat("b", 64) + " y\n")
	f.Add("7:" + strings.Repeat("a", 64) + "\r\n")
	f.Add("0:" + strings.Repeat("a", 64))
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parseWitness(text)
		if err != nil {
			return
		}
		rows := 0
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				rows++
			}
		}
		if len(list) != rows || rows == 0 {
			t.Errorf("%d rows, and %v", rows, list)
		}
		for _, p := range list {
			if p.Line == 0 || len(p.Hash) != 64 {
				t.Errorf("%v", p)
			}
		}
	})
}

// A misspelt variable is named by each command that would read something else instead.
func TestMisspeltVariableIsNamed(t *testing.T) {
	dir := strangers(t)
	t.Setenv("ROOMAUDIT_DIRR", "elsewhere")
	for _, args := range [][]string{{"verify"}, {"query"}, {"room", "r1"}, {"seal"}, {"export", "--sqlite", filepath.Join(t.TempDir(), "a.db")}} {
		if status, out, errs := call(t, dir, args...); status != 0 || !strings.HasPrefix(errs, "unknown variables, perhaps misspelt: ROOMAUDIT_DIRR; ") {
			t.Errorf("%v: %d %s%s", args, status, out, errs)
		}
	}
}

// A directory without a trail is not mistaken for a trail without events.
func TestNoTrail(t *testing.T) {
	empty := t.TempDir()
	for _, dir := range []string{empty, filepath.Join(empty, "missing")} {
		for _, args := range [][]string{{"query"}, {"export", "--sqlite", filepath.Join(t.TempDir(), "a.db")}, {"verify"}} {
			if status, out, errs := call(t, dir, args...); status != 1 || !strings.Contains(out+errs, dir) || !strings.Contains(out+errs, "ROOMAUDIT_DIR") {
				t.Errorf("%v: %d %s%s", args, status, out, errs)
			}
		}
	}
}
