package form_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"testing"
	"time"

	"roomwatch/cmd/roomnotify/form"
)

// What each answer means: taken, refused forever, or to be tried again after a time.
func TestJudge(t *testing.T) {
	date := now.Add(90 * time.Second).Format(http.TimeFormat)
	tests := []struct {
		name, kind string
		status     int
		after      string // Retry-After
		body       string
		want       string // taken, refused, again or busy, perhaps with a time
	}{
		{"taken", "webhook", 200, "", "", "taken"},
		{"taken without content", "discord", 204, "", "", "taken"},
		{"a body means nothing to a webhook", "webhook", 202, "", `{"ok":false,"code":1}`, "taken"},
		{"redirect", "webhook", 302, "", "", "refused"},
		{"not modified", "webhook", 304, "", "", "refused"},
		{"bad request", "slack", 400, "", "invalid_payload", "refused"},
		{"gone", "webhook", 410, "", "", "refused"},
		{"time-out of theirs", "webhook", 408, "", "", "again"},
		{"too early", "webhook", 425, "", "", "again"},
		{"a text of another type", "feishu", 200, "", `{"code":19024,"msg":{"en":"no key word"}}`, "refused"},
		{"a code of another type", "feishu", 200, "", `{"code":[],"msg":"success"}`, "again"},
		{"a result of another type", "telegram", 200, "", `{"ok":1}`, "again"},
		{"a time beside another type", "discord", 429, "", `{"retry_after":1.5,"parameters":"none"}`, "busy 1.5s"},
		{"too many", "webhook", 429, "", "", "busy"},
		{"too many, in seconds", "slack", 429, "7", "", "busy 7s"},
		{"too many, in a fraction", "slack", 429, "0.25", "", "busy 250ms"},
		{"too many, with a unit", "slack", 429, "90s", "", "busy 1m30s"},
		{"too many, until a date", "slack", 429, date, "", "busy 1m30s"},
		{"too many, until a date of old", "slack", 429, now.Add(90 * time.Second).Format("Monday, 02-Jan-06 15:04:05 GMT"), "", "busy 1m30s"},
		{"too many, until a date of C", "slack", 429, now.Add(90 * time.Second).Format(time.ANSIC), "", "busy 1m30s"},
		{"too many, until a date with a zone", "slack", 429, now.Add(90 * time.Second).Format(time.RFC1123Z), "", "busy 1m30s"},
		{"too many, until a date of RFC 3339", "slack", 429, now.Add(90 * time.Second).Format(time.RFC3339), "", "busy 1m30s"},
		{"too many, until a Unix time", "slack", 429, strconv.FormatInt(now.Unix()+90, 10), "", "busy 1m30s"},
		{"too many, until yesterday", "slack", 429, now.Add(-time.Hour).Format(http.TimeFormat), "", "busy"},
		{"too many, for months", "webhook", 429, "9999999", "", "busy 1h0m0s"},
		{"too many, for ever", "webhook", 429, "1e400", "", "busy"},
		{"too many, until next year", "webhook", 429, now.AddDate(1, 0, 0).Format(http.TimeFormat), "", "busy 1h0m0s"},
		{"too many, for months, in the body", "telegram", 429, "", `{"ok":false,"error_code":429,"parameters":{"retry_after":9999999}}`, "busy 1h0m0s"},
		{"too many, nonsense", "slack", 429, "soon", "", "busy"},
		{"too many, below zero", "slack", 429, "-5", "", "busy"},
		{"too many, no number", "slack", 429, "NaN", "", "busy"},
		{"unavailable for months", "webhook", 503, "9999999", "", "again 1h0m0s"},
		{"slack, too many in a word", "slack", 503, "", "rate_limited", "busy"},
		{"slack, an error of its own", "slack", 500, "", "rollup_error", "again"},
		{"slack, an archived channel", "slack", 410, "", "channel_is_archived", "refused"},
		{"slack, a refusal that looks like a failure", "slack", 500, "", "no_text", "refused"},
		{"discord says it in the body", "discord", 429, "", `{"message":"x","retry_after":1.5,"global":false}`, "busy 1.5s"},
		{"discord, overloaded", "discord", 503, "", `{"message":"x","code":130000}`, "busy"},
		{"discord, a ban of the address", "discord", 429, "60", "<html>error 1015", "busy 1m0s"},
		{"discord, no such webhook", "discord", 404, "", `{"message":"Unknown Webhook","code":10015}`, "refused"},
		{"the longer one counts", "discord", 429, "3", `{"retry_after":1.5}`, "busy 3s"},
		{"telegram says it in the body", "telegram", 429, "", `{"ok":false,"error_code":429,"parameters":{"retry_after":35}}`, "busy 35s"},
		{"telegram, behind a proxy that says 502", "telegram", 502, "", `{"ok":false,"error_code":403,"description":"bot was kicked"}`, "refused"},
		{"server error", "webhook", 500, "", "", "again"},
		{"unavailable", "webhook", 503, "60", "", "again 1m0s"},
		{"feishu", "feishu", 200, "", `{"code":0,"msg":"success","data":{}}`, "taken"},
		{"feishu of old", "feishu", 200, "", `{"StatusCode":0,"StatusMessage":"success"}`, "taken"},
		{"feishu, signature", "feishu", 200, "", `{"code":19021,"msg":"sign match fail"}`, "refused"},
		{"feishu, too many", "feishu", 200, "", `{"code":11232,"msg":"frequency limited"}`, "busy"},
		{"feishu, too many, with 400", "feishu", 400, "", `{"code":9499,"msg":"too many request","data":{}}`, "busy"},
		{"feishu, bad request", "feishu", 400, "", `{"code":9499,"msg":"Bad Request","data":{}}`, "refused"},
		{"feishu, too many at the gateway", "feishu", 429, "", `{"code":99991400,"msg":"request trigger frequency limit"}`, "busy"},
		{"feishu, internal", "feishu", 200, "", `{"code":2200,"msg":"internal error"}`, "again"},
		{"feishu, internal, with 400", "feishu", 400, "", `{"code":2200,"msg":"internal error"}`, "again"},
		{"feishu, a code that nobody knows", "feishu", 200, "", `{"code":77777,"msg":"x"}`, "again"},
		{"feishu, a code that nobody knows, with 400", "feishu", 400, "", `{"code":77777,"msg":"x"}`, "refused"},
		{"feishu, key word, with 400", "feishu", 400, "", `{"code":19024,"msg":"Key Words Not Found"}`, "refused"},
		{"feishu, a page of a proxy, with 502", "feishu", 502, "", `<html>`, "again"},
		{"feishu, a page of a proxy", "feishu", 200, "", `<html>`, "again"},
		{"feishu, no code", "feishu", 200, "", `{}`, "again"},
		{"wecom", "wecom", 200, "", `{"errcode":0,"errmsg":"ok"}`, "taken"},
		{"wecom, no such robot", "wecom", 200, "", `{"errcode":93000,"errmsg":"invalid webhook url"}`, "refused"},
		{"wecom, too many", "wecom", 200, "", `{"errcode":45009,"errmsg":"api freq out of limit"}`, "busy"},
		{"wecom, too many, with 500", "wecom", 500, "", `{"errcode":45009,"errmsg":"api freq out of limit"}`, "busy"},
		{"wecom, too long", "wecom", 200, "", `{"errcode":45002,"errmsg":"content size out of limit"}`, "refused"},
		{"wecom, a code that nobody knows", "wecom", 200, "", `{"errcode":77,"errmsg":"x"}`, "again"},
		{"wecom, busy", "wecom", 200, "", `{"errcode":-1,"errmsg":"system error"}`, "again"},
		{"dingtalk", "dingtalk", 200, "", `{"errcode":0,"errmsg":"ok"}`, "taken"},
		{"dingtalk, too many", "dingtalk", 200, "", `{"errcode":130101,"errmsg":"send too fast, exceed 20 times per minute"}`, "busy"},
		{"dingtalk, too fast", "dingtalk", 200, "", `{"errcode":410100,"errmsg":"send too fast"}`, "busy"},
		{"dingtalk, too many a day", "dingtalk", 200, "", `{"errcode":90030,"errmsg":"webhook over limit"}`, "busy"},
		{"dingtalk, a failure of its own", "dingtalk", 200, "", `{"errcode":500100,"errmsg":"description:系统异常，请稍后再试;"}`, "again"},
		{"dingtalk, signature", "dingtalk", 200, "", `{"errcode":310000,"errmsg":"sign not match"}`, "refused"},
		{"dingtalk, no such robot", "dingtalk", 200, "", `{"errcode":300001,"errmsg":"token is not exist"}`, "refused"},
		{"dingtalk, busy", "dingtalk", 200, "", `{"errcode":-1,"errmsg":"system busy"}`, "again"},
		{"dingtalk, a page of a proxy", "dingtalk", 200, "", `<html>`, "again"},
		{"telegram", "telegram", 200, "", `{"ok":true,"result":{}}`, "taken"},
		{"telegram, refused with 200", "telegram", 200, "", `{"ok":false,"error_code":400,"description":"chat not found"}`, "refused"},
		{"telegram, refused", "telegram", 403, "", `{"ok":false,"error_code":403,"description":"bot was kicked"}`, "refused"},
		{"telegram, later, with 200", "telegram", 200, "", `{"ok":false,"error_code":429,"parameters":{"retry_after":2}}`, "busy 2s"},
		{"telegram, server", "telegram", 502, "", `{"ok":false,"error_code":502}`, "again"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := http.Header{}
			if tt.after != "" {
				h.Set("Retry-After", tt.after)
			}
			err := form.Target{Kind: tt.kind}.Judge(form.Answer{Status: tt.status, Header: h, Body: []byte(tt.body)}, now)
			got := "taken"
			var no *form.Refusal
			switch {
			case errors.As(err, &no) && no.Permanent:
				got = "refused"
			case err != nil:
				got = "again"
				if no.Busy {
					got = "busy"
				}
				if no.After > 0 {
					got += " " + no.After.String()
				}
			}
			if got != tt.want {
				t.Errorf("got %s (%v), want %s", got, err, tt.want)
			}
		})
	}
}

