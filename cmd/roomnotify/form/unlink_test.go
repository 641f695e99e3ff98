package form_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"

	"roomwatch/cmd/roomnotify/form"
	"roomwatch/publisher/events"
)

// linkNames are names in which one service or another sees a link, by the rules of its own.
var linkNames = []string{
	"❤.ws", "i❤\ufe0f.ws", "👍.tk", "☃.net", "a.👍", "1.2.3.4", "192.168.0.1:8080", "10.0.0.1/admin", "http:/evil.com", "http:evil.com", "http:\\\\evil.com", "http://localhost", "https://1.2.3.4/x",
	"xn--fsq.com", "evil.xn--p1ai", "例え.テスト", "中国。中国", "президент.рф", "مثال.إختبار", "उदाहरण.परीक्षा", "evil。com", "evil．com", "evil｡com", "evil\u2024com", "evil\ufe52com", "evil\ufe12com",
	"evil.com:8443/x", "evil.com.", "evil.c0m", "3com.net", "a-.com", "a_.com", "evil.中国/直播", "evil.com？x", "user@evil.com", "user＠evil.com", "user﹫evil.com", "mailto:a@evil.com", "tg://resolve?domain=x",
	"①.ws", "evil.ⓒom", "e\u0301.ws", "[::1]:80/x", "2001:db8::1", "t．me／x", "a.b.c.d.e", "evil.\u200dcom", "evil\u200d.com", "＃tag", "﹟tag", "﹩TON", "＋8613800", "１.２.３.４",
}

// linkLike is what is left of a link where its parts still touch: a host, an address, a
// URL, a mention, a tag, a number of a telephone. It is a rule of its own, and wider than any service's.
var linkLike = regexp.MustCompile(`(?i)[\pL\pM\pN\pS_-]\x{200d}?\.\x{200d}?[\pL\pM\pS]|\d\.\d+\.\d+\.\d|[\pL\pN]:/|//|[a-z]:[\pL\pN]|\d:[a-f]|[@#$+/][\pL\pN]`)

// No name of a stranger is a link in a chat, in whatever script, with whatever dot, and
// everybody can read it all the same.
func TestNamesAreNoLinks(t *testing.T) {
	for _, name := range linkNames {
		if !linkLike.MatchString(fold(name)) {
			t.Errorf("the rule of the test sees no link in %q", name)
		}
		for _, g := range targets()[1:] {
			e := event(events.RoomCreated, name)
			_, raw := body(t, g, form.New(e, "r", "t", 0))
			title, _, _ := strings.Cut(shown(t, g.Kind, raw), "Owner")
			if g.Kind == "feishu" {
				title = feishuTitle(t, raw)
			}
			if g.Kind == "discord" {
				title = regexp.MustCompile(`\\(.)`).ReplaceAllString(title, "$1") // as it is shown
			}
			said := title
			if g.Kind == "slack" {
				said, _, _ = strings.Cut(title, "\n")
			}
			if found := linkLike.FindString(fold(said)); found != "" {
				t.Errorf("%s: %q is in %q, of %q", g.Kind, found, said, name)
			}
			plain := strings.ReplaceAll(title, "\u2060", "")
			if !strings.Contains(plain, form.Clean(name, 100)) {
				t.Errorf("%s: nobody can read %q in %q", g.Kind, name, plain)
			}
		}
	}
}

// What is no link is told as it is.
func TestNoLinksStayAsTheyAre(t *testing.T) {
	for _, name := range []string{"12:30", "1.5", "no. 32", "room.1", "Heidi... live", "v1.2", "a : b", "C# and", "5 / 7", "a，b。 c", "ratio 3:2"} {
		_, raw := body(t, targets()[4], form.New(event(events.RoomCreated, name), "r", "t", 0))
		if text := shown(t, "wecom", raw); !strings.HasPrefix(text, "New room: "+name+"\n") {
			t.Errorf("%q is told as %q", name, text)
		}
	}
}

// fold is what a service may make of a text before it looks for links: the forms of
// compatibility, in which each dot of a host is one.
func fold(s string) string {
	return strings.NewReplacer("。", ".", "｡", ".").Replace(norm.NFKC.String(s))
}

func feishuTitle(t *testing.T, raw []byte) string {
	t.Helper()
	var v struct {
		Content struct {
			Post map[string]struct{ Title string }
		}
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	return v.Content.Post["en_us"].Title
}