// The headers in which Discord and Feishu say how long to wait count where there
// is no Retry-After.
func TestOtherHeadersOfWaiting(t *testing.T) {
	for _, tt := range []struct {
		kind, header, value, after string
		want                       time.Duration
	}{
		{"discord", "X-RateLimit-Reset-After", "1.5", "", 1500 * time.Millisecond},
		{"discord", "x-ratelimit-reset-after", "64.25", "", 64250 * time.Millisecond},
		{"discord", "X-RateLimit-Reset-After", "9999999", "", time.Hour},
		{"discord", "X-RateLimit-Reset-After", "1.5", "7", 7 * time.Second},
		{"discord", "X-RateLimit-Reset-After", "soon", "", 0},
		{"feishu", "X-Ogw-Ratelimit-Reset", "12", "", 12 * time.Second},
		{"feishu", "X-Ogw-Ratelimit-Reset", "12", "3", 3 * time.Second},
	} {
		h := http.Header{}
		h.Set(tt.header, tt.value)
		if tt.after != "" {
			h.Set("Retry-After", tt.after)
		}
		err := form.Target{Kind: tt.kind}.Judge(form.Answer{Status: http.StatusTooManyRequests, Header: h}, now)
		var no *form.Refusal
		if !errors.As(err, &no) || !no.Busy || no.After != tt.want {
			t.Errorf("%s: %s, Retry-After %q: got %+v, want busy for %s", tt.header, tt.value, tt.after, no, tt.want)
		}
	}
}

// Feishu's signature is the one of its documentation: the time and the secret
// are the key, and what is signed is empty.
func TestFeishuSignature(t *testing.T) {
	// printf '' | openssl dgst -sha256 -hmac $'1795420800\nhush' -binary | base64
	const want = "k1A/kfYoCS2RNIeeuHwm7huw4zJ1PNbn8Ihcjk0vcNY="
	_, raw := body(t, targets()[3], notifications()["created"])
	if got := field(t, raw, "sign"); got != want {
		t.Errorf("sign %q, want %q", got, want)
	}
	if got := field(t, raw, "timestamp"); got != "1795420800" {
		t.Errorf("timestamp %q", got)
	}
}

// DingTalk's signature is the one of its documentation, and stands in the URL.
func TestDingTalkSignature(t *testing.T) {
	// printf '1795420800000\nSEChush' | openssl dgst -sha256 -hmac SEChush -binary | base64
	const want = "8HCelkzhiPKE95E1LDn6CrxKQRm5Ab2R2vzAvUAzBTg="
	req, _ := body(t, targets()[6], notifications()["created"])
	q := req.URL.Query()
	if q.Get("access_token") != "x" || q.Get("timestamp") != "1795420800000" || q.Get("sign") != want {
		t.Errorf("asks %s", req.URL)
	}
	unsigned := targets()[6]
	unsigned.Secret = ""
	if req, _ := body(t, unsigned, notifications()["created"]); req.URL.RawQuery != "access_token=x" {
		t.Errorf("without a secret it asks %s", req.URL)
	}
}

func field(t *testing.T, raw []byte, name string) any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	return v[name]
}
